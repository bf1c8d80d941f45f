"""Pods of an endpoint on KServe: waiting for them, and seeing early that they will never be ready.

What a pod's status means is told from Kubernetes' own words and from the exit codes of our storage
container (`images/storage-container`). Nothing is changed here.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, Final

from platform_assets.serving.inference_service import API_VERSION, KIND
from platform_assets.serving.inference_services import STORAGE_CONTAINER, told_digest
from platform_assets.serving.kserve_cluster import Cluster, Object
from platform_assets.spec.errors import AiHowError
from resources.kubernetes_errors import WaitExpired
from resources.kubernetes_words import container_statuses, is_ready, pod_failure, unmet_conditions

READY_S: Final = 1800.0
SETTLED_S: Final = 300.0
_LOOK_S: Final = 10.0
_NO_PODS_S: Final = 60.0
_CHANGED_S: Final = 10.0
_UNSCHEDULABLE_S: Final = 60.0
_RESTARTS: Final = 2  # so many tries of what may pass by itself
_FOR_A_PERSON: Final = {2, 3, 4, 6}  # exit codes of the storage container
_TEMPLATE_LABEL: Final = "pod-template-hash"
_STORE_AWAY: Final = 5  # that of a store that does not answer
_NEVER_STARTS: Final = {
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "CreateContainerError",
}
OUT_OF_MEMORY: Final = "OOMKilled"
_MORE_MEMORY: Final = "the model needs more memory: raise its resources.limits.memory"


class PodsRefused(AiHowError):
    """Pods of the new version do not start, or tell other bytes; trying again changes nothing."""


def is_hopeless(pod: Mapping[str, Any], now: datetime) -> bool:
    """Return whether a pod will not become ready however long one waits, as its status tells.

    What may pass by itself (a store that does not answer, a server that ended) is hopeless after
    the third try, a pod that no node takes after a minute.
    """
    status = pod.get("status") or {}
    if any(_is_lasting(each) for each in container_statuses(pod)):
        return True
    for each in status.get("conditions") or ():
        if each["type"] == "PodScheduled" and each.get("reason") == "Unschedulable":
            waited = now - datetime.fromisoformat(each["lastTransitionTime"])
            return waited.total_seconds() > _UNSCHEDULABLE_S
    return False


def _is_lasting(status: Mapping[str, Any]) -> bool:
    state = status.get("state") or {}
    if (state.get("waiting") or {}).get("reason") in _NEVER_STARTS:
        return True
    ended = state.get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
    if status.get("ready") or ended.get("exitCode", 0) == 0:
        return False
    if status["name"] == STORAGE_CONTAINER and ended["exitCode"] in _FOR_A_PERSON:
        return True
    return ended.get("reason") == OUT_OF_MEMORY or int(status.get("restartCount", 0)) >= _RESTARTS


def await_pods(  # noqa: PLR0917 - which pods, how many, of what
    cluster: Cluster,
    endpoint: str,
    deployment: str,
    count: int,
    tree_digest: str,
    progress: Callable[[str], None],
    leaving: Collection[str] = (),
) -> None:
    """Wait until `count` ready pods of a Deployment tell the digest, and no others are left.

    `leaving` are the uids of pods that are about to be replaced: how they fare does not count.

    Raises:
        PodsRefused: they will not become ready, or one tells another digest.
        WaitExpired: they did not come in time, for the object store or a node is away, or for
            what the message explains.
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
            if uid in leaving:
                continue
            pods[uid] = pod
            if change == "DELETED":
                del pods[uid]
            if _enough(pods.values(), count, tree_digest):
                _await_deployment(cluster, deployment, count)
                return
            _check(pods.values(), endpoint, tree_digest, progress, said)
        waited = time.monotonic() - begun
        _check(pods.values(), endpoint, tree_digest, progress, said)
        _check_nodes(cluster, pods.values(), endpoint)
        if waited > READY_S or (not pods and waited > _NO_PODS_S):
            told = kubernetes.explain(API_VERSION, KIND, endpoint, cluster.namespace)
            wanted = f"{count} ready pods of {deployment} within {waited:.0f} s"
            hint = "" if pods else "; no pod was made: is KServe's manager running?"
            raise WaitExpired(f"endpoint {endpoint}: expected {wanted}, found {told}{hint}")


def await_change(cluster: Cluster, deployment: str, generation: int) -> None:
    """Wait until KServe has given a Deployment another template than that of this generation.

    Where it does not, for what it makes of the InferenceService is the same, this soon ends.
    """
    with suppress(WaitExpired):
        cluster.kubernetes.wait(
            "apps/v1",
            "Deployment",
            deployment,
            cluster.namespace,
            lambda one: one is not None and one["metadata"]["generation"] > generation,
            what=f"to be changed after generation {generation}",
            timeout_s=_CHANGED_S,
        )


def outdated(cluster: Cluster, deployment: str) -> tuple[str, ...]:
    """Return the uids of a Deployment's pods that are not of its template, and so will go."""
    labels = {"app": f"isvc.{deployment}"}
    # The pods first: to each of them there is a ReplicaSet then.
    pods = list(cluster.kubernetes.list("v1", "Pod", cluster.namespace, labels))
    template = cluster.deployment(deployment).get("spec", {}).get("template")
    current = set[str]()
    for one in cluster.kubernetes.list("apps/v1", "ReplicaSet", cluster.namespace, labels):
        made = deepcopy(one["spec"]["template"])
        name = made["metadata"]["labels"].pop(_TEMPLATE_LABEL, "")
        if made == template:
            current.add(name)
    return tuple(
        pod["metadata"]["uid"]
        for pod in pods
        if pod["metadata"]["labels"].get(_TEMPLATE_LABEL) not in current
    )


def await_leaving(cluster: Cluster, deployment: str, timeout_s: float) -> bool:
    """Wait until no pod of a Deployment is there that is not being deleted; say whether it came."""
    labels = {"app": f"isvc.{deployment}"}
    listed = cluster.kubernetes.list("v1", "Pod", cluster.namespace, labels)
    there = {pod["metadata"]["uid"]: pod for pod in listed}
    if not _staying(there.values()):
        return True
    for change, pod in cluster.kubernetes.watch(
        "v1", "Pod", cluster.namespace, labels=labels, timeout_s=timeout_s
    ):
        there[pod["metadata"]["uid"]] = pod
        if change == "DELETED":
            del there[pod["metadata"]["uid"]]
        if not _staying(there.values()):
            return True
    return False


def await_requests(cluster: Cluster, service: str, deployment: str, timeout_s: float) -> None:
    """Wait until a Service sends requests to ready pods of this Deployment, and to no others.

    Raises:
        WaitExpired: it did not in time.
    """
    slices, names = dict[str, Object](), list[str]()
    for change, one in cluster.kubernetes.watch(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        cluster.namespace,
        labels={"kubernetes.io/service-name": service},
        timeout_s=timeout_s,
    ):
        slices[one["metadata"]["uid"]] = one
        if change == "DELETED":
            del slices[one["metadata"]["uid"]]
        names = [
            each["targetRef"]["name"]
            for one in slices.values()
            for each in one.get("endpoints") or ()
            if (each.get("conditions") or {}).get("ready") and each.get("targetRef")
        ]
        if names and all(name.startswith(f"{deployment}-") for name in names):
            return
    told = ", ".join(names) or "none"
    raise WaitExpired(
        f"Service {service}: expected ready pods of {deployment} behind it within "
        f"{timeout_s:g} s, found {told}; does the cluster's controller manager run?"
    )


def _enough(pods: Iterable[Object], count: int, tree_digest: str) -> bool:
    ready = [
        pod
        for pod in _staying(pods)
        if is_ready(pod) and told_digest(pod.get("status") or {}) == tree_digest
    ]
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
        name, told = pod["metadata"]["name"], told_digest(pod.get("status") or {})
        if is_ready(pod) and told not in {None, tree_digest}:
            message = f"endpoint {endpoint}: pod {name} tells tree digest {told}, not {tree_digest}"
            raise PodsRefused(f"{message}; find out who changed its InferenceService")
        failure = pod_failure(pod)
        words = f"pod {name}: {failure}"
        if failure and is_hopeless(pod, datetime.now(UTC)):
            hint = f"; {_MORE_MEMORY}" if OUT_OF_MEMORY in failure else ""
            message = f"endpoint {endpoint}: {words}; what was live is untouched{hint}"
            raise WaitExpired(message) if _may_pass(pod) else PodsRefused(message)
        if failure and words not in said:
            said.add(words)
            progress(words)


def _may_pass(pod: Mapping[str, Any]) -> bool:
    """Return whether what keeps a pod from starting is a store that is away, or want of a node.

    There was a node when the rollout was planned; a new attempt plans anew.
    """
    if not (pod.get("spec") or {}).get("nodeName"):
        return True
    for status in container_statuses(pod):
        state, last = status.get("state") or {}, status.get("lastState") or {}
        ended = state.get("terminated") or last.get("terminated") or {}
        if status["name"] == STORAGE_CONTAINER and ended.get("exitCode") == _STORE_AWAY:
            return True
    return False


def _check_nodes(cluster: Cluster, pods: Iterable[Object], endpoint: str) -> None:
    """Raise where a pod waits for a node that is gone; its status will not change any more."""
    for pod in _staying(pods):
        name = (pod.get("spec") or {}).get("nodeName")
        if name is None or is_ready(pod):
            continue
        node = cluster.node(name)
        if node is None or not is_ready(node):
            told = "it was deleted" if node is None else "; ".join(unmet_conditions(node))
            message = (
                f"endpoint {endpoint}: pod {pod['metadata']['name']} stands on node {name}, which "
                f"is not ready: {told}; bring the node back, or remove it from the cluster"
            )
            raise WaitExpired(message)


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
