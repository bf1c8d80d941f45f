"""Endpoints on KServe: an InferenceService each, behind a Service of ours that clients know.

Manifests stand in `inference_service.py`, the plan of a rollout in `rollout.py`, its steps in
`kserve_rollout.py`. Requests of ours travel through the API server, so that whoever has the
kubeconfig can gate and verify from anywhere. What a pod serves, its storage container left in the
pod's status after it compared every byte.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

import dagster as dg

from platform_assets.lineage import ids
from platform_assets.lineage.manifest import copy_prefix
from platform_assets.lineage.verdict import Hop, HopResult, value_differences
from platform_assets.lineage.verification import Expected
from platform_assets.services.endpoint_ground import STORAGE_CONTAINER
from platform_assets.serving.foreign_edits import changed_fields, taken_back, writers_of
from platform_assets.serving.gate_report import GateReport
from platform_assets.serving.inference_service import (
    API_VERSION,
    KIND,
    Manifest,
    Version,
    deployment_name,
    inference_service,
    labels,
    live_service_name,
    with_passing_of,
)
from platform_assets.serving.kserve_cluster import Cluster, Object, Seen, told_by
from platform_assets.serving.kserve_observation import observation_tables
from platform_assets.serving.kserve_rollout import GONE_S, Rollout
from platform_assets.serving.node_room import NodeRoom
from platform_assets.serving.provider import CANDIDATE, Answering, Gate, Intended, Swap, Told
from platform_assets.serving.rollout import Current, Plan, Policy, Wanted, rollout_plan
from platform_assets.serving.rollout_state import current_of, wanted_of
from platform_assets.spec.errors import AiHowError
from platform_assets.spec.model.services import Kserve
from platform_assets.spec.served_pods import ServedPods
from resources.kubernetes import Kubernetes
from resources.kubernetes_errors import KubernetesError, ObjectMissing
from resources.model_server import ModelServer


class KserveNotPrepared(AiHowError):
    """The cluster lacks what endpoints of ours need."""


@dataclass(frozen=True)
class KserveProvider:
    """KServe on one cluster; copies of models lie in `bucket`, `estate` marks what is ours."""

    kubernetes: Kubernetes
    kserve: Kserve
    estate: str
    bucket: str

    @property
    def _cluster(self) -> Cluster:
        return Cluster(self.kubernetes, self.kserve.inference_services.namespace)

    @property
    def address(self) -> str:
        """The API server and the namespace of the endpoints."""
        return f"{self.kubernetes.url}/namespaces/{self._cluster.namespace}"

    def answering(self, endpoint: str) -> Answering:
        """Return the Service that clients know by its name; we ask it through the API server."""
        service = live_service_name(endpoint)
        address = f"http://{service}.{self._cluster.namespace}.svc"
        return replace(self._at(service, endpoint), address=address)

    def _at(self, service: str, endpoint: str) -> Answering:
        url = self.kubernetes.service_url(self._cluster.namespace, service)
        return Answering(ModelServer(url, self.kubernetes.http), endpoint)

    def serving(self) -> dict[str, Told]:
        """Ask for every endpoint of ours in the namespace, and its candidate, in three requests.

        Raises:
            KubernetesUnavailable: the cluster cannot be asked; nothing is known then.
        """
        told = {}
        for seen in self._cluster.all_seen(labels(self.estate)):
            for name in (seen.endpoint, seen.endpoint + CANDIDATE):
                found = told_by(seen, name)
                if found is not None:
                    told[name] = found
        return told

    def told(self, name: str) -> Told | None:
        """Return what every ready pod of an endpoint tells; pods that differ tell no digest."""
        return told_by(self._cluster.seen(name.removesuffix(CANDIDATE)), name)

    def evidence(self) -> dict[str, dg.MetadataValue]:
        """Show every InferenceService of the cluster, whoever made it, and every pod of them."""
        return observation_tables(self._cluster.observation())

    def ensure_served(
        self, intended: Intended, gate: Gate, progress: Callable[[str], None]
    ) -> Swap:
        """Roll the version out as `rollout.py` plans it; killed anywhere, the next call concludes.

        Raises:
            KserveNotPrepared: the cluster lacks what endpoints need; nothing was touched.
            RolloutRefused, PodsRefused, KubernetesError: see `kserve_rollout.py`.
        """
        begun = time.monotonic()
        self._check_prepared()
        entry = intended.entry or ServedPods()
        cluster, asked = self._cluster, self._compared(intended)
        told = told_by(asked.seen, intended.endpoint)
        previous = None if told is None else told.tree_digest
        plan = asked.plan(cluster.rooms(), Policy(entry.rollout.without_spare, entry.rollout.share))
        if not plan:
            return Swap(False, previous, "served already", 0.0, 0.0)

        def try_at(name: str) -> GateReport:
            service = deployment_name(intended.endpoint, name)
            return gate(self._at(service, intended.endpoint), None)

        rollout = Rollout(
            cluster=cluster,
            before=asked.service,
            live_pods=0 if asked.current is None else asked.current.live.replicas,
            endpoint=intended.endpoint,
            estate=self.estate,
            wanted=asked.wanted,
            recreated=asked.recreated,
            tree_digest=intended.tree_digest,
            try_at=try_at,
            progress=progress,
        )
        rollout.carry_out(plan)
        ended = time.monotonic()
        gated = rollout.gated_at if rollout.report is not None else ended
        smoke = "none of its own: readiness and the gates ask"
        return Swap(True, previous, smoke, gated - begun, ended - gated, rollout.report)

    def unintended(self, intended: Intended) -> str | None:
        """Return where InferenceService, Service or pods of an endpoint are not as intended."""
        asked = self._compared(intended)
        if not asked.plan((), Policy()):
            return None
        if asked.seen.service is None:
            return "its InferenceService is not there"
        fields = changed_fields(asked.seen.service, asked.wanted)
        if fields:
            writers = ", ".join(writers_of(asked.seen.service, fields))
            told = f"{', '.join(fields)}, written by {writers}" if writers else ", ".join(fields)
            return f"its InferenceService is not as declared: {told}"
        return "its pods, their number, a candidate or its Service are not as declared"

    def _compared(self, intended: Intended) -> "_Compared":
        """Look at an endpoint, and put it beside what is intended."""
        cluster, endpoint = self._cluster, intended.endpoint
        entry, version = intended.entry or ServedPods(), self.version_of(intended)
        seen = cluster.seen(endpoint)
        declared = inference_service(entry, self.kserve, version, estate=self.estate)
        service = seen.service
        staying = seen.staying_pods(seen.live)
        proven = [p for p in staying if p.ready and p.tree_digest == intended.tree_digest]
        needed = declared["spec"]["predictor"]["minReplicas"]
        if service is not None and needed <= len(proven) < len(staying):
            # Others' pods do not start; what they wrote goes back, and those of before go on.
            service = taken_back(service, declared)
        wanted, recreated = (
            with_passing_of(
                service,
                inference_service(entry, self.kserve, version, estate=self.estate, recreate=again),
            )
            for again in (False, True)
        )
        runtime = cluster.runtime_of(wanted["spec"]["predictor"])
        current = current_of(
            service,
            seen.stable,
            seen.pods,
            wanted,
            runtime=runtime,
            there_are=cluster.predictors(endpoint),
        )
        target = wanted_of(wanted, service, runtime=runtime)
        return _Compared(seen, service, wanted, recreated, current, target)

    def version_of(self, intended: Intended) -> Version:
        """Return the ids and the place of what is to be served."""
        prefix = copy_prefix(intended.model, intended.tree_digest)
        return Version(
            endpoint=intended.endpoint,
            model=intended.model,
            version=intended.version,
            tree_digest=intended.tree_digest,
            checkpoint=intended.checkpoint,
            dagster_run=intended.dagster_run or "none",
            storage_uri=f"s3://{self.bucket}/{prefix}",
            format=cast("Literal['mlflow', 'huggingface']", intended.format),
        )

    def _check_prepared(self) -> None:
        store = self.kserve.object_store
        needed: list[tuple[str, str, str, str | None]] = [
            ("serving.kserve.io/v1alpha1", "ClusterStorageContainer", STORAGE_CONTAINER, None)
        ]
        if store is not None:
            needed.append(("v1", "ServiceAccount", store.secret, self._cluster.namespace))
        for api_version, kind, name, namespace in needed:
            try:
                self.kubernetes.get(api_version, kind, name, namespace)
            except ObjectMissing as missing:
                message = (
                    f"cluster at {self.kubernetes.url}: expected {kind} {name}, found none; "
                    "materialize services/kserve, which makes it"
                )
                raise KserveNotPrepared(message) from missing

    def withdraw(self, endpoint: str) -> None:
        """Delete the stable Service first, so that no request is lost half-way, then the rest."""
        namespace = self._cluster.namespace
        self.kubernetes.delete("v1", "Service", live_service_name(endpoint), namespace)
        self.kubernetes.delete(API_VERSION, KIND, endpoint, namespace, wait_s=GONE_S)

    def named_by_fetched(self, expected: Expected) -> None:
        """Pods fetch for themselves; no copy lies on this machine."""

    def verify_server(self, expected: Expected) -> HopResult:
        """Hold annotations, storage URI and every ready pod's digest against the ledger's."""
        where = f"{self.address}/inferenceservices/{expected.endpoint}"
        try:
            seen = self._cluster.seen(expected.endpoint)
        except KubernetesError as error:
            return HopResult(hop=Hop.SERVER, where=where, unknown=str(error))
        wanted, found = self._wanted_and_found(seen, expected)
        differences = value_differences(Hop.SERVER, wanted, found)
        return HopResult(hop=Hop.SERVER, where=where, differences=differences)

    def _wanted_and_found(
        self, seen: Seen, expected: Expected
    ) -> tuple[Mapping[str, str | None], Mapping[str, str | None]]:
        prefix = copy_prefix(expected.model, expected.tree_digest)
        told = {
            ids.annotation_name(ids.TREE_DIGEST): expected.tree_digest,
            ids.annotation_name(ids.MODEL): expected.model,
            ids.annotation_name(ids.VERSION): expected.version,
        }
        wanted: dict[str, str | None] = {
            "predictor with the requests": f"v{expected.version}",
            **told,
            "storageUri": f"s3://{self.bucket}/{prefix}",
            "ready pods": "at least one",
        }
        ready, observed = seen.ready_pods(seen.live), seen.observed
        found: dict[str, str | None] = {"predictor with the requests": seen.live}
        for one in (*observed.candidates, observed.predictor) if observed is not None else ():
            if one.name == seen.live:
                found |= {name: one.annotations.get(name) for name in told}
                found["storageUri"] = one.storage_uri
        found["ready pods"] = "at least one" if ready else None
        for others in observed.written_by_others if observed is not None else ():
            name = f"fields of {others.manager} since {others.at}"
            wanted[name], found[name] = None, ", ".join(others.fields)
        for pod in ready:
            name = f"tree digest of pod {pod.name}"
            wanted[name], found[name] = expected.tree_digest, pod.tree_digest
        return wanted, found


@dataclass(frozen=True)
class _Compared:
    """An endpoint as it is, and as it is to be.

    `service` is its InferenceService once what others wrote is taken back, where no pod need go.
    """

    seen: Seen
    service: Object | None
    wanted: Manifest
    recreated: Manifest
    current: Current | None
    target: Wanted

    def plan(self, rooms: Sequence[NodeRoom], policy: Policy) -> Plan:
        """Return the steps from the one to the other; none where they are the same."""
        return rollout_plan(self.current, self.target, rooms, policy)
