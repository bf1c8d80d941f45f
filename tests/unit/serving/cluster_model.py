"""A small cluster with KServe on it, as far as a rollout can see: it carries out a plan's steps.

It takes the manifests that we really apply, and does with them what KServe 0.20 does in its
Standard mode: `reconcileRawDeployment`, `reconcileCanaryDeployments` and the validating webhook,
read in its source and seen on a real one. Pods are bound where a scheduler may bind them.
"""

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

from platform_assets.serving.inference_service import (
    Version,
    deployment_name,
    differs,
    inference_service,
    inherited,
    live_service,
    promoted,
    served_predictor,
    with_candidate,
    without_candidate,
)
from platform_assets.serving.node_room import NodeRoom, free_resources, needs_of
from platform_assets.serving.rollout import (
    AddCandidate,
    Create,
    Current,
    Gate,
    GrowCandidate,
    Promote,
    Recreate,
    RemoveCandidate,
    Route,
    Step,
    Update,
)
from platform_assets.serving.rollout_state import _digest, current_of
from platform_assets.spec.model.services import Kserve
from platform_assets.spec.served_pods import ServedPods

KSERVE = Kserve.model_validate({"object_store": {"url": "http://10.0.0.1:8333"}})
GPU = "nvidia.com/gpu"


class Stuck(AssertionError):
    """A step waits for what never comes."""


def manifest(number: int, keys: dict[str, Any], *, recreate: bool = False) -> dict[str, Any]:
    digest = f"{number:064x}"
    version = Version(
        endpoint="e",
        model="e",
        version=str(number),
        tree_digest=digest,
        checkpoint=f"c{number}",
        dagster_run=f"r{number}",
        storage_uri=f"s3://models/models/e/sha256-{digest}/",
    )
    entry = ServedPods.model_validate(keys)
    return inference_service(entry, KSERVE, version, estate="lab", recreate=recreate)


@dataclass
class Pod:
    spec: dict[str, Any]
    node: str | None = None


@dataclass
class Cluster:
    """Nodes, the pods of others, the one InferenceService, its Deployments, and our Service."""

    nodes: list[dict[str, Any]]
    others: list[dict[str, Any]]
    random: Random
    found: dict[str, Any] | None = None
    served: str | None = None
    deployments: dict[str, list[Pod]] = field(default_factory=dict)
    history: list[tuple[Step, int]] = field(default_factory=list)
    gated: set[str] = field(default_factory=set)

    def rooms(self) -> tuple[NodeRoom, ...]:
        return free_resources(self.nodes, [*self.others, *self._ours()])

    def _ours(self) -> list[dict[str, Any]]:
        return [
            {
                "metadata": {"labels": {"app": f"isvc.{deployment_name('e', name)}"}},
                "spec": pod_spec(pod.spec) | ({"nodeName": pod.node} if pod.node else {}),
                "status": {
                    "phase": "Running" if pod.node else "Pending",
                    "conditions": [{"type": "Ready", "status": "True"}] if pod.node else [],
                    "initContainerStatuses": [told(_digest(pod.spec))],
                },
            }
            for name, pods in self.deployments.items()
            for pod in pods
        ]

    def answering(self) -> int:
        """Return how many pods get requests; every bound pod is ready."""
        return sum(pod.node is not None for pod in self.deployments.get(self.served or "", ()))

    def current(self, wanted: dict[str, Any]) -> Current | None:
        service = (
            live_service("e", self.served, namespace="m", estate="lab") if self.served else None
        )
        return current_of(self.found, service, self._ours(), wanted)

    # What a run does, step by step.

    def do(self, step: Step, number: int, keys: dict[str, Any], *, wait: bool = True) -> None:
        wanted = manifest(number, keys)
        match step:
            case Create() | Update():
                self.apply(wanted)
            case Recreate():
                self.apply(manifest(number, keys, recreate=True))
            case Promote():
                self.apply(promoted(wanted))
            case AddCandidate() | GrowCandidate():
                assert self.found is not None
                self.apply(with_candidate(self.found, wanted, pods=step.pods, held=step.held))
            case RemoveCandidate():
                assert self.found is not None
                self.apply(without_candidate(self.found, held=step.held))
            case Route():
                assert step.predictor in self.gated, "requests before the gates"
                service = live_service("e", step.predictor, namespace="models", estate="lab")
                self.served = served_predictor(service, "e")
            case Gate():
                if not any(pod.node for pod in self.deployments[step.predictor]):
                    raise Stuck(step)
                self.gated.add(step.predictor)
        if wait and not isinstance(step, Gate | Route | RemoveCandidate):
            self.wait_for(step)
        self.history.append((step, self.answering()))

    def wait_for(self, step: Any) -> None:
        pods = self.deployments[step.predictor]
        if len(pods) < step.pods or any(pod.node is None for pod in pods):
            raise Stuck(f"{step}: {[pod.node for pod in pods]}")

    # What KServe and Kubernetes do.

    def apply(self, wanted: dict[str, Any]) -> None:
        self._webhook(wanted)
        self.found = wanted
        spec = wanted["spec"]
        canaries = [each["predictor"] for each in spec.get("canary", ())]
        taken = sum(each["minReplicas"] for each in canaries)
        stable = spec["predictor"]
        # An autoscaler keeps what there is, within its bounds.
        least = max(stable["minReplicas"] - taken, 1) if canaries else stable["minReplicas"]
        there = len(self.deployments.get(stable["name"], ()))
        self._deploy(stable, min(max(there, least), max(stable.get("maxReplicas", 0), least)))
        for canary in canaries:
            assert not inherited(stable, canary), "the canary would not be what it is to be"
            self._deploy(stable | canary, canary["minReplicas"])
        for name in set(self.deployments) - {stable["name"], *(c["name"] for c in canaries)}:
            del self.deployments[name]
        self._schedule()

    def _webhook(self, wanted: dict[str, Any]) -> None:
        stable = wanted["spec"]["predictor"]
        for each in wanted["spec"].get("canary", ()):
            assert each["predictor"]["name"] != stable["name"]
            assert each["predictor"]["minReplicas"] <= stable["minReplicas"]
            assert not {"maxReplicas", "scaleTarget", "scaleMetric"} & set(each["predictor"])
        if self.found is not None:
            before = self.found["spec"]["predictor"]
            renamed = before["name"] != stable["name"]
            assert not (renamed and before["model"]["storageUri"] == stable["model"]["storageUri"])
        if stable.get("maxReplicas"):
            assert stable["minReplicas"] <= stable["maxReplicas"]

    def _deploy(self, predictor: dict[str, Any], replicas: int) -> None:
        pods = self.deployments.setdefault(predictor["name"], [])
        old = [pod for pod in pods if differs(pod.spec, predictor)]
        if old and predictor["deploymentStrategy"]["type"] == "Recreate":
            pods.clear()
        elif old:
            self._roll(pods, predictor, replicas)
        del pods[replicas:]
        pods.extend(Pod(predictor) for _ in range(replicas - len(pods)))

    def _roll(self, pods: list[Pod], predictor: dict[str, Any], replicas: int) -> None:
        """Replace pods with one more than wanted at most, and never fewer ready than wanted."""
        while True:
            old = [pod for pod in pods if differs(pod.spec, predictor)]
            new = [pod for pod in pods if not differs(pod.spec, predictor)]
            ready = sum(pod.node is not None for pod in pods)
            if not old and len(new) == replicas:
                return
            pending = [pod for pod in old if pod.node is None]
            if pending:
                pods.remove(pending[0])
            elif old and ready > replicas:
                pods.remove(self.random.choice(old))
            elif len(pods) < replicas + 1 and len(new) < replicas:
                pods.append(Pod(predictor))
                self._schedule()
            else:
                self._schedule()
                if sum(pod.node is not None for pod in pods) == ready:
                    raise Stuck(f"a rolling update with {len(old)} old, {len(new)} new pods")

    def _schedule(self) -> None:
        for pods in self.deployments.values():
            for pod in pods:
                fits = [room for room in self.rooms() if room.places(needs_of(pod.spec))]
                if pod.node is None and fits:
                    pod.node = self.random.choice(fits).name


def pod_spec(predictor: dict[str, Any]) -> dict[str, Any]:
    container = {"name": "kserve-container", "resources": predictor["model"]["resources"]}
    return {"containers": [container]}


def told(digest: str) -> dict[str, Any]:
    """Return the status of a storage container that found these bytes."""
    ended = {"exitCode": 0, "message": json.dumps({"tree_digest": digest})}
    return {"name": "storage-initializer", "state": {"terminated": ended}}


def node(name: str, gpus: int, *, cpu: int = 64, **more: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": more.get("labels", {})},
        "spec": {"taints": more.get("taints", []), "unschedulable": more.get("cordoned", False)},
        "status": {
            "allocatable": {"cpu": str(cpu), "memory": "256Gi", "pods": "110", GPU: str(gpus)},
            "conditions": [{"type": "Ready", "status": more.get("ready", "True")}],
        },
    }


def other_pod(node_name: str, gpus: int) -> dict[str, Any]:
    requests = {GPU: str(gpus), "cpu": "1"}
    return {
        "metadata": {},
        "spec": {"nodeName": node_name, "containers": [{"resources": {"requests": requests}}]},
        "status": {"phase": "Running"},
    }
