"""Pods on the lab's real node: placed by GPU and taint, run, and reached from outside."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.lab.commands import run
from tests.lab.containerd import PAUSE
from tests.lab.lab import Lab
from tests.lab.programs import program

PODS = "/api/v1/namespaces/default/pods"
TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
LIMIT_S = 60.0
MakePod = Callable[..., dict[str, Any]]


@pytest.fixture
def make_pod(lab: Lab) -> Iterator[MakePod]:
    """Create pods that are gone after the test."""
    made: list[str] = []

    def make(name: str, **spec: Any) -> dict[str, Any]:
        limits = {"limits": {"nvidia.com/gpu": "1"}}
        container = {"name": "main", "image": PAUSE, "resources": limits}
        manifest = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 5, **spec},
        }
        made.append(name)
        return lab.api.create(PODS, manifest)

    yield make
    for name in made:
        lab.api.delete(f"{PODS}/{name}")
    until(lambda: all(lab.api.find(f"{PODS}/{name}") is None for name in made))


def until(agreed: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
    deadline = time.monotonic() + limit_s
    while not agreed():
        assert time.monotonic() < deadline, f"not within {limit_s:g} s"
        time.sleep(0.1)


def status(lab: Lab, name: str) -> dict[str, Any]:
    return lab.api.get(f"{PODS}/{name}")["status"]


def test_a_pod_that_wants_a_gpu_and_tolerates_the_taint_runs(lab: Lab, make_pod: MakePod) -> None:
    make_pod("tolerant", tolerations=[TOLERATION])
    until(lambda: status(lab, "tolerant")["phase"] == "Running")
    pod = lab.api.get(f"{PODS}/tolerant")
    assert pod["spec"]["nodeName"] == lab.node
    assert pod["status"]["podIP"].startswith(lab.place.pod_network.rpartition(".")[0])


def test_a_pod_without_toleration_stays_pending_with_the_reason(
    lab: Lab, make_pod: MakePod
) -> None:
    make_pod("intolerant")
    until(lambda: "conditions" in status(lab, "intolerant"))
    found = status(lab, "intolerant")
    assert found["phase"] == "Pending"
    [condition] = [entry for entry in found["conditions"] if entry["type"] == "PodScheduled"]
    assert condition["reason"] == "Unschedulable"
    assert "1 node(s) had untolerated taint" in condition["message"]


def test_a_third_pod_waits_for_one_of_two_gpus(lab: Lab, make_pod: MakePod) -> None:
    for name in ("first", "second", "third"):
        make_pod(name, tolerations=[TOLERATION])
        until(lambda name=name: "conditions" in status(lab, name))
    [condition] = status(lab, "third")["conditions"]
    assert "Insufficient nvidia.com/gpu" in condition["message"]


def test_the_api_server_answers_from_outside_by_the_kubeconfig_alone(lab: Lab) -> None:
    kubectl = [str(program("kubectl")), "--kubeconfig", str(lab.kubeconfig), "get", "nodes"]
    told = run(*kubectl, "-o", "jsonpath={.items[*].metadata.name}")
    assert lab.node in told.split()
    assert lab.kubeconfig.stat().st_mode & 0o077 == 0
    refused = httpx.get(f"https://{lab.address}:6443/api/v1/nodes", verify=False)
    assert refused.status_code == 401


def test_a_command_in_the_labs_network_sees_its_address_and_our_control_groups(lab: Lab) -> None:
    entered = [str(lab.directory / "enter"), "sh", "-c", "ip -brief address; ls /sys/fs/cgroup"]
    told = run(*entered)
    assert f"{lab.address}/30" in told
    assert told.endswith(run("ls", "/sys/fs/cgroup"))
