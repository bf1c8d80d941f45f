"""Everything that a cluster shows of an endpoint, read from its API server; nothing is changed.

Objects stay as the API spells them. What a rollout's plan makes of them stands in
`rollout_state.py`, what they say of the bytes that are served in `inference_services.py`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from platform_assets.lineage import ids
from platform_assets.serving.inference_service import (
    API_VERSION,
    KIND,
    live_service_name,
    predictor_of,
    served_predictor,
)
from platform_assets.serving.inference_services import (
    SERVICE_LABEL,
    Observation,
    ObservedService,
    ServedPod,
    observation,
)
from platform_assets.serving.node_room import NodeRoom, free_resources
from platform_assets.serving.provider import CANDIDATE, Told
from resources.kubernetes import Kubernetes
from resources.kubernetes_errors import ObjectMissing

Object = dict[str, Any]
_RUNTIMES: Final = "serving.kserve.io/v1alpha1"


@dataclass(frozen=True)
class Seen:
    """One endpoint: InferenceService and the Service that clients know (None: absent), pods."""

    endpoint: str
    service: Object | None
    stable: Object | None
    pods: tuple[Object, ...]

    @property
    def observed(self) -> ObservedService | None:
        """What InferenceService and pods say of themselves."""
        if self.service is None:
            return None
        return observation([self.service], self.pods).services[0]

    @property
    def live(self) -> str | None:
        """The predictor whose pods get the requests of clients.

        Without a Service of ours it is KServe's own: an InferenceService that others made.
        """
        if self.stable is not None:
            return served_predictor(self.stable, self.endpoint)
        return None if self.service is None else self.service["spec"]["predictor"].get("name", "")

    def staying_pods(self, predictor: str | None) -> tuple[ServedPod, ...]:
        """Return the pods of a predictor that are there to stay."""
        observed = self.observed
        return () if observed is None or predictor is None else observed.pods_of(predictor)

    def ready_pods(self, predictor: str | None) -> tuple[ServedPod, ...]:
        """Return those of them that get requests."""
        return tuple(pod for pod in self.staying_pods(predictor) if pod.ready)


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
            tuple(self.kubernetes.list("v1", "Pod", self.namespace, {SERVICE_LABEL: endpoint})),
        )

    def all_seen(self, labels: Mapping[str, str]) -> Iterator[Seen]:
        """Look at every endpoint whose InferenceService bears these labels, in three requests."""
        pods: dict[str, list[Object]] = {}
        for pod in self.kubernetes.list("v1", "Pod", self.namespace, {SERVICE_LABEL: None}):
            pods.setdefault(pod["metadata"]["labels"][SERVICE_LABEL], []).append(pod)
        stable = {
            one["metadata"]["name"]: one
            for one in self.kubernetes.list("v1", "Service", self.namespace, labels)
        }
        for found in self.kubernetes.list(API_VERSION, KIND, self.namespace, labels):
            name = found["metadata"]["name"]
            yield Seen(name, found, stable.get(live_service_name(name)), tuple(pods.get(name, ())))

    def predictors(self, endpoint: str) -> frozenset[str]:
        """Return the predictors of an endpoint that have a Deployment or an autoscaler."""
        kinds = (("apps/v1", "Deployment"), ("autoscaling/v2", "HorizontalPodAutoscaler"))
        found = (
            predictor_of(one["metadata"]["name"], endpoint)
            for kind in kinds
            for one in self.kubernetes.list(*kind, self.namespace, {SERVICE_LABEL: endpoint})
        )
        return frozenset(predictor for predictor in found if predictor is not None)

    def observation(self) -> Observation:
        """Return what every InferenceService of the whole cluster and its pods say."""
        return observation(
            self.kubernetes.list(API_VERSION, KIND),
            self.kubernetes.list("v1", "Pod", None, {SERVICE_LABEL: None}),
        )

    def rooms(self) -> tuple[NodeRoom, ...]:
        """Return the room of every node."""
        nodes, pods = (self.kubernetes.list("v1", kind) for kind in ("Node", "Pod"))
        return free_resources(nodes, pods)

    def deployment(self, name: str) -> Object:
        """Return a Deployment; an empty one where there is none of that name."""
        return self._get("apps/v1", "Deployment", name) or {}

    def node(self, name: str) -> Object | None:
        """Return a node; None: there is none of that name."""
        return self._get("v1", "Node", name, namespaced=False)

    def runtime_of(self, predictor: Mapping[str, Any]) -> Object | None:
        """Return the spec of the runtime that a predictor names; None where KServe picks one."""
        name = predictor["model"].get("runtime")
        if name is None:
            return None
        found = self._get(_RUNTIMES, "ServingRuntime", name) or self._get(
            _RUNTIMES, "ClusterServingRuntime", name, namespaced=False
        )
        return None if found is None else found["spec"]

    def _get(
        self, api_version: str, kind: str, name: str, *, namespaced: bool = True
    ) -> Object | None:
        namespace = self.namespace if namespaced else None
        try:
            return self.kubernetes.get(api_version, kind, name, namespace)
        except ObjectMissing:
            return None


def told_by(seen: Seen, name: str) -> Told | None:
    """Return what the ready pods of an endpoint, or of its candidate, tell; None: there are none.

    Pods that differ tell no digest.
    """
    observed = seen.observed
    if observed is None:
        return None
    declared = (*observed.candidates, observed.predictor)
    if name.endswith(CANDIDATE):
        asked = observed.candidates[:1]
    else:
        asked = tuple(one for one in declared if one.name == seen.live)
    ready = seen.ready_pods(asked[0].name) if asked else ()
    if not ready:
        return None
    digests = {pod.tree_digest or "" for pod in ready}
    said = asked[0].annotations
    return Told(
        digests.pop() if len(digests) == 1 else "",
        model=said.get(ids.annotation_name(ids.MODEL)),
        version=said.get(ids.annotation_name(ids.VERSION)),
        checkpoint=said.get(ids.annotation_name(ids.CHECKPOINT)),
    )
