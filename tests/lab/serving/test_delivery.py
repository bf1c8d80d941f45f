"""A checkpoint carried onto a real KServe, replaced, gated and verified."""

import time
from dataclasses import replace

from sklearn.datasets import load_digits

from platform_assets.audits.verification import verify_endpoint
from platform_assets.lineage.verdict import Verdict
from platform_assets.models.verification_reading import Reading
from platform_assets.serving.inference_services import SERVICE_LABEL
from platform_assets.serving.kserve_provider import KserveProvider
from platform_assets.serving.live_endpoints import observe_live
from tests.lab.inference_services import NAMESPACE
from tests.lab.serving.conftest import Platform


def predicted(delivering: Platform, name: str, count: int) -> list[int]:
    answering = delivering.serving.provider.answering(name)
    images, _ = load_digits(return_X_y=True)
    inputs = {
        "name": "input-0",
        "shape": [count, 64],
        "datatype": "FP64",
        "data": images[:count].flatten().tolist(),
    }
    answer = answering.server.infer(answering.name, {"inputs": [inputs]})
    return list(answer["outputs"][0]["data"])


def logging_in(delivering: Platform) -> Platform:
    """Return the platform of an estate whose nodes log in to pull; here all images lie there."""
    provider = delivering.serving.provider
    assert isinstance(provider, KserveProvider)
    kserve = provider.kserve.model_copy(update={"pull_secret": "registry"})
    serving = replace(delivering.serving, provider=replace(provider, kserve=kserve))
    return replace(delivering, serving=serving)


def test_a_checkpoint_answers(delivering: Platform, name: str) -> None:
    delivering = logging_in(delivering)
    provider, ledger = delivering.serving.provider, delivering.serving.ledger
    delivering.declare(name, gpus=1)
    first = delivering.registered(name, "one", seed=1)
    begun = time.monotonic()
    delivered = delivering.deliver(first)
    print(f"delivered in {time.monotonic() - begun:.1f} s")
    assert delivered.decision.outcome == "deployed"
    _, labels = load_digits(return_X_y=True)
    assert predicted(delivering, name, 5) == labels[:5].tolist()
    assert provider.told(name).tree_digest == delivered.candidate.tree_digest
    verification = verify_endpoint(delivering.places, name, Reading())
    assert verification.verdict is Verdict.AGREE, verification
    (seen,) = [one for one in observe_live(provider, ledger) if one.endpoint == name]
    assert seen.agrees, seen
    pods = [row.data for row in provider.evidence()["pods"].records]
    (pod,) = [row for row in pods if row["endpoint"] == name]
    assert pod["tree digest"] == delivered.candidate.tree_digest
    assert pod["node"] == delivering.kserve_lab.lab.node
    (made,) = delivering.kubernetes.list("v1", "Pod", NAMESPACE, {SERVICE_LABEL: name})
    assert made["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    again = delivering.deliver(first)
    assert again.decision.outcome == "already-live"

    second = delivering.registered(name, "two", seed=2)
    begun = time.monotonic()
    replaced = delivering.deliver(second)
    print(f"replaced in {time.monotonic() - begun:.1f} s")
    assert replaced.swap.previous_digest == delivered.candidate.tree_digest
    assert predicted(delivering, name, 5) == labels[:5].tolist()
    assert verify_endpoint(delivering.places, name, Reading()).verdict is Verdict.AGREE
