"""The steps of a rollout on KServe, carried out: one change of the cluster each, each waited for.

Which steps, and in which order, is decided in `rollout.py`. Killed anywhere, the next attempt plans
anew from what runs then. What fails after a candidate was added takes the candidate away again; the
live version is not touched. The caller holds the endpoint's lock.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from platform_assets.serving.foreign_edits import changed_fields, superfluous
from platform_assets.serving.gate_report import GateReport
from platform_assets.serving.inference_service import (
    API_VERSION,
    KIND,
    Manifest,
    applicable,
    deployment_name,
    live_service,
    live_service_name,
    promoted,
    with_candidate,
    without_candidate,
)
from platform_assets.serving.kserve_cluster import Cluster, Object
from platform_assets.serving.kserve_pods import (
    await_change,
    await_leaving,
    await_pods,
    await_requests,
    outdated,
)
from platform_assets.serving.rollout import (
    AddCandidate,
    ClearAway,
    Create,
    Gate,
    GrowCandidate,
    Plan,
    Promote,
    Recreate,
    Refuse,
    RemoveCandidate,
    Route,
    Step,
    Update,
)
from platform_assets.spec.errors import AiHowError
from resources.kubernetes_errors import Conflict, KubernetesError, KubernetesUnavailable

GONE_S: Final = 120.0
LEFT_S: Final = 60.0
ROUTED_S: Final = 60.0


class RolloutRefused(AiHowError):
    """The cluster cannot carry the new version as things are; nothing was touched."""


@dataclass
class Rollout:
    """One rollout of an endpoint: from the InferenceService that was there to the wanted one.

    `live_pods` is how many pods the live version is to have.
    """

    cluster: Cluster
    before: Object | None
    live_pods: int
    endpoint: str
    estate: str
    wanted: Manifest
    recreated: Manifest
    tree_digest: str
    try_at: Callable[[str], GateReport]
    progress: Callable[[str], None]
    report: GateReport | None = None
    gated_at: float = field(default_factory=time.monotonic)

    def carry_out(self, plan: Plan) -> None:
        """Carry out the steps one after another.

        Raises:
            RolloutRefused: the plan is a refusal.
            PodsRefused: pods of the new version do not start; the live one serves.
            WaitExpired: they did not become ready in time.
            KubernetesError: the cluster cannot be asked, or refused.
        """
        if plan and isinstance(plan[0], Refuse):
            message = f"{self.endpoint}: {plan[0].reason}; {plan[0].remedy}"
            raise RolloutRefused(message)
        begun: list[Step] = []
        try:
            for step in plan:
                self.progress(f"{self.endpoint}: {_told(step)}")
                begun.append(step)
                self._carry_out(step)
        except KubernetesUnavailable:  # as when killed, the next attempt goes on from here
            raise
        except Exception as error:
            if not any(isinstance(step, Route) for step in begun):
                try:
                    self._step_back(begun)
                except KubernetesError as in_the_way:  # the reason is the first one
                    error.add_note(f"what was begun is still there: {in_the_way}")
            raise

    def _carry_out(self, step: Step) -> None:
        match step:
            case Create(predictor, pods) | Update(predictor, pods):
                self._replace(self.wanted, predictor, pods)
            case Recreate(predictor, pods):
                self._replace(self.recreated, predictor, pods)
            case AddCandidate(predictor, held, pods) | GrowCandidate(predictor, held, pods):
                self._apply(with_candidate(self._found(), self.wanted, pods=pods, held=held))
                self._await(predictor, pods)
            case Gate(predictor):
                self.report = self.try_at(predictor)
                self.gated_at = time.monotonic()
            case Route(predictor):
                namespace = self.cluster.namespace
                self._apply(
                    live_service(self.endpoint, predictor, namespace=namespace, estate=self.estate)
                )
                await_requests(
                    self.cluster,
                    live_service_name(self.endpoint),
                    deployment_name(self.endpoint, predictor),
                    ROUTED_S,
                )
            case Promote(predictor, pods):
                old = self._found()["spec"]["predictor"].get("name", "")
                self._apply(promoted(self.wanted))
                self._await(predictor, pods)
                self._clear_away(old)
            case ClearAway(predictors):
                for left in predictors:
                    self._clear_away(left)
            case RemoveCandidate(predictor, held):
                self._apply(without_candidate(self._found(), held=held))
                self._await_gone(predictor)
            case Refuse(reason, remedy):
                raise RolloutRefused(f"{self.endpoint}: {reason}; {remedy}")

    def _replace(self, manifest: Manifest, predictor: str, pods: int) -> None:
        """Apply the endpoint alone; how pods fare that will be replaced is no news."""
        if self.before is None:
            self._apply(manifest)
            self._await(predictor, pods)
            return
        deployment = deployment_name(self.endpoint, predictor)
        generation = self.cluster.deployment(deployment).get("metadata", {}).get("generation", 0)
        is_changed = bool(changed_fields(self._found(), manifest))
        applied = self._apply(manifest)
        others = superfluous(applied["spec"], manifest["spec"])
        if others:
            self.progress(f"{self.endpoint}: removing what others added: {_names(others)}")
            namespace = self.cluster.namespace
            self.cluster.kubernetes.remove_fields(
                API_VERSION, KIND, self.endpoint, namespace, {"spec": others}
            )
        if is_changed:
            await_change(self.cluster, deployment, generation)
        self._await(predictor, pods, outdated(self.cluster, deployment))

    def _step_back(self, begun: list[Step]) -> None:
        """Take away what came, or put back what was there: clients were never sent to it."""
        kubernetes, namespace = self.cluster.kubernetes, self.cluster.namespace
        if self.before is None:
            kubernetes.delete(API_VERSION, KIND, self.endpoint, namespace, wait_s=GONE_S)
        elif any(isinstance(step, Recreate | Update) for step in begun):
            self._apply(applicable(self.before))
        elif any(isinstance(step, AddCandidate | GrowCandidate | Gate) for step in begun):
            self._apply(without_candidate(self._found(), held=self.live_pods))

    def _clear_away(self, predictor: str) -> None:
        """Delete the autoscaler, which KServe leaves behind; wait for the pods to go."""
        deployment = deployment_name(self.endpoint, predictor)
        self.cluster.kubernetes.delete(
            "autoscaling/v2", "HorizontalPodAutoscaler", deployment, self.cluster.namespace
        )
        if not await_leaving(self.cluster, deployment, LEFT_S):
            self.progress(f"{self.endpoint}: pods of {predictor} are still there, unasked")

    def _apply(self, manifest: Manifest) -> Object:
        """Apply what is declared; what others wrote in our fields is taken back, and told."""
        try:
            return self.cluster.kubernetes.apply(manifest)
        except Conflict as conflict:
            if not conflict.managers:
                raise
            fields, managers = ", ".join(conflict.fields), ", ".join(conflict.managers)
            self.progress(f"{self.endpoint}: taking back {fields}, written by {managers}")
            return self.cluster.kubernetes.apply(manifest, force=True)
        except KubernetesUnavailable as error:
            if "webhook" not in str(error):
                raise
            hint = "KServe's manager does not answer: see whether it runs"
            raise KubernetesUnavailable(f"endpoint {self.endpoint}: {error}; {hint}") from error

    def _found(self) -> Object:
        return self.cluster.kubernetes.get(API_VERSION, KIND, self.endpoint, self.cluster.namespace)

    def _await(self, predictor: str, pods: int, leaving: tuple[str, ...] = ()) -> None:
        await_pods(
            self.cluster,
            self.endpoint,
            deployment_name(self.endpoint, predictor),
            pods,
            self.tree_digest,
            self.progress,
            leaving,
        )

    def _await_gone(self, predictor: str) -> None:
        deployment = deployment_name(self.endpoint, predictor)
        self.cluster.kubernetes.wait(
            "apps/v1",
            "Deployment",
            deployment,
            self.cluster.namespace,
            lambda one: one is None,
            what="to be gone",
            timeout_s=GONE_S,
        )


def _told(step: Step) -> str:
    """Return a step in words."""
    values: Mapping[str, Any] = vars(step)
    name = "".join(f" {c.lower()}" if c.isupper() else c for c in type(step).__name__).strip()
    rest = ", ".join(f"{key} {value}" for key, value in values.items() if key != "predictor")
    return f"{name} {values.get('predictor', '')}" + (f" ({rest})" if rest else "")


def _names(patch: Mapping[str, Any], above: str = "") -> str:
    """Return the fields that a merge patch removes, as dotted keys."""
    return ", ".join(
        _names(value, f"{above}{key}.") if value is not None else f"{above}{key}"
        for key, value in patch.items()
    )
