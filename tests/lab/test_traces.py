"""Nothing of a lab stays: not after its end, not after a kill in its start or in its life."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.lab.commands import LabFailed
from tests.lab.conftest import lab_directory
from tests.lab.containerd import PAUSE
from tests.lab.lab import Lab, bring_up, find_lab
from tests.lab.processes import Servers
from tests.lab.record import claim, record_of, records, remove
from tests.lab.traces import Traces, look

STARTER = """
import sys, time
from pathlib import Path
from tests.lab.lab import bring_up
bring_up(Path(sys.argv[1]), keep=False)
print("up", flush=True)
time.sleep(600)
"""
PODS = "/api/v1/namespaces/default/pods"
pytestmark = pytest.mark.usefixtures("poor_machine")


@pytest.fixture
def before() -> Traces:
    return look()


@pytest.fixture
def starter() -> Iterator[Callable[[Path], "subprocess.Popen[str]"]]:
    """Start labs in processes that can be killed."""
    started = []

    def start(directory: Path) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", STARTER, str(directory)], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        kill(process)
        if process.stdout is not None:
            process.stdout.close()


def run_a_pod(lab: Lab) -> None:
    tolerations = [{"operator": "Exists"}]
    spec = {"containers": [{"name": "main", "image": PAUSE}], "tolerations": tolerations}
    named = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "stays"}, "spec": spec}
    lab.api.create(PODS, named)
    wait_for(lambda: lab.api.get(f"{PODS}/stays")["status"]["phase"] == "Running")


def wait_for(agreed: Callable[[], bool], limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while not agreed():
        assert time.monotonic() < deadline, f"not within {limit_s:g} s"
        time.sleep(0.05)


def kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait(10)


def sweep() -> None:
    """What every start of a lab does first."""
    remove(claim(lab_directory()))


def test_a_lab_with_a_running_pod_leaves_nothing(before: Traces) -> None:
    lab = bring_up(lab_directory(), keep=False)
    try:
        run_a_pod(lab)
        during = look()
    finally:
        lab.down()
    assert not lab.directory.exists()
    assert look() == before
    assert during.settings == before.settings


def test_the_look_sees_a_lab(before: Traces) -> None:
    lab = bring_up(lab_directory(), keep=False)
    hidden = lab.place.run.with_name("hidden")
    try:
        run_a_pod(lab)
        lab.place.run.rename(hidden)  # the record with it
        seen = look()
    finally:
        hidden.rename(lab.place.run)
        lab.down()
    for part in ("processes", "network_namespaces", "links", "routes", "mounts", "control_groups"):
        assert getattr(seen, part) > getattr(before, part), part
    assert look() == before


@pytest.mark.parametrize(
    "sign_of_life",
    [
        pytest.param("mounts", marks=pytest.mark.slow),
        pytest.param("etcd", marks=pytest.mark.slow),
        "kubelet",
    ],
)
def test_a_starter_killed_in_the_middle_is_cleaned_by_the_next_start(
    before: Traces, starter: Callable[[Path], "subprocess.Popen[str]"], sign_of_life: str
) -> None:
    directory = lab_directory()
    process = starter(directory)

    def has_begun() -> bool:
        record = record_of(directory)
        return record is not None and sign_of_life in record.servers.living()

    wait_for(has_begun)
    kill(process)
    assert record_of(directory) is not None
    sweep()
    assert not directory.exists()
    assert look() == before


def test_a_lab_killed_with_its_servers_is_cleaned_by_the_next_start(
    before: Traces, starter: Callable[[Path], "subprocess.Popen[str]"]
) -> None:
    directory = lab_directory()
    process = starter(directory)
    assert process.stdout is not None
    lines = iter(process.stdout)
    assert any(line == "up\n" for line in lines)
    lab = find_lab(directory)
    assert lab is not None
    run_a_pod(lab)
    lab.api.close()
    # Shims and containers live on without containerd and kubelet.
    for pid in lab.servers.living().values():
        os.kill(pid, signal.SIGKILL)
    kill(process)
    assert find_lab(directory) is None
    sweep()
    assert not directory.exists()
    assert look() == before


def test_a_kept_lab_without_servers_is_cleaned_and_one_with_servers_is_not(before: Traces) -> None:
    kept = bring_up(lab_directory(), keep=True)
    try:
        sweep()
        assert find_lab(kept.directory) is not None
        with pytest.raises(LabFailed, match="has a lab already"):
            bring_up(kept.directory, keep=True)
        end(kept.servers)
        assert find_lab(kept.directory) is None
        sweep()
        assert kept.place not in [record.place for record in records()]
        assert look() == before
    finally:
        if record := record_of(kept.directory):
            remove(record)


def end(servers: Servers) -> None:
    for pid in servers.living().values():
        process = psutil.Process(pid)
        process.kill()
        process.wait(10)


def test_two_labs_stand_side_by_side(lab: Lab, before: Traces) -> None:
    second = bring_up(lab_directory(), keep=False)
    try:
        assert second.address != lab.address
        run_a_pod(second)
        assert not [pod for pod in lab.api.get(PODS)["items"] if pod["metadata"]["name"] == "stays"]
    finally:
        second.down()
    assert find_lab(lab.directory) is not None
    assert look() == before


def test_a_start_that_fails_says_why_and_leaves_only_its_logs(
    before: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.lab.kubelet.GPU_TAINT", {"key": "no valid key", "effect": "?"})
    directory = lab_directory()
    with pytest.raises(LabFailed, match=r"kubelet ended; the end of .*kubelet\.log"):
        bring_up(directory, keep=False)
    left = [entry.name for entry in directory.iterdir()]
    shutil.rmtree(directory)
    assert left == ["logs"]
    assert look() == before
