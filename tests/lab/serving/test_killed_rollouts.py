"""Rollouts that were killed anywhere, and two at once: the next attempt concludes the same."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from platform_assets.audits.verification import verify_endpoint
from platform_assets.lineage import facts
from platform_assets.lineage.verdict import Verdict
from platform_assets.models.verification_reading import Reading
from platform_assets.serving.endpoint import Delivered, deliver_endpoint
from platform_assets.serving.kserve_provider import KserveProvider
from resources.kubernetes import Kubernetes
from tests.lab.inference_services import NAMESPACE
from tests.lab.serving.conftest import Platform
from tests.lab.serving.requests_of_clients import another, uninterrupted

ENDPOINT = "killed"
GROUP = "serving.kserve.io/v1beta1"
SERVICE = "serving.kserve.io/inferenceservice"
ATTEMPT = Path(__file__).with_name("attempt.py")


class Killed(BaseException):
    """What a killed run feels: nothing of it goes on."""


@dataclass(frozen=True)
class MortalKubernetes(Kubernetes):
    """A cluster whose client dies right after it applied what `dies_after` names.

    Or before it deletes an object of the kind `dies_before_deleting`.
    """

    dies_after: Callable[[Mapping[str, Any]], bool] = lambda _: False
    dies_before_deleting: str = ""

    def apply(self, manifest: Mapping[str, Any], **how: Any) -> dict[str, Any]:
        applied = super().apply(manifest, **how)
        if self.dies_after(manifest):
            raise Killed
        return applied

    def delete(self, api_version: str, kind: str, *which: Any, **how: Any) -> bool:
        if kind == self.dies_before_deleting:
            raise Killed
        return super().delete(api_version, kind, *which, **how)


def has_canary(manifest: Mapping[str, Any]) -> bool:
    return "canary" in manifest["spec"]


def is_stable_service(manifest: Mapping[str, Any]) -> bool:
    return str(manifest["kind"]) == "Service"


def is_alone(manifest: Mapping[str, Any]) -> bool:
    return manifest["kind"] == "InferenceService" and not has_canary(manifest)


@pytest.fixture(scope="module")
def endpoint(delivering: Platform) -> Iterator[str]:
    yield ENDPOINT
    delivering.serving.provider.withdraw(ENDPOINT)


@pytest.fixture(scope="module")
def live(delivering: Platform, endpoint: str) -> str:
    """The endpoint with something live, whichever tests ran before."""
    if delivering.serving.provider.told(endpoint) is None:
        delivering.declare(endpoint, gpus=1)
        concluded(delivering, delivering.registered(endpoint, "live"))
    return endpoint


def kill(
    delivering: Platform,
    key: str,
    dies_after: Callable[[Mapping[str, Any]], bool] = lambda _: False,
    words: str = "",
    deleting: str = "",
) -> None:
    """Deliver with a run that dies: after an apply, as a step begins, or before it deletes."""
    provider = delivering.serving.provider
    assert isinstance(provider, KserveProvider)
    mortal = MortalKubernetes(provider.kubernetes.kubeconfig, dies_after=dies_after)
    mortal = replace(mortal, dies_before_deleting=deleting)
    serving = replace(delivering.serving, provider=replace(provider, kubernetes=mortal))

    def progress(said: str) -> None:
        if words and words in said:
            raise Killed

    with pytest.raises(Killed):
        deliver_endpoint(key, delivering.serving_file, serving, "killed", progress)


def named(delivering: Platform, api_version: str, kind: str) -> set[str]:
    """Return the objects of a kind that KServe made for the endpoint."""
    found = delivering.kubernetes.list(api_version, kind, NAMESPACE, {SERVICE: ENDPOINT})
    return {one["metadata"]["name"] for one in found}


def concluded(delivering: Platform, key: str) -> Delivered:
    """Deliver once more; what stands then is what an unbroken delivery leaves."""
    delivered = delivering.deliver(key)
    assert delivered.candidate.checkpoint == key
    kubernetes, predictor = delivering.kubernetes, f"v{delivered.version}"
    [found] = [
        one
        for one in kubernetes.list(GROUP, "InferenceService", NAMESPACE)
        if one["metadata"]["name"] == ENDPOINT
    ]
    assert "canary" not in found["spec"]
    assert found["spec"]["predictor"]["name"] == predictor
    assert found["spec"]["predictor"]["minReplicas"] == 1
    stable = kubernetes.get("v1", "Service", f"{ENDPOINT}-live", NAMESPACE)
    assert stable["spec"]["selector"] == {"app": f"isvc.{ENDPOINT}-{predictor}-predictor"}
    left = {f"{ENDPOINT}-{predictor}-predictor"}
    assert named(delivering, "apps/v1", "Deployment") == left
    assert named(delivering, "v1", "Service") == left
    assert named(delivering, "autoscaling/v2", "HorizontalPodAutoscaler") <= left
    pods = kubernetes.list("v1", "Pod", NAMESPACE, {SERVICE: ENDPOINT})
    staying = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    assert {pod["metadata"]["labels"]["app"] for pod in staying} == {f"isvc.{min(left)}"}
    recorded = delivering.serving.ledger.facts(facts.DEPLOYMENT, ENDPOINT)
    assert [one.body["checkpoint"] for one in recorded].count(key) == 1
    alias = delivering.serving.mlflow.alias(ENDPOINT, f"live-{ENDPOINT}")
    assert alias is not None
    assert alias.version == delivered.version
    told = delivering.serving.provider.told(ENDPOINT)
    assert told.tree_digest == delivered.candidate.tree_digest
    verified = verify_endpoint(delivering.places, ENDPOINT, Reading())
    assert verified.verdict is Verdict.AGREE, verified
    return delivered


def test_the_first_delivery_is_killed(delivering: Platform, endpoint: str) -> None:
    delivering.declare(endpoint, gpus=1)
    key = delivering.registered(endpoint, "first")
    kill(delivering, key, is_alone)
    assert concluded(delivering, key).decision.outcome == "deployed"


@pytest.mark.parametrize(
    ("run", "dies_after", "words"),
    [
        ("candidate-applied", has_canary, ""),
        pytest.param("gates-passed", lambda _: False, "killed: route", marks=pytest.mark.slow),
        ("service-applied", is_stable_service, ""),
        pytest.param("promotion-applied", is_alone, "", marks=pytest.mark.slow),
    ],
)
def test_a_replacement_is_killed(
    delivering: Platform,
    live: str,
    run: str,
    dies_after: Callable[[Mapping[str, Any]], bool],
    words: str,
) -> None:
    key = delivering.registered(live, run, make=another)
    with uninterrupted(delivering, live):
        kill(delivering, key, dies_after, words)
        concluded(delivering, key)


def test_a_killed_process_gives_the_endpoint_free(delivering: Platform, live: str) -> None:
    """SIGKILL in the middle of a step: the lock goes with the process."""
    key = delivering.registered(live, "process", make=another)
    serving = delivering.serving
    provider = serving.provider
    assert isinstance(provider, KserveProvider)
    given = {
        "key": key,
        "serving_file": str(delivering.serving_file),
        "kubeconfig": str(provider.kubernetes.kubeconfig),
        "kserve": provider.kserve.model_dump(mode="json"),
        "bucket": provider.bucket,
        "mlflow": [serving.mlflow.url, str(serving.mlflow.credentials_file)],
        "ledger": serving.ledger._url.render_as_string(),
    }
    command = [sys.executable, ATTEMPT, json.dumps(given)]
    with (
        uninterrupted(delivering, live),
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()) as attempt,
    ):
        assert attempt.stdout is not None
        for line in attempt.stdout:
            print("attempt:", line.strip())
            if "add candidate" in line:
                break
        attempt.send_signal(signal.SIGKILL)
        assert attempt.wait(30) == -signal.SIGKILL
        assert concluded(delivering, key).decision.outcome == "deployed"


def test_two_deliveries_at_once(delivering: Platform, live: str) -> None:
    """They wait for each other; whichever comes first, the later sealed checkpoint serves."""
    keys = [delivering.registered(live, f"at-once-{n}", make=another) for n in (1, 2)]
    ended: dict[str, Delivered | Exception] = {}

    def deliver(key: str) -> None:
        try:
            ended[key] = deliver_endpoint(
                key, delivering.serving_file, delivering.serving, "at-once", print
            )
        except Exception as error:  # noqa: BLE001 - shown by the assertion below
            ended[key] = error

    threads = [threading.Thread(target=deliver, args=(key,)) for key in keys]
    with uninterrupted(delivering, live):
        for thread in reversed(threads):
            thread.start()
        for thread in threads:
            thread.join(300)
    outcomes = {key: getattr(end, "decision", end) for key, end in ended.items()}
    assert outcomes[keys[1]].outcome == "deployed", outcomes
    assert outcomes[keys[0]].outcome in {"deployed", "superseded"}, outcomes
    assert concluded(delivering, keys[1]).decision.outcome == "already-live"


def test_a_promotion_is_killed_before_all_that_was_is_gone(
    delivering: Platform, endpoint: str
) -> None:
    """KServe leaves the old version's autoscaler, and nobody else is there to delete it."""
    delivering.declare(endpoint, gpus=1, replicas={"min": 1, "max": 2})
    before = concluded(delivering, delivering.registered(endpoint, "scaled", make=another))
    key = delivering.registered(endpoint, "scaled-next", make=another)
    scalers = "autoscaling/v2", "HorizontalPodAutoscaler"
    with uninterrupted(delivering, endpoint):
        kill(delivering, key, deleting=scalers[1])
        assert f"{endpoint}-v{before.version}-predictor" in named(delivering, *scalers)
        delivered = concluded(delivering, key)
    assert named(delivering, *scalers) == {f"{endpoint}-v{delivered.version}-predictor"}
