"""InferenceServices that somebody changes by kubectl: seen, and restored by the next delivery."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from platform_assets.audits.verification import verify_endpoint
from platform_assets.lineage.manifest import copy_prefix
from platform_assets.lineage.verdict import Verdict, Verification
from platform_assets.models.verification_reading import Reading
from platform_assets.serving.endpoint import Delivered
from platform_assets.serving.inference_service import applicable
from platform_assets.serving.inference_services import ObservedService, observation
from tests.lab.inference_services import NAMESPACE
from tests.lab.kserve import apply, kubectl
from tests.lab.serving.conftest import Platform
from tests.lab.serving.requests_of_clients import another, uninterrupted, within

ENDPOINT = "foreign-hands"
GROUP = "serving.kserve.io/v1beta1"
SERVICE = "serving.kserve.io/inferenceservice"


@pytest.fixture(scope="module")
def live(delivering: Platform) -> Iterator[Delivered]:
    delivering.declare(ENDPOINT, gpus=1)
    delivered = delivering.deliver(delivering.registered(ENDPOINT, "live"))
    assert delivered.decision.outcome == "deployed"
    yield delivered
    delivering.serving.provider.withdraw(ENDPOINT)


def verified(delivering: Platform) -> Verification:
    return verify_endpoint(delivering.places, ENDPOINT, Reading())


def observed(delivering: Platform) -> ObservedService:
    kubernetes = delivering.kubernetes
    found = kubernetes.get(GROUP, "InferenceService", ENDPOINT, NAMESPACE)
    pods = kubernetes.list("v1", "Pod", NAMESPACE, {SERVICE: ENDPOINT})
    return observation([found], pods).services[0]


def by_hand(delivering: Platform, *words: Any) -> str:
    return kubectl(delivering.kserve_lab.lab, *words, "-n", NAMESPACE)


def wait_until_served(delivering: Platform, digest: str) -> None:
    deadline = time.monotonic() + 120
    while (told := delivering.serving.provider.told(ENDPOINT)) is None or (
        told.tree_digest != digest
    ):
        assert time.monotonic() < deadline, told
        time.sleep(0.2)


def test_storage_uri_is_edited(delivering: Platform, live: Delivered) -> None:
    other = delivering.digest(delivering.registered(ENDPOINT, "other", make=another))
    uri = f"s3://{delivering.kserve_lab.store.bucket}/{copy_prefix(ENDPOINT, other)}"
    patch = json.dumps({"spec": {"predictor": {"model": {"storageUri": uri}}}})
    by_hand(delivering, "patch", "isvc", ENDPOINT, "--type=merge", f"-p={patch}")
    wait_until_served(delivering, other)
    found = verified(delivering)
    assert found.verdict is Verdict.DIFFER
    assert uri in str(found)
    assert other in str(found)
    [foreign] = observed(delivering).written_by_others
    assert foreign.manager == "kubectl-patch"
    assert any("storageUri" in field for field in foreign.fields)

    with uninterrupted(delivering, ENDPOINT):
        delivered = delivering.deliver(live.candidate.checkpoint)
    assert delivered.decision.outcome == "deployed"
    assert any("written by kubectl-patch" in words for words in delivering.said)
    assert verified(delivering).verdict is Verdict.AGREE
    assert observed(delivering).written_by_others == ()


def patched(delivering: Platform, predictor: dict[str, Any]) -> None:
    patch = json.dumps({"spec": {"predictor": predictor}})
    by_hand(delivering, "patch", "isvc", ENDPOINT, "--type=merge", f"-p={patch}")


def wait_for(done: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def assert_stands(delivering: Platform, live: Delivered) -> None:
    """Nothing is left of what others wrote, and the next delivery finds nothing to do."""
    service = observed(delivering)
    assert service.written_by_others == ()
    assert [(pod.ready, pod.tree_digest) for pod in service.pods if not pod.leaving] == [
        (True, live.candidate.tree_digest)
    ]
    assert verified(delivering).verdict is Verdict.AGREE
    again = delivering.deliver(live.candidate.checkpoint)
    assert (again.decision.outcome, again.swap) == ("already-live", None)


def test_an_edit_whose_pods_never_start(delivering: Platform, live: Delivered) -> None:
    """The old pod goes on all the while; both GPUs are taken, and it needs no other one."""
    [before] = observed(delivering).live_pods
    uri = f"s3://{delivering.kserve_lab.store.bucket}/{copy_prefix(ENDPOINT, 'f' * 64)}"
    patched(delivering, {"model": {"storageUri": uri}})
    wait_for(lambda: any(pod.failure for pod in observed(delivering).live_pods))
    told = delivering.serving.provider.told(ENDPOINT)
    assert told.tree_digest == live.candidate.tree_digest
    with uninterrupted(delivering, ENDPOINT), within(30):
        delivered = delivering.deliver(live.candidate.checkpoint)
    assert delivered.decision.outcome == "deployed"
    assert "model.storageUri" in delivered.decision.reason
    assert "kubectl-patch" in delivered.decision.reason
    [after] = [pod for pod in observed(delivering).pods if not pod.leaving]
    assert after.uid == before.uid
    assert_stands(delivering, live)


def test_a_field_that_we_never_wrote(delivering: Platform, live: Delivered) -> None:
    """Its pods start and tell the right bytes, yet they are not those that are declared."""
    [before] = observed(delivering).live_pods
    patched(delivering, {"model": {"env": [{"name": "THREADS", "value": "1"}]}})
    wait_for(lambda: before.uid not in {pod.uid for pod in observed(delivering).pods})
    with uninterrupted(delivering, ENDPOINT):
        delivered = delivering.deliver(live.candidate.checkpoint)
    assert delivered.decision.outcome == "deployed"
    assert "model.env" in delivered.decision.reason
    found = delivering.kubernetes.get(GROUP, "InferenceService", ENDPOINT, NAMESPACE)
    assert "env" not in found["spec"]["predictor"]["model"]
    assert_stands(delivering, live)


def test_it_is_deleted_and_made_again(delivering: Platform, live: Delivered) -> None:
    before = observed(delivering)
    found = delivering.kubernetes.get(GROUP, "InferenceService", ENDPOINT, NAMESPACE)
    by_hand(delivering, "delete", "isvc", ENDPOINT, "--wait=true")
    gone = verified(delivering)
    assert gone.verdict is Verdict.DIFFER
    assert "ready pods" in str(gone)

    apply(delivering.kserve_lab.lab, [applicable(found)])
    wait_until_served(delivering, live.candidate.tree_digest)
    after = observed(delivering)
    assert (after.name, after.namespace) == (before.name, before.namespace)
    assert after.uid != before.uid
    assert {pod.uid for pod in after.pods}.isdisjoint(pod.uid for pod in before.pods if pod.ready)
    by_others = verified(delivering)  # the bytes are right, yet it is not ours any more
    assert by_others.verdict is Verdict.DIFFER
    assert "kubectl" in str(by_others)

    by_hand(delivering, "delete", "isvc", ENDPOINT, "--wait=true")
    delivered = delivering.deliver(live.candidate.checkpoint)
    assert delivered.decision.outcome == "deployed"
    assert f"{ENDPOINT}: create v{live.version} (pods 1)" in delivering.said
    assert verified(delivering).verdict is Verdict.AGREE
