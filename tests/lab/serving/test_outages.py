"""Parts of the cluster that go away in the midst of it, and come back."""

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from platform_assets.audits.verification import verify_endpoint
from platform_assets.lineage.verdict import Verdict
from platform_assets.models.partition import TRANSIENT_ERRORS
from platform_assets.models.verification_reading import Reading
from platform_assets.serving.endpoint import Delivered
from platform_assets.serving.inference_services import told_digest
from platform_assets.serving.kserve_rollout import RolloutRefused
from resources.kubernetes_errors import KubernetesUnavailable, WaitExpired
from tests.lab import kserve, kubelet, object_store
from tests.lab.inference_services import NAMESPACE
from tests.lab.kserve import kubectl
from tests.lab.processes import wait_until
from tests.lab.serving.conftest import Platform
from tests.lab.serving.requests_of_clients import another, uninterrupted, within

ENDPOINT = "outages"
SERVICE = "serving.kserve.io/inferenceservice"
STORAGE = "clusterstoragecontainer.serving.kserve.io/ai-how"
PATIENCE = {"name": "AI_HOW_PATIENCE_S", "value": "2"}


@pytest.fixture(scope="module")
def live(delivering: Platform) -> Iterator[Delivered]:
    delivering.declare(ENDPOINT, gpus=1)
    delivered = delivering.deliver(delivering.registered(ENDPOINT, "live"))
    assert delivered.decision.outcome == "deployed"
    yield delivered
    delivering.serving.provider.withdraw(ENDPOINT)


@contextmanager
def stopped(delivering: Platform, server: str) -> Iterator[None]:
    """Kill a server of the lab; start it again at the end."""
    with stopped_after(delivering, server):
        delivering.kserve_lab.lab.servers.stop(server, signal.SIGKILL)
        yield


@contextmanager
def stopped_after(delivering: Platform, server: str) -> Iterator[None]:
    """Start a server of the lab again that is stopped within, and forget who listened."""
    servers = delivering.kserve_lab.lab.servers
    try:
        yield
    finally:
        delivering.listeners.clear()
        if server not in servers.living():
            servers.restart(server)


def agrees(delivering: Platform) -> None:
    verified = verify_endpoint(delivering.places, ENDPOINT, Reading())
    assert verified.verdict is Verdict.AGREE, verified


def deliver_as_dagster(delivering: Platform, key: str) -> Delivered:
    """Deliver, and again after what may pass, as the retry policy of the asset does."""
    for _ in range(3):
        with suppress(*TRANSIENT_ERRORS):
            return delivering.deliver(key)
        time.sleep(2)
    return delivering.deliver(key)


def wait_for_store(delivering: Platform) -> None:
    lab = delivering.kserve_lab
    url = lab.store.url
    wait_until(
        lab.lab.servers,
        [object_store.NAME],
        lambda: object_store._objection(url),
        what=url,
        limit_s=60,
    )


def test_api_server_starts_anew_in_mid_deployment(delivering: Platform, live: Delivered) -> None:
    key = delivering.registered(ENDPOINT, "api-server", make=another)
    lab = delivering.kserve_lab.lab
    before = lab.servers.living()["kube-apiserver"]
    restarting = threading.Thread(target=lambda: lab.servers.restart("kube-apiserver"))

    def progress(words: str) -> None:
        if "add candidate" in words:
            restarting.start()

    delivering.listeners.append(progress)
    try:
        delivered = deliver_as_dagster(delivering, key)
    finally:
        delivering.listeners.clear()
    restarting.join(60)
    assert lab.servers.living()["kube-apiserver"] != before
    assert delivered.decision.outcome == "deployed"
    agrees(delivering)


def test_kserve_manager_is_down(delivering: Platform, live: Delivered) -> None:
    key = delivering.registered(ENDPOINT, "manager", make=another)
    before = delivering.serving.provider.told(ENDPOINT)
    with stopped(delivering, kserve.NAME), uninterrupted(delivering, ENDPOINT):
        with within(90), pytest.raises(KubernetesUnavailable) as told:
            delivering.deliver(key)
        print(told.value)
        assert "KServe" in str(told.value)
        assert "webhook" in str(told.value)
        assert delivering.serving.provider.told(ENDPOINT) == before
    kserve.wait_for_manager(delivering.kserve_lab.lab)
    with uninterrupted(delivering, ENDPOINT):
        assert deliver_as_dagster(delivering, key).decision.outcome == "deployed"
    agrees(delivering)


def test_object_store_is_away_and_comes_back(delivering: Platform, live: Delivered) -> None:
    """Pods bear it for as long as the storage container's patience: the same attempt concludes."""
    key = delivering.registered(ENDPOINT, "store-back", make=another)
    with stopped(delivering, object_store.NAME), uninterrupted(delivering, ENDPOINT):
        started = threading.Timer(
            4.0, lambda: delivering.kserve_lab.lab.servers.restart(object_store.NAME)
        )

        def progress(words: str) -> None:
            if "add candidate" in words:
                started.start()

        delivering.listeners.append(progress)
        try:
            delivered = delivering.deliver(key)
        finally:
            delivering.listeners.clear()
            started.join(60)
    assert delivered.decision.outcome == "deployed"
    wait_for_store(delivering)
    agrees(delivering)


def test_object_store_stays_away(delivering: Platform, live: Delivered) -> None:
    """Longer than pods bear it: said as what may pass; a later attempt concludes."""
    key = delivering.registered(ENDPOINT, "store-away", make=another)
    lab = delivering.kserve_lab.lab
    found = json.loads(kubectl(lab, "get", STORAGE, "-o", "json"))
    env: list[dict[str, Any]] = list(found["spec"]["container"].get("env") or [])
    patch_storage(delivering, [*env, PATIENCE])
    try:
        with stopped(delivering, object_store.NAME), uninterrupted(delivering, ENDPOINT):
            with within(120), pytest.raises(WaitExpired) as told:
                delivering.deliver(key)
            print(told.value)
            assert delivering.kserve_lab.store.url in str(told.value)
            assert "what was live is untouched" in str(told.value)
    finally:
        patch_storage(delivering, env)
    wait_for_store(delivering)
    assert deliver_as_dagster(delivering, key).decision.outcome == "deployed"
    agrees(delivering)


def patch_storage(delivering: Platform, env: list[dict[str, Any]]) -> None:
    patch = json.dumps({"spec": {"container": {"env": env}}})
    kubectl(delivering.kserve_lab.lab, "patch", STORAGE, "--type=merge", f"-p={patch}")


def test_node_is_gone(delivering: Platform, live: Delivered) -> None:
    key = delivering.registered(ENDPOINT, "node-gone", make=another)
    lab = delivering.kserve_lab.lab

    def stop_when_bound() -> None:
        while not any(
            pod["spec"].get("nodeName") and not told_digest(pod["status"])
            for pod in delivering.kubernetes.list("v1", "Pod", NAMESPACE, {SERVICE: ENDPOINT})
        ):
            time.sleep(0.05)
        lab.servers.stop(kubelet.NAME, signal.SIGKILL)

    def progress(words: str) -> None:
        if "add candidate" in words:
            threading.Thread(target=stop_when_bound).start()

    delivering.listeners.append(progress)
    with stopped_after(delivering, kubelet.NAME):
        with within(150), pytest.raises(WaitExpired) as waited:
            delivering.deliver(key)
        print(waited.value)
        assert f"stands on node {lab.node}, which is not ready" in str(waited.value)
        assert "Kubelet stopped posting node status" in str(waited.value)
        with within(60), pytest.raises(RolloutRefused) as told:
            delivering.deliver(key)
        print(told.value)
        assert f"{lab.node}: not ready" in str(told.value)
        verified = verify_endpoint(delivering.places, ENDPOINT, Reading())
        assert verified.verdict is Verdict.DIFFER
        print(verified)
    kubectl(lab, "wait", f"node/{lab.node}", "--for=condition=Ready", "--timeout=90s")
    while "unreachable" in kubectl(lab, "get", "node", lab.node, "-o", "jsonpath={.spec.taints}"):
        time.sleep(0.5)
    assert deliver_as_dagster(delivering, key).decision.outcome == "deployed"
    agrees(delivering)
