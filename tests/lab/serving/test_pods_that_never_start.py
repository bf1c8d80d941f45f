"""New versions whose pods cannot start: each refused with its reason, the live one untouched."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from platform_assets.audits.verification import verify_endpoint
from platform_assets.lineage import facts
from platform_assets.lineage.verdict import Verdict
from platform_assets.models.verification_reading import Reading
from platform_assets.serving.endpoint import Delivered
from platform_assets.serving.kserve_pods import PodsRefused
from platform_assets.serving.kserve_rollout import RolloutRefused
from tests.lab import kserve_manifests
from tests.lab.inference_services import ACCOUNT, NAMESPACE, ensure_account
from tests.lab.kserve import apply, kubectl
from tests.lab.serving.conftest import Platform
from tests.lab.serving.requests_of_clients import another, uninterrupted, within

ENDPOINT = "never-starts"
TOLD_S = 90.0
GROUP = "serving.kserve.io/v1beta1"


@pytest.fixture(scope="module")
def live(delivering: Platform) -> Iterator[Delivered]:
    """An endpoint that serves; no candidate of the tests takes its place."""
    delivering.declare(ENDPOINT, gpus=1)
    delivered = delivering.deliver(delivering.registered(ENDPOINT, "live"))
    assert delivered.decision.outcome == "deployed"
    yield delivered
    delivering.serving.provider.withdraw(ENDPOINT)


def refused(
    delivering: Platform, live: Delivered, run: str, error: type[Exception], **entry: Any
) -> str:
    """Deliver a checkpoint that is refused; return why. Nothing of it is left, all of live is."""
    key = delivering.registered(ENDPOINT, run, make=another)
    delivering.declare(ENDPOINT, **{"gpus": 1} | entry)
    deployments = len(delivering.serving.ledger.facts(facts.DEPLOYMENT))
    before = service(delivering)
    with uninterrupted(delivering, ENDPOINT), within(TOLD_S), pytest.raises(error) as told:
        delivering.deliver(key)
    print(told.value)
    after = service(delivering)
    assert "canary" not in after["spec"]
    assert after["spec"]["predictor"] == before["spec"]["predictor"]
    assert len(delivering.serving.ledger.facts(facts.DEPLOYMENT)) == deployments
    verified = verify_endpoint(delivering.places, ENDPOINT, Reading())
    assert verified.verdict is Verdict.AGREE, verified
    return str(told.value)


def service(delivering: Platform) -> dict[str, Any]:
    return delivering.kubernetes.get(GROUP, "InferenceService", ENDPOINT, NAMESPACE)


def test_an_image_that_cannot_be_pulled(delivering: Platform, live: Delivered) -> None:
    image = f"{delivering.kserve_lab.lab.address}:5999/nothing@sha256:{0:064x}"
    runtime = kserve_manifests.serving_runtime(image)
    runtime["metadata"]["name"] = "unpullable"
    apply(delivering.kserve_lab.lab, [runtime])
    told = refused(delivering, live, "unpullable", PodsRefused, runtime="unpullable")
    assert "ImagePull" in told
    assert image in told
    assert "what was live is untouched" in told


def test_more_memory_than_the_pod_has(delivering: Platform, live: Delivered) -> None:
    little = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "64Mi"}}
    told = refused(delivering, live, "little-memory", PodsRefused, resources=little)
    assert "OOMKilled" in told
    assert "limits.memory" in told


def test_wrong_credentials(delivering: Platform, live: Delivered) -> None:
    wrong = {"AWS_SECRET_ACCESS_KEY": "not-the-key"}
    patch = json.dumps({"stringData": wrong})
    lab = delivering.kserve_lab.lab
    kubectl(lab, "patch", "secret", ACCOUNT, "-n", NAMESPACE, "--type=merge", f"-p={patch}")
    try:
        told = refused(delivering, live, "wrong-keys", PodsRefused)
    finally:
        ensure_account(delivering.kserve_lab)
    assert "manifest.json" in told
    assert "SignatureDoesNotMatch" in told or "refused" in told
    assert "not-the-key" not in told


def test_no_node_with_a_free_gpu(delivering: Platform, live: Delivered) -> None:
    told = refused(delivering, live, "two-gpus", RolloutRefused, gpus=2)
    assert "gpu-node: 1 of 2 nvidia.com/gpu free" in told
    assert "without_spare to recreate" in told
    told = refused(delivering, live, "three-gpus", RolloutRefused, gpus=3)
    assert "even without those of v1, there is room for 0 (gpu-node: 2 of 3 nvidia.com/gpu" in told


def test_a_taint_that_is_not_tolerated(delivering: Platform, live: Delivered) -> None:
    told = refused(delivering, live, "no-toleration", RolloutRefused, gpus=0)
    assert "taint nvidia.com/gpu=present:NoSchedule is not tolerated" in told
    assert "tolerations" in told


def test_a_gap_that_a_person_allows(delivering: Platform, live: Delivered) -> None:
    """Last of these, for another version is live after it."""
    key = delivering.registered(ENDPOINT, "recreated", make=another)
    delivering.declare(ENDPOINT, gpus=2, rollout={"without_spare": "recreate"})
    delivered = delivering.deliver(key)
    assert delivered.decision.outcome == "deployed"
    assert f"{ENDPOINT}: recreate v{delivered.version} (pods 1)" in delivering.said
    verified = verify_endpoint(delivering.places, ENDPOINT, Reading())
    assert verified.verdict is Verdict.AGREE, verified
