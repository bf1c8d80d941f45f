"""What a rollout's plan starts from, read out of what the cluster tells.

Pure: InferenceService, Service, pods and ServingRuntime come in as the API spells them. The plan
itself stands in `rollout.py`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import ceil
from typing import Any

from platform_assets.lineage import ids
from platform_assets.serving.inference_service import (
    SCALER,
    Manifest,
    deployment_name,
    differs,
    inherited,
    served_predictor,
)
from platform_assets.serving.inference_services import told_digest
from platform_assets.serving.node_room import Needs, needs_of, requests_of
from platform_assets.serving.rollout import Current, Running, Wanted
from platform_assets.spec.served_pods import Replicas
from resources.kubernetes_words import is_ready

Object = Mapping[str, Any]
_DIGEST = re.compile(r"/sha256-([0-9a-f]{64})/\Z")


def wanted_of(
    manifest: Manifest,
    found: Object | None,
    *,
    runtime: Object | None = None,
    is_gated: bool = True,
) -> Wanted:
    """Return what `manifest` wants; `runtime` is the spec of the ServingRuntime that serves it.

    Without it, what only the runtime asks for (processor, memory) is not counted.
    """
    predictor = manifest["spec"]["predictor"]
    left = inherited(found["spec"]["predictor"], predictor) if found is not None else ()
    return Wanted(
        predictor["name"],
        _digest(predictor),
        _bounds(predictor, predictor["minReplicas"]),
        needs_of(predictor, runtime),
        left,
        is_gated,
    )


def current_of(
    found: Object | None,
    service: Object | None,
    pods: Iterable[Object],
    manifest: Manifest,
    *,
    runtime: Object | None = None,
    there_are: Iterable[str] = (),
) -> Current | None:
    """Return what runs of the InferenceService `found`, compared with the wanted `manifest`.

    `pods` may be all of its namespace; those that are being deleted do not count any more.
    `there_are` names the predictors of which there is something.
    """
    if found is None:
        return None
    spec, endpoint = found["spec"], found["metadata"]["name"]
    stable = spec["predictor"]
    minimum = stable.get("minReplicas") or 1
    canaries = list(spec.get("canary") or ())
    taken = sum(_canary_pods(each, minimum) for each in canaries)
    least = max(minimum - taken, 1) if canaries else minimum
    there = list(pods)

    def running(predictor: Object, declared: int) -> Running:
        own = _pods_of(there, deployment_name(endpoint, predictor.get("name", "")))
        return _running(predictor, declared, own, manifest, runtime)

    declared = {one.get("name", "") for one in (stable, *(each["predictor"] for each in canaries))}
    live = running(stable, least)
    if any(spec[key] for key in spec if key not in ("predictor", "canary")):
        live = replace(live, as_wanted=False)
    return Current(
        live,
        running(canaries[0]["predictor"], _canary_pods(canaries[0], minimum)) if canaries else None,
        served_predictor(service, endpoint) if service is not None else None,
        tuple(sorted(set(there_are) - declared)),
    )


def _running(
    predictor: Object, least: int, own: list[Object], manifest: Manifest, runtime: Object | None
) -> Running:
    bound = [pod for pod in own if pod["spec"].get("nodeName")]
    bounds, digest = _bounds(predictor, least), _digest(predictor)
    proven = sum(is_ready(pod) and told_digest(pod["status"]) == digest for pod in bound)
    return Running(
        predictor.get("name", ""),
        digest,
        least if bounds.is_fixed else max(len(own), least),
        bounds,
        tuple(pod["spec"]["nodeName"] for pod in bound),
        sum(is_ready(pod) for pod in bound),
        _needs(predictor, bound, runtime),
        differs(predictor, manifest["spec"]["predictor"]) == (),
        len(own) - proven,
    )


def _needs(predictor: Object, bound: list[Object], runtime: Object | None) -> Needs:
    """Return what each pod needs: as the first one says itself, else as it is declared."""
    needs = needs_of(predictor, runtime)
    if not bound:
        return needs
    return Needs(requests_of(bound[0]["spec"]), needs.node_selector, needs.tolerations)


def _canary_pods(canary: Object, minimum: int) -> int:
    declared = canary["predictor"].get("minReplicas")
    return int(ceil(minimum * canary["trafficPercent"] / 100) if declared is None else declared)


def _bounds(predictor: Object, least: int) -> Replicas:
    fixed = (predictor.get("annotations") or {}).get(SCALER) == "none"
    most = least if fixed else max(predictor.get("maxReplicas") or 0, least)
    return Replicas(min=least, max=most)


def _digest(predictor: Object) -> str:
    """Return the tree digest that a predictor's pods load, or an empty text."""
    found = _DIGEST.search((predictor.get("model") or {}).get("storageUri") or "")
    told = (predictor.get("annotations") or {}).get(ids.annotation_name(ids.TREE_DIGEST))
    return found[1] if found is not None else str(told or "")


def _pods_of(pods: Iterable[Object], deployment: str) -> list[Object]:
    return [pod for pod in pods if _is_of(pod, f"isvc.{deployment}")]


def _is_of(pod: Object, app: str) -> bool:
    metadata = pod["metadata"]
    ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    mine: bool = (metadata.get("labels") or {}).get("app") == app
    return mine and not ended and metadata.get("deletionTimestamp") is None
