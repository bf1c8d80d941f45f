"""A short-lived pod of our storage container that asks the object store, and tells what it saw.

It shows two things that no question to the API server does: that a node can pull the image, and
that the store answers from there with the reader's key. Pod and Secret go when it has ended; those
of a check that was killed go with the next one, and the kubelet ends each pod by itself.
"""

import contextlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from platform_assets.lineage import ids
from platform_assets.services.cluster_objects import MANAGED_BY
from platform_assets.services.endpoint_ground import EndpointGround, pod_environment
from platform_assets.services.kserve_manifests import pull_secrets, secret
from resources.kubernetes import Kubernetes
from resources.kubernetes_errors import KubernetesError, ObjectMissing, WaitExpired
from resources.kubernetes_words import container_failure, container_statuses, pod_failure

TIMEOUT_S: Final = 90.0  # the image may have to be pulled
STORE_PATIENCE_S: Final = 10
PURPOSE: Final = {ids.ANNOTATION_PREFIX + "purpose": "serving-check"}
_LEFT_BEHIND: Final = timedelta(minutes=10)
_MOST_NODES: Final = 50
_NOT_PULLED: Final = (
    *("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"),
    *("ImageInspectError", "RegistryUnavailable"),
)
Object = dict[str, Any]


@dataclass(frozen=True)
class Probed:
    """What the pod told: `image` and `store` say why not, "" where all is well, None: not known."""

    image: str | None
    store: str | None
    node: str = ""
    left: str = ""  # what could not be removed, and why

    @property
    def where(self) -> str:
        """Which node it was asked from."""
        return f"from a pod on {self.node}" if self.node else "from a pod"


@dataclass(frozen=True)
class ProbePod:
    """One probe, as the estate's endpoints would be: their namespace, nodes and tolerations."""

    kubernetes: Kubernetes
    ground: EndpointGround
    bucket: str
    namespace: str
    nodes: Sequence[str]  # it is to stand on one of these; none: on any
    tolerations: Sequence[Mapping[str, Any]]
    timeout_s: float = TIMEOUT_S

    def ask(self) -> Probed:
        """Run the pod, read what it tells, and remove it whatever happens.

        Raises:
            KubernetesError: the pod could not be made.
        """
        remove_left_behind(self.kubernetes, self.namespace)
        name = f"ai-how-check-{secrets.token_hex(4)}"
        left: list[str] = []
        with _removed(self.kubernetes, self.namespace, name, left):
            self.kubernetes.apply(self._key(name))
            pod = self.kubernetes.apply(self.manifest(name))
            # Where this process is killed, the key goes with the pod.
            self.kubernetes.apply(self._key(name, pod["metadata"]["uid"]))
            try:
                pod = self.kubernetes.wait(
                    "v1",
                    "Pod",
                    name,
                    self.namespace,
                    has_told,
                    what="to have asked the object store",
                    timeout_s=self.timeout_s,
                )
                told = told_by(pod)
            except WaitExpired as expired:
                told = Probed(None, None, left=str(expired))
        return Probed(told.image, told.store, told.node, "; ".join([told.left, *left]).strip("; "))

    def manifest(self, name: str) -> Object:
        """Return the pod."""
        store = self.ground.store
        settings = {
            "AWS_ENDPOINT_URL": store.url,
            "AWS_DEFAULT_REGION": store.region,
            "AI_HOW_PATIENCE_S": str(STORE_PATIENCE_S),
        }
        container = {
            "name": "probe",
            "image": self.ground.image,
            "imagePullPolicy": "IfNotPresent",
            "args": ["--probe", f"s3://{self.bucket}/models/"],
            "env": [{"name": key, "value": value} for key, value in settings.items()],
            "envFrom": [{"secretRef": {"name": name}}],
            "resources": {
                "requests": {"cpu": "50m", "memory": "64Mi"},
                "limits": {"memory": "256Mi"},
            },
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        }
        spec: Object = {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": int(self.timeout_s),
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "tolerations": [dict(each) for each in self.tolerations],
            "containers": [container],
            **pull_secrets(self.ground.kserve),
        }
        if self.nodes:
            spec["affinity"] = {"nodeAffinity": _one_of(self.nodes[:_MOST_NODES])}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": self._metadata(name), "spec": spec}

    def _key(self, name: str, pod_uid: str = "") -> Object:
        key = secret(name, self.namespace, pod_environment(self.ground.readers_key))
        key["metadata"] = self._metadata(name)
        if pod_uid:
            owner = {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": pod_uid}
            key["metadata"]["ownerReferences"] = [owner]
        return key

    def _metadata(self, name: str) -> Object:
        labels = MANAGED_BY | PURPOSE
        return {"name": name, "namespace": self.namespace, "labels": labels}


def remove_left_behind(kubernetes: Kubernetes, namespace: str) -> None:
    """Remove pods and Secrets of checks that were killed long ago."""
    long_ago = datetime.now(UTC) - _LEFT_BEHIND
    for kind in ("Pod", "Secret"):
        for one in list(kubernetes.list("v1", kind, namespace, dict(PURPOSE))):
            metadata = one["metadata"]
            if datetime.fromisoformat(metadata["creationTimestamp"]) < long_ago:
                kubernetes.delete("v1", kind, metadata["name"], namespace, uid=metadata["uid"])


def has_told(pod: Object | None) -> bool:
    """Say whether a pod has ended, or never will without somebody's help."""
    if pod is None:
        return True
    status = pod.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        return True
    return bool(_not_pulled(pod)) or _unschedulable(pod)


def told_by(pod: Object) -> Probed:
    """Return what a pod that has told shows in its status."""
    if not pod:
        return Probed(None, None, left="somebody deleted the pod")
    node = str((pod.get("spec") or {}).get("nodeName") or "")
    not_pulled = _not_pulled(pod)
    if not_pulled:
        return Probed(not_pulled, None, node)
    for status in container_statuses(pod):
        ended = (status.get("state") or {}).get("terminated")
        if ended is None or not status.get("imageID"):
            continue
        if ended.get("exitCode") == 0:
            return Probed("", "", node)
        said = str(ended.get("message") or "").strip() or container_failure(status)
        return Probed("", said, node)
    return Probed(None, None, node, pod_failure(pod) or "the pod ended without a word")


def _not_pulled(pod: Object) -> str:
    for status in container_statuses(pod):
        waiting = (status.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in _NOT_PULLED:
            return f"{waiting['reason']}: {waiting.get('message') or 'no explanation'}"
    return ""


def _unschedulable(pod: Object) -> bool:
    return any(
        each.get("type") == "PodScheduled" and each.get("reason") == "Unschedulable"
        for each in (pod.get("status") or {}).get("conditions") or ()
    )


def _one_of(nodes: Sequence[str]) -> Object:
    """Return the affinity to one of the nodes; a term may name one only."""
    terms = [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}
        for name in nodes
    ]
    return {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}


@contextlib.contextmanager
def _removed(kubernetes: Kubernetes, namespace: str, name: str, left: list[str]) -> Iterator[None]:
    """Delete pod and Secret at the end; what cannot be deleted is told in `left`."""
    try:
        yield
    finally:
        for kind in ("Pod", "Secret"):
            try:
                kubernetes.delete("v1", kind, name, namespace)
            except ObjectMissing:
                continue
            except KubernetesError as error:
                left.append(f"{kind} {namespace}/{name} could not be removed: {error}")
