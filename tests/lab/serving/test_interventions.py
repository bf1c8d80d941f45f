"""Gates, rollback, pause and delete on KServe: the same commands, the same words, real pods."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from platform_assets.audits.verification import verify_endpoint
from platform_assets.lineage import facts
from platform_assets.lineage.verdict import Verdict
from platform_assets.models.verification_reading import Reading
from platform_assets.serving.endpoint import Delivered
from platform_assets.serving.gate_report import GateFailed
from platform_assets.serving.intervention import Intervention
from platform_assets.serving.pause import pause, resume
from platform_assets.serving.rollback import roll_back
from platform_assets.serving.withdrawal import delete
from resources.kubernetes_errors import ObjectMissing
from tests.integration.serving.test_gates import CONFIG, OURS, mistrained
from tests.lab.inference_services import NAMESPACE
from tests.lab.serving.conftest import Platform
from tests.lab.serving.requests_of_clients import another, uninterrupted

ENDPOINT = "interventions"
GROUP = "serving.kserve.io/v1beta1"


@pytest.fixture(scope="module")
def live(delivering: Platform) -> Iterator[Delivered]:
    """A good model that passed every gate and serves."""
    shutil.copytree(CONFIG / "gates", delivering.serving_file.parent / "gates", dirs_exist_ok=True)
    delivering.declare(ENDPOINT, gpus=1, gates=OURS)
    delivered = delivering.deliver(delivering.registered(ENDPOINT, "good"))
    assert delivered.gates.passed
    assert {"smoke", "accuracy", "latency p95"} <= {one.gate for one in delivered.gates.results}
    yield delivered
    delivering.serving.provider.withdraw(ENDPOINT)


def asked(delivering: Platform, request: str) -> Intervention:
    file: Path = delivering.serving_file
    return Intervention(delivering.serving, file, request, "ada", "a-run", print)


def served(delivering: Platform) -> str | None:
    told = delivering.serving.provider.told(ENDPOINT)
    return None if told is None else told.tree_digest


def agrees(delivering: Platform) -> None:
    verified = verify_endpoint(delivering.places, ENDPOINT, Reading())
    assert verified.verdict is Verdict.AGREE, verified


def test_a_mistrained_model_is_kept_out(delivering: Platform, live: Delivered) -> None:
    key = delivering.registered(ENDPOINT, "mistrained", make=mistrained)
    with uninterrupted(delivering, ENDPOINT), pytest.raises(GateFailed) as told:
        delivering.deliver(key)
    assert "what was live is untouched" in str(told.value)
    assert "a clear 0: expected 0, found 1" in str(told.value)
    found = delivering.kubernetes.get(GROUP, "InferenceService", ENDPOINT, NAMESPACE)
    assert "canary" not in found["spec"]
    assert served(delivering) == live.candidate.tree_digest
    fact = delivering.serving.ledger.facts(facts.GATE, ENDPOINT)[-1]
    assert fact.body["passed"] is False
    assert fact.body["tree_digest"] == delivering.digest(key)
    agrees(delivering)


def test_rollback_pause_resume_and_delete(delivering: Platform, live: Delivered) -> None:
    delivering.declare(ENDPOINT, gpus=1)
    with uninterrupted(delivering, ENDPOINT):
        bad = delivering.deliver(delivering.registered(ENDPOINT, "bad", make=another))
        assert bad.decision.outcome == "deployed"
        done = roll_back(asked(delivering, "one"), ENDPOINT, None, "it answers nonsense")
        assert done.delivered is not None
        assert done.delivered.version == live.version
        assert served(delivering) == live.candidate.tree_digest
        agrees(delivering)
        again = delivering.deliver(bad.candidate.checkpoint)
        assert again.decision.outcome == "registered"
        assert "it answers nonsense" in again.decision.reason

        pause(asked(delivering, "two"), ENDPOINT, "we look at it")
        newer = delivering.registered(ENDPOINT, "newer", make=another)
        waits = delivering.deliver(newer)
        assert waits.decision.outcome == "registered"
        assert "we look at it" in waits.decision.reason
        assert served(delivering) == live.candidate.tree_digest
        resumed = resume(asked(delivering, "three"), ENDPOINT)
        assert resumed.delivered is not None
        assert resumed.delivered.candidate.checkpoint == newer
        agrees(delivering)

    gone = delete(asked(delivering, "four"), ENDPOINT, ENDPOINT, "nobody asks it")
    assert "is deleted" in gone.sentence
    assert served(delivering) is None
    for api_version, kind, name in (
        (GROUP, "InferenceService", ENDPOINT),
        ("v1", "Service", f"{ENDPOINT}-live"),
    ):
        with pytest.raises(ObjectMissing):
            delivering.kubernetes.get(api_version, kind, name, NAMESPACE)
    assert delivering.deliver(newer).decision.outcome == "registered"
