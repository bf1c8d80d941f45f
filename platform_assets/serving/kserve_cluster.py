"""What runs of an endpoint on a cluster, read from its API server; nothing is changed here.

Objects stay as the API spells them. Which steps follow is decided in `rollout.py`, what a pod's
status tells of its bytes is read in `inference_services.py`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from platform_assets.lineage import ids
from platform_assets.serving.inference_service import (
    API_VERSION,
    KIND,
    deployment_name,
    differs,
    live_service_name,
    served_predictor,
)
from platform_assets.serving.node_room import NodeRoom, free_resources, needs_of
from platform_assets.serving.rollout import Current, Running
from platform_assets.spec.served_pods import Replicas
from resources.kubernetes import Kubernetes
from resources.kubernetes_errors import ObjectMissing

Object = dict[str, Any]
OF_ENDPOINT: Final = "serving.kserve.io/inferenceservice"
DIGEST_ANNOTATION: Final = ids.annotation_name(ids.TREE_DIGEST)
_RUNTIMES: Final = "serving.kserve.io/v1alpha1"
STORAGE_INITIALIZER: Final = "storage-initializer"
_ENDED: Final = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Seen:
    """One endpoint as a cluster shows it: InferenceService, stable Service, pods; None: absent."""

    endpoint: str
    service: Object | None
    stable: Object | None
    pods: tuple[Object, ...]

    @property
    def live(self) -> str | None:
        """The predictor whose pods get the requests of clients."""
        return None if self.stable is None else served_predictor(self.stable, self.endpoint)

    @property
    def predictor(self) -> Object | None:
        """The predictor that the InferenceService declares."""
        return None if self.service is None else self.service["spec"]["predictor"]

    @property
    def serving(self) -> Object | None:
        """The declared predictor whose pods get the requests; without a stable Service the first.

        That is an InferenceService which nobody here made.
        """
        declared = [one for one in (self.predictor, self.candidate) if one is not None]
        if self.live is None:
            return declared[0] if declared else None
        return next((one for one in declared if one.get("name") == self.live), None)

    @property
    def candidate(self) -> Object | None:
        """The predictor that it declares beside that, as a canary."""
        canaries = ((self.service or {}).get("spec") or {}).get("canary") or ()
        return canaries[0]["predictor"] if canaries else None

    def pods_of(self, predictor: str) -> list[Object]:
        """Return the pods of a predictor that have not ended and are not about to."""
        app = f"isvc.{deployment_name(self.endpoint, predictor)}"
        return [
            pod
            for pod in self.pods
            if (pod["metadata"].get("labels") or {}).get("app") == app
            and not pod["metadata"].get("deletionTimestamp")
            and (pod.get("status") or {}).get("phase") not in _ENDED
        ]


@dataclass(frozen=True)
class Cluster:
    """The InferenceServices of one namespace of a cluster."""

    kubernetes: Kubernetes
    namespace: str

    def seen(self, endpoint: str) -> Seen:
        """Look at everything of an endpoint."""
        return Seen(
            endpoint,
            self._get(API_VERSION, KIND, endpoint),
            self._get("v1", "Service", live_service_name(endpoint)),
            tuple(self.kubernetes.list("v1", "Pod", self.namespace, {OF_ENDPOINT: endpoint})),
        )

    def rooms(self) -> tuple[NodeRoom, ...]:
        """Return the room of every node."""
        return free_resources(self.kubernetes.list("v1", "Node"), self.kubernetes.list("v1", "Pod"))

    def runtime_of(self, predictor: Mapping[str, Any]) -> Object | None:
        """Return the spec of the runtime that a predictor names; None where KServe picks one."""
        name = predictor["model"].get("runtime")
        if name is None:
            return None
        found = self._get(_RUNTIMES, "ServingRuntime", name) or self._get(
            _RUNTIMES, "ClusterServingRuntime", name, namespaced=False
        )
        return None if found is None else found["spec"]

    def current(self, seen: Seen, wanted: Mapping[str, Any]) -> Current | None:
        """Return what runs of an endpoint, compared with the wanted predictor; None: nothing."""
        if seen.predictor is None:
            return None
        candidate = seen.candidate
        held = 0 if candidate is None else int(candidate.get("minReplicas", 1))
        return Current(
            live=self._running(seen, seen.predictor, wanted, held),
            candidate=None if candidate is None else self._running(seen, candidate, wanted, 0),
            served=seen.live,
        )

    def _running(
        self, seen: Seen, predictor: Object, wanted: Mapping[str, Any], held: int
    ) -> Running:
        name = str(predictor.get("name") or "")
        pods = seen.pods_of(name)
        least = max(int(predictor.get("minReplicas", 1)) - held, 1)
        most = max(int(predictor.get("maxReplicas") or least) - held, least)
        return Running(
            predictor=name,
            tree_digest=(predictor.get("annotations") or {}).get(DIGEST_ANNOTATION, ""),
            replicas=max(least, len(pods)) if most > least else least,
            bounds=Replicas(min=least, max=most),
            nodes=tuple(p["spec"]["nodeName"] for p in pods if p["spec"].get("nodeName")),
            ready=sum(is_ready(pod) for pod in pods),
            needs=needs_of(predictor, self.runtime_of(predictor)),
            as_wanted=not differs(predictor, wanted),
        )

    def _get(
        self, api_version: str, kind: str, name: str, *, namespaced: bool = True
    ) -> Object | None:
        namespace = self.namespace if namespaced else None
        try:
            return self.kubernetes.get(api_version, kind, name, namespace)
        except ObjectMissing:
            return None


def pod_digest(pod: Mapping[str, Any]) -> str | None:
    """Return the tree digest that the storage container left in a pod's status, if it did.

    When every byte was compared, it writes `{"bytes", "files", "seconds", "tree_digest"}`.
    """
    for each in (pod.get("status") or {}).get("initContainerStatuses") or ():
        ended = (each.get("state") or {}).get("terminated") or {}
        if each["name"] == STORAGE_INITIALIZER and ended.get("exitCode") == 0:
            try:
                told = json.loads(ended.get("message") or "")
            except ValueError:
                return None
            digest = told.get("tree_digest") if isinstance(told, dict) else None
            return digest if isinstance(digest, str) else None
    return None


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Return whether a pod gets requests."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
