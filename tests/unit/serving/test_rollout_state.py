"""What a plan starts from: InferenceService, Service and pods as the API gives them."""

from copy import deepcopy
from fractions import Fraction
from typing import Any

from platform_assets.serving.inference_service import live_service, with_candidate
from platform_assets.serving.rollout_state import current_of, wanted_of
from platform_assets.spec.served_pods import Replicas
from tests.unit.serving.cluster_model import GPU, manifest, told

SERVICE = live_service("e", "v1", namespace="default", estate="lab")
RUNTIME = {
    "containers": [{"name": "kserve-container", "resources": {"requests": {"memory": "2Gi"}}}]
}


def pod(predictor: str, node: str | None, *, ready: bool = True, **more: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [{"resources": {"requests": {GPU: "1", "cpu": "1"}}}]}
    status = "True" if ready else "False"
    digest = f"{more.pop('told', int(predictor[1:])):064x}"
    return {
        "metadata": {"labels": {"app": f"isvc.e-{predictor}-predictor"}} | more.pop("metadata", {}),
        "spec": spec | ({"nodeName": node} if node else {}),
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": status}]}
        | {"initContainerStatuses": [told(digest)]}
        | more,
    }


def test_nothing_runs_before_the_first_version() -> None:
    assert current_of(None, None, [], manifest(1, {})) is None


def test_the_live_version_is_told_by_its_uri_and_its_pods() -> None:
    going = {"deletionTimestamp": "2026-11-21T10:00:00Z"}
    pods = [
        pod("v1", "a"),
        pod("v1", "b", ready=False),
        pod("v1", None, ready=False),
        pod("v1", "c", metadata={"labels": {"app": "isvc.e-v1-predictor"}} | going),
        pod("v1", "c", phase="Failed"),
        pod("v9", "c"),
    ]
    found = manifest(1, {"gpus": 1, "replicas": 3})
    found["spec"]["predictor"]["annotations"]["ai-how.dev/tree-digest"] = "edited"
    current = current_of(found, SERVICE, pods, manifest(1, {"gpus": 1, "replicas": 3}))
    assert current is not None
    live = current.live
    assert (live.predictor, live.tree_digest) == ("v1", f"{1:064x}")
    assert (live.nodes, live.ready, live.replicas) == (("a", "b"), 1, 3)
    assert live.needs.requests == {GPU: 1, "cpu": 1}
    assert live.needs.tolerations[0]["key"] == GPU
    assert (current.candidate, current.served) == (None, "v1")
    assert not live.as_wanted  # its annotation was edited


def test_a_pod_proves_itself_by_being_ready_and_telling_the_bytes() -> None:
    pods = [
        pod("v1", "a"),
        pod("v1", "b", told=7),
        pod("v1", "c", ready=False),
        pod("v1", None, ready=False),
        pod("v1", "d", phase="Failed"),
    ]
    found = manifest(1, {"gpus": 1, "replicas": 3})
    current = current_of(found, SERVICE, pods, found)
    assert current is not None
    assert (current.live.ready, current.live.unproven) == (2, 3)


def test_a_version_before_which_others_put_a_transformer_is_not_as_wanted() -> None:
    found = manifest(1, {})
    edited = found | {"spec": found["spec"] | {"transformer": {"minReplicas": 1}}}
    current = current_of(edited, SERVICE, [], found)
    assert current is not None
    assert not current.live.as_wanted


def test_predictors_that_nobody_declares_any_more_are_left() -> None:
    found = with_candidate(manifest(2, {}), manifest(3, {}), pods=1, held=1)
    current = current_of(found, SERVICE, [], found, there_are=["v1", "v3", "v2", "v0"])
    assert current is not None
    assert current.left == ("v0", "v1")


def test_a_service_with_more_than_our_selector_sends_requests_to_nobody() -> None:
    edited = deepcopy(SERVICE)
    edited["spec"]["selector"]["track"] = "stable"
    current = current_of(manifest(1, {}), edited, [], manifest(1, {}))
    assert current is not None
    assert current.served is None


def test_what_is_held_for_a_candidate_is_not_the_live_count() -> None:
    wanted = manifest(2, {"replicas": 2})
    found = with_candidate(manifest(1, {"replicas": 3}), wanted, pods=2, held=3)
    assert found["spec"]["predictor"]["minReplicas"] == 5
    current = current_of(found, None, [], wanted)
    assert current is not None
    assert (current.live.replicas, current.live.bounds) == (3, Replicas(min=3, max=3))
    assert current.candidate is not None
    assert (current.candidate.replicas, current.candidate.as_wanted) == (2, True)
    assert current.served is None


def test_an_autoscaled_version_has_as_many_pods_as_there_are() -> None:
    found = manifest(1, {"replicas": {"min": 1, "max": 4}})
    current = current_of(found, SERVICE, [pod("v1", "a")] * 3, found)
    assert current is not None
    assert (current.live.replicas, current.live.bounds) == (3, Replicas(min=1, max=4))
    assert current.live.as_wanted


def test_somebodys_canary_without_a_number_has_its_share_of_the_pods() -> None:
    found = manifest(1, {"replicas": 4})
    predictor = {"name": "x", "model": {"storageUri": "s3://elsewhere/"}}
    found["spec"]["canary"] = [{"trafficPercent": 30, "predictor": predictor}]
    current = current_of(found, SERVICE, [], manifest(2, {}))
    assert current is not None
    assert current.candidate is not None
    assert (current.candidate.replicas, current.candidate.tree_digest) == (2, "")
    assert current.live.replicas == 2


def test_what_is_wanted_counts_what_the_runtime_asks_for() -> None:
    wanted = wanted_of(manifest(2, {"gpus": 1}), None, runtime=RUNTIME)
    assert wanted.needs.requests == {GPU: Fraction(1), "memory": Fraction(2 * 1024**3)}
    assert (wanted.predictor, wanted.inherited, wanted.is_gated) == ("v2", (), True)
    left = wanted_of(manifest(2, {}), manifest(1, {"runtime": "mine"}), is_gated=False)
    assert (left.inherited, left.is_gated) == (("model.runtime",), False)
