"""Pods of an endpoint on KServe: waiting for them, and seeing early that they will never be ready.

What a pod's status means is told from Kubernetes' own words and from the exit codes of our storage
container (`images/storage-container`). Nothing is changed here.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from platform_assets.serving.inference_service import API_VERSION, KIND
from platform_assets.serving.kserve_cluster import (
    STORAGE_INITIALIZER,
    Cluster,
    Object,
    is_ready,
    pod_digest,
)
from platform_assets.spec.errors import AiHowError
from resources.kubernetes_errors import WaitExpired

READY_S: Final = 1800.0
SETTLED_S: Final = 300.0
_LOOK_S: Final = 10.0
_NO_PODS_S: Final = 60.0
_UNSCHEDULABLE_S: Final = 60.0
_RESTARTS: Final = 2  # so many tries of what may pass by itself
UNREACHABLE: Final = 5  # the storage container's exit code for a store that does not answer
_FOR_A_PERSON: Final = {2, 3, 4, 6}  # its codes for what no new try changes
_NEVER_STARTS: Final = {
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "CreateContainerError",
}


class PodsRefused(AiHowError):
    """Pods of the new version do not start, or tell other bytes; trying again changes nothing."""


@dataclass(frozen=True)
class Failure:
    """Why a pod does not become ready; `lasts` says that waiting longer is of no use."""

    words: str
    lasts: bool


def pod_failure(pod: Mapping[str, Any], now: datetime) -> Failure | None:
    """Return why a pod does not become ready, if its status tells."""
    status = pod.get("status") or {}
    for each in status.get("initContainerStatuses") or ():
        if each["name"] == STORAGE_INITIALIZER and (found := _initializer_failure(each)):
            return found
    every = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    for each in every:
        waiting = (each.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in _NEVER_STARTS:
            words = f"{each['name']}: {waiting['reason']}: {waiting.get('message', '')}"
            return Failure(words, lasts=True)
    for each in status.get("containerStatuses") or ():
        if found := _container_failure(each):
            return found
    for each in status.get("conditions") or ():
        if each["type"] == "PodScheduled" and each.get("reason") == "Unschedulable":
            since = datetime.fromisoformat(each["lastTransitionTime"])
            waited = (now - since).total_seconds()
            return Failure(f"no node takes it: {each.get('message')}", waited > _UNSCHEDULABLE_S)
    return None


def _initializer_failure(status: Mapping[str, Any]) -> Failure | None:
    ended = _ended(status)
    if ended is None or ended.get("exitCode") == 0:
        return None
    code, restarts = ended.get("exitCode"), int(status.get("restartCount", 0))
    told = str(ended.get("message") or ended.get("reason") or f"exit code {code}").strip()
    return Failure(f"the model was not fetched: {told}", code in _FOR_A_PERSON or restarts >= 2)


def _container_failure(status: Mapping[str, Any]) -> Failure | None:
    ended = _ended(status)
    if ended is None:
        return None
    reason = str(ended.get("reason") or "Error")
    told = str(ended.get("message") or "").strip()
    words = f"{status['name']} ended: {reason}, exit code {ended.get('exitCode')}"
    if reason == "OOMKilled":
        words += ": the model needs more than its memory limit; raise resources.limits.memory"
    lasts = reason == "OOMKilled" or int(status.get("restartCount", 0)) >= _RESTARTS
    return Failure(f"{words}: {told}" if told else words, lasts)


def _ended(status: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return how a container ended last, unless it runs or has run well since."""
    state = status.get("state") or {}
    if state.get("running") and status.get("ready"):
        return None
    return state.get("terminated") or (status.get("lastState") or {}).get("terminated")


def await_pods(  # noqa: PLR0917 - which pods, how many, of what
    cluster: Cluster,
    endpoint: str,
    deployment: str,
    count: int,
    tree_digest: str,
    progress: Callable[[str], None],
) -> None:
    """Wait until `count` ready pods of a Deployment tell the digest, and no others are left.

    Raises:
        PodsRefused: they will not become ready, or one tells another digest.
        WaitExpired: they did not come in time; the message explains how things stand.
        KubernetesUnavailable: the cluster cannot be asked.
    """
    kubernetes, begun = cluster.kubernetes, time.monotonic()
    labels, said = {"app": f"isvc.{deployment}"}, set[str]()
    while True:
        pods: dict[str, Object] = {}
        for change, pod in kubernetes.watch(
            "v1", "Pod", cluster.namespace, labels=labels, timeout_s=_LOOK_S
        ):
            uid = pod["metadata"]["uid"]
            pods[uid] = pod
            if change == "DELETED":
                del pods[uid]
            if _enough(pods.values(), count, tree_digest):
                _await_deployment(cluster, deployment, count)
                return
            _check(pods.values(), endpoint, tree_digest, progress, said)
        waited = time.monotonic() - begun
        _check(pods.values(), endpoint, tree_digest, progress, said)
        if waited > READY_S or (not pods and waited > _NO_PODS_S):
            told = kubernetes.explain(API_VERSION, KIND, endpoint, cluster.namespace)
            wanted = f"{count} ready pods of {deployment} within {waited:.0f} s"
            hint = "" if pods else "; no pod was made: is KServe's manager running?"
            raise WaitExpired(f"endpoint {endpoint}: expected {wanted}, found {told}{hint}")


def _enough(pods: Iterable[Object], count: int, tree_digest: str) -> bool:
    ready = [pod for pod in _staying(pods) if is_ready(pod) and pod_digest(pod) == tree_digest]
    return len(ready) >= count


def _staying(pods: Iterable[Object]) -> list[Object]:
    return [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]


def _check(
    pods: Iterable[Object],
    endpoint: str,
    tree_digest: str,
    progress: Callable[[str], None],
    said: set[str],
) -> None:
    """Raise what lasts, and tell once what may pass."""
    for pod in _staying(pods):
        name, told = pod["metadata"]["name"], pod_digest(pod)
        if is_ready(pod) and told is not None and told != tree_digest:
            message = f"endpoint {endpoint}: pod {name} tells tree digest {told}, not {tree_digest}"
            raise PodsRefused(f"{message}; find out who changed its InferenceService")
        failure = pod_failure(pod, datetime.now(UTC))
        if failure is None:
            continue
        words = f"pod {name}: {failure.words}"
        if failure.lasts:
            raise PodsRefused(f"endpoint {endpoint}: {words}; what was live is untouched")
        if words not in said:
            said.add(words)
            progress(words)


def _await_deployment(cluster: Cluster, deployment: str, count: int) -> None:
    """Wait until a Deployment has no pods but its newest."""

    def settled(one: Object | None) -> bool:
        status = (one or {}).get("status") or {}
        return (
            one is not None
            and status.get("observedGeneration", 0) >= one["metadata"]["generation"]
            and status.get("updatedReplicas", 0) == status.get("replicas", 0)
            and status.get("availableReplicas", 0) >= count
        )

    cluster.kubernetes.wait(
        "apps/v1",
        "Deployment",
        deployment,
        cluster.namespace,
        settled,
        what=f"to have {count} available pods and none of before",
        timeout_s=SETTLED_S,
    )
