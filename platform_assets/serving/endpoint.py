"""The endpoint that a checkpoint ends at: look up, decide, fetch, swap, confirm, record.

The decision is `promotion.py`, the copy on disk `fetched_copy.py`, the swap `mlserver_endpoint.py`.
Here they are put in their order, under the endpoint's lock, with the ledger before and after.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from platform_assets import keys
from platform_assets.lineage import facts, ids, interventions
from platform_assets.lineage.deployments import deployed
from platform_assets.lineage.ledger import Fact, Ledger
from platform_assets.models.partition import (
    LOCK_TIMEOUT_S,
    RETRY,
    only_transient_errors_retry,
)
from platform_assets.partitions import CHECKPOINTS
from platform_assets.serving.gate_report import (
    CHECK,
    GateFailed,
    GateReport,
    gates_check,
    gates_table,
    not_asked,
)
from platform_assets.serving.gated_delivery import Gating, candidate_gate
from platform_assets.serving.promotion import Candidate, Decision, Live, promotion
from platform_assets.serving.provider import Gate, Intended, Provider, Swap
from platform_assets.serving.standing import standing_of, version_facts
from platform_assets.spec.applied import AppliedEstate
from platform_assets.spec.errors import AiHowError
from platform_assets.spec.serving import ServedModel, read_serving
from resources.mlflow import Mlflow


class NotRegistered(AiHowError):
    """The ledger lacks a fact that an earlier step of the delivery records."""


@dataclass(frozen=True)
class Serving:
    """What deploying needs: what carries endpoints, the registry, the ledger."""

    provider: Provider
    mlflow: Mlflow
    ledger: Ledger


@dataclass(frozen=True)
class Delivered:
    """How a checkpoint's delivery ended."""

    candidate: Candidate
    version: str
    decision: Decision
    entry: ServedModel | None
    url: str | None
    swap: Swap | None
    fact: Fact | None
    seconds: float

    @property
    def gates(self) -> GateReport:
        """What the candidate's gates found, or why they were not asked."""
        if self.swap is not None and self.swap.gates is not None:
            return self.swap.gates
        if self.swap is not None:
            return not_asked("the server serves these bytes already, the attempt before tried them")
        return not_asked(f"the delivery ended {self.decision.outcome.value}")


def candidate_of(checkpoint: str, ledger: Ledger) -> tuple[Candidate, str]:
    """Return the checkpoint with partition key `checkpoint` and the version it became.

    Raises:
        NotRegistered: it was not taken, or not registered yet.
    """
    fact = ledger.latest(facts.CHECKPOINT, checkpoint)
    if fact is None:
        message = (
            f"checkpoint {checkpoint}: the ledger has no {facts.CHECKPOINT} fact; "
            "materialize models/published_copy first"
        )
        raise NotRegistered(message)
    body = fact.body
    candidate = Candidate(
        model=str(body["model"]),
        checkpoint=checkpoint,
        format=str(body["format"]),
        sealed_at=str(body["sealed_at"]),
        tree_digest=str(body["tree_digest"]),
    )
    versions = version_facts(ledger, candidate.model, candidate.tree_digest)
    if not versions:
        message = (
            f"checkpoint {checkpoint}: the ledger has no {facts.VERSION} fact with digest "
            f"{candidate.tree_digest}; materialize models/registered_version first"
        )
        raise NotRegistered(message)
    # The last one: what was deleted, by retention or by a person, is registered anew.
    return candidate, str(versions[-1].body["version"])


def live_of(
    endpoint: str, ledger: Ledger, provider: Provider, entry: ServedModel | None
) -> Live | None:
    """Return what the ledger says is deployed on `endpoint` and what is told of it there.

    Of several checkpoints with the live content the one sealed last counts. `entry` says how it is
    to be served, where the serving file declares it.
    """
    last = deployed(ledger, endpoint)
    if last is None:
        return None
    sealed = [
        (str(taken.body["sealed_at"]), taken.subject, str(taken.body["format"]))
        for taken in ledger.facts(facts.CHECKPOINT)
        if taken.body["model"] == last.model and taken.body["tree_digest"] == last.tree_digest
    ]
    sealed_at, checkpoint, form = max(sealed, default=(last.since, last.checkpoint, "mlflow"))
    candidate = Candidate(last.model, checkpoint, form, sealed_at, last.tree_digest)
    told, differs = provider.told(endpoint), None
    if told is not None and told.tree_digest == last.tree_digest:
        ours = entry if entry is not None and entry.model == last.model else None
        intended = intended_of(candidate, last.version, endpoint, ours, None)
        differs = provider.unintended(intended)
    return Live(
        model=last.model,
        checkpoint=checkpoint,
        sealed_at=sealed_at,
        tree_digest=last.tree_digest,
        told_digest=None if told is None else told.tree_digest,
        differs=differs,
    )


def deliver_endpoint(
    checkpoint: str,
    serving_file: Path,
    serving: Serving,
    dagster_run: str | None,
    progress: Callable[[str], None] = lambda _: None,
) -> Delivered:
    """Take a registered checkpoint to its endpoint, or say why it stays where it is.

    Idempotent and safe to kill anywhere; runs that work on one endpoint wait for each other.
    """
    begun = time.monotonic()
    candidate, version = candidate_of(checkpoint, serving.ledger)
    entry = read_serving(serving_file).for_model(candidate.model)
    without_server = promotion(candidate, entry, None)
    if entry is None or (without_server.waits_for is None and not without_server.deploy):
        seconds = time.monotonic() - begun
        return Delivered(candidate, version, without_server, entry, None, None, None, seconds)
    url = serving.provider.answering(entry.endpoint).client_url
    with serving.ledger.lock(f"endpoint/{entry.endpoint}", LOCK_TIMEOUT_S):
        live = live_of(entry.endpoint, serving.ledger, serving.provider, entry)
        standing = standing_of(serving.ledger, entry.endpoint, candidate.model)
        decision = promotion(candidate, entry, live, standing)
        progress(f"endpoint {entry.endpoint}: {decision.outcome}: {decision.reason}")
        if not decision.deploy:
            record_wait(serving.ledger, entry.endpoint, candidate, version, decision, dagster_run)
            seconds = time.monotonic() - begun
            return Delivered(candidate, version, decision, entry, url, None, None, seconds)
        gating = Gating(entry, serving_file.parent, candidate, version, live, dagster_run)
        gate = candidate_gate(gating, serving.provider, serving.ledger, progress)
        intended = intended_of(candidate, version, entry.endpoint, entry, dagster_run)
        served = serve(intended, serving, gate, progress)
    seconds = time.monotonic() - begun
    return Delivered(candidate, version, decision, entry, url, *served, seconds)


def record_wait(  # noqa: PLR0917 - all of them are the fact
    ledger: Ledger,
    endpoint: str,
    candidate: Candidate,
    version: str,
    decision: Decision,
    dagster_run: str | None,
) -> None:
    """Record what a registered checkpoint waits for, if it waits."""
    if decision.waits_for is not None:
        interventions.record_waiting(
            ledger,
            endpoint=endpoint,
            model=candidate.model,
            version=version,
            tree_digest=candidate.tree_digest,
            checkpoint=candidate.checkpoint,
            waits_for=decision.waits_for.value,
            reason=decision.reason,
            dagster_run=dagster_run,
        )


def intended_of(
    candidate: Candidate,
    version: str,
    endpoint: str,
    entry: ServedModel | None,
    dagster_run: str | None,
) -> Intended:
    """Return what `endpoint` is to serve, once it was decided that it is `candidate`."""
    return Intended(
        endpoint=endpoint,
        model=candidate.model,
        version=version,
        format=candidate.format,
        tree_digest=candidate.tree_digest,
        checkpoint=candidate.checkpoint,
        entry=entry,
        dagster_run=dagster_run,
    )


def ungated(reason: str) -> Gate:
    """Return a gate that asks nothing, and says why."""
    report = not_asked(reason)
    return lambda _candidate, _directory: report


def serve(
    intended: Intended,
    serving: Serving,
    gate: Gate,
    progress: Callable[[str], None],
    before_recording: Callable[[], object] = lambda: None,
) -> tuple[Swap, Fact]:
    """Gate, swap, confirm and record; the caller holds the lock and decided.

    `before_recording` writes down why, once the endpoint serves and before the deployment is
    recorded: killed between the two, what was decided is known and the rest is concluded from it.
    """
    swap = serving.provider.ensure_served(intended, gate, progress)
    serving.mlflow.set_alias(intended.model, f"live-{intended.endpoint}", intended.version)
    before_recording()
    fact = facts.record_deployment(
        serving.ledger,
        endpoint=intended.endpoint,
        model=intended.model,
        version=intended.version,
        tree_digest=intended.tree_digest,
        checkpoint=intended.checkpoint,
        server=serving.provider.address,
        dagster_run=intended.dagster_run,
    )
    return swap, fact


@dg.asset(
    key=keys.ENDPOINT,
    deps=[keys.REGISTERED_VERSION],
    partitions_def=CHECKPOINTS,
    group_name="serving",
    kinds={"mlserver", "openinference"},
    owners=[keys.OWNER],
    retry_policy=RETRY,
    code_version="1",
    check_specs=[
        dg.AssetCheckSpec(
            CHECK,
            asset=keys.ENDPOINT,
            description=(
                "The candidate passed the gates that the serving file declares for its model, "
                "before it was swapped in. The table shows what each gate expected and found."
            ),
        )
    ],
)
def endpoint(
    context: dg.AssetExecutionContext,
    estate: dg.ResourceParam[AppliedEstate],
    provider: dg.ResourceParam[Provider],
    mlflow: dg.ResourceParam[Mlflow],
    ledger: dg.ResourceParam[Ledger],
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """The endpoint that answers with the model's latest sealed checkpoint.

    A stable URL of the Open Inference Protocol serves exactly the bytes of this checkpoint's
    version; the server itself told their tree digest. Or this checkpoint stays registered, and
    `outcome` and `reason` say why: a later one is live, it waits for a person (alias, approval,
    resume), the model has no entry in the serving file, or its format cannot be served here.
    """
    serving = Serving(provider, mlflow, ledger)
    with only_transient_errors_retry():
        try:
            delivered = deliver_endpoint(
                context.partition_key,
                estate.serving_file,
                serving,
                context.run_id,
                context.log.info,
            )
        except GateFailed as failed:
            yield gates_check(failed.report)
            raise
    yield dg.MaterializeResult(
        data_version=dg.DataVersion(delivered.candidate.tree_digest),
        metadata=delivered_metadata(delivered, mlflow),
        check_results=[gates_check(delivered.gates)],
    )


def delivered_metadata(delivered: Delivered, mlflow: Mlflow) -> dict[str, dg.MetadataValue]:
    """Return what the asset shows of a delivery."""
    candidate, swap = delivered.candidate, delivered.swap
    shown: dict[str, dg.MetadataValue] = {
        "outcome": dg.MetadataValue.text(delivered.decision.outcome.value),
        "reason": dg.MetadataValue.text(delivered.decision.reason),
        ids.TREE_DIGEST: dg.MetadataValue.text(candidate.tree_digest),
        ids.CHECKPOINT: dg.MetadataValue.text(candidate.checkpoint),
        ids.MODEL: dg.MetadataValue.text(candidate.model),
        ids.VERSION: dg.MetadataValue.text(delivered.version),
        ids.FORMAT: dg.MetadataValue.text(candidate.format),
        ids.SEALED_AT: dg.MetadataValue.text(candidate.sealed_at),
        "version": dg.MetadataValue.url(mlflow.version_url(candidate.model, delivered.version)),
        "seconds": dg.MetadataValue.float(round(delivered.seconds, 3)),
    }
    if delivered.entry is not None:
        shown[ids.ENDPOINT] = dg.MetadataValue.text(delivered.entry.endpoint)
    shown["gates_summary"] = dg.MetadataValue.text(delivered.gates.summary())
    shown["gates"] = gates_table(delivered.gates.rows())
    if delivered.url is not None:
        shown["endpoint_url"] = dg.MetadataValue.url(delivered.url)
    if swap is not None:
        shown["previous_digest"] = dg.MetadataValue.text(swap.previous_digest or "none")
        shown["first_request"] = dg.MetadataValue.text(swap.smoke)
        shown["fetch_seconds"] = dg.MetadataValue.float(round(swap.fetch_s, 3))
        shown["candidate_seconds"] = dg.MetadataValue.float(round(swap.candidate_s, 3))
        shown["swap_seconds"] = dg.MetadataValue.float(round(swap.swap_s, 3))
    if delivered.fact is not None:
        shown[ids.FACT_SEQ] = dg.MetadataValue.int(delivered.fact.seq)
        shown[ids.FACT_HASH] = dg.MetadataValue.text(delivered.fact.hash)
    return shown
