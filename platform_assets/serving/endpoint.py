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
from platform_assets.lineage import facts, ids
from platform_assets.lineage.ledger import Fact, Ledger
from platform_assets.lineage.manifest import copy_prefix
from platform_assets.models.partition import (
    LOCK_TIMEOUT_S,
    RETRY,
    only_transient_errors_retry,
)
from platform_assets.partitions import CHECKPOINTS
from platform_assets.serving.fetched_copy import fetch_copy, remove_copies_but
from platform_assets.serving.gate_report import (
    CHECK,
    GateFailed,
    GateReport,
    gates_check,
    gates_table,
    not_asked,
)
from platform_assets.serving.gated_delivery import Gating, candidate_gate
from platform_assets.serving.mlserver_endpoint import Swap, Wanted, ensure_served, told_digest
from platform_assets.serving.promotion import Candidate, Decision, Live, promotion
from platform_assets.spec.applied import AppliedEstate
from platform_assets.spec.errors import AiHowError
from platform_assets.spec.serving import ServedModel, read_serving
from resources.mlflow import Mlflow
from resources.model_server import ModelServer
from resources.object_store import ObjectStore


class NotRegistered(AiHowError):
    """The ledger lacks a fact that an earlier step of the delivery records."""


@dataclass(frozen=True)
class Serving:
    """What deploying needs: the servers, the ledger, and where things lie on this machine."""

    model_server: ModelServer
    store: ObjectStore
    mlflow: Mlflow
    ledger: Ledger
    served: Path
    repository: Path


@dataclass(frozen=True)
class Delivered:
    """How a checkpoint's delivery ended."""

    candidate: Candidate
    version: str
    decision: Decision
    entry: ServedModel | None
    url: str | None
    swap: Swap | None
    fetch_s: float
    seconds: float
    fact: Fact | None

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
    versions = [
        str(version.body["version"])
        for version in ledger.facts(facts.VERSION)
        if version.body["model"] == candidate.model
        and version.body["tree_digest"] == candidate.tree_digest
    ]
    if not versions:
        message = (
            f"checkpoint {checkpoint}: the ledger has no {facts.VERSION} fact with digest "
            f"{candidate.tree_digest}; materialize models/registered_version first"
        )
        raise NotRegistered(message)
    return candidate, versions[0]


def live_of(endpoint: str, ledger: Ledger, server: ModelServer) -> Live | None:
    """Return what the ledger says is deployed on `endpoint` and what the server tells of it.

    Of several checkpoints with the live content the one sealed last counts.
    """
    fact = ledger.latest(facts.DEPLOYMENT, endpoint)
    if fact is None:
        return None
    model, digest = str(fact.body["model"]), str(fact.body["tree_digest"])
    sealed = [
        (str(taken.body["sealed_at"]), taken.subject)
        for taken in ledger.facts(facts.CHECKPOINT)
        if taken.body["model"] == model and taken.body["tree_digest"] == digest
    ]
    sealed_at, checkpoint = max(sealed, default=(fact.valid_from, str(fact.body["checkpoint"])))
    return Live(
        model=model,
        checkpoint=checkpoint,
        sealed_at=sealed_at,
        tree_digest=digest,
        told_digest=told_digest(server, endpoint),
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
    if entry is None or not without_server.deploy:
        seconds = time.monotonic() - begun
        return Delivered(candidate, version, without_server, entry, None, None, 0.0, seconds, None)
    url = serving.model_server.infer_url(entry.endpoint)
    with serving.ledger.lock(f"endpoint/{entry.endpoint}", LOCK_TIMEOUT_S):
        live = live_of(entry.endpoint, serving.ledger, serving.model_server)
        decision = promotion(candidate, entry, live)
        progress(f"endpoint {entry.endpoint}: {decision.outcome}: {decision.reason}")
        if not decision.deploy:
            seconds = time.monotonic() - begun
            return Delivered(candidate, version, decision, entry, url, None, 0.0, seconds, None)
        gating = Gating(entry, serving_file.parent, candidate, version, live, dagster_run)
        swap, fetch_s = _deploy(gating, serving, progress)
        fact = facts.record_deployment(
            serving.ledger,
            endpoint=entry.endpoint,
            model=candidate.model,
            version=version,
            tree_digest=candidate.tree_digest,
            checkpoint=checkpoint,
            server=serving.model_server.url,
            dagster_run=dagster_run,
        )
    seconds = time.monotonic() - begun
    return Delivered(candidate, version, decision, entry, url, swap, fetch_s, seconds, fact)


def _deploy(
    gating: Gating, serving: Serving, progress: Callable[[str], None]
) -> tuple[Swap, float]:
    """Fetch, gate, swap and confirm; the deployment is recorded by the caller, after all this."""
    candidate, version, endpoint = gating.candidate, gating.version, gating.entry.endpoint
    into = serving.served / endpoint
    prefix = copy_prefix(candidate.model, candidate.tree_digest)
    copy = fetch_copy(serving.store, prefix, candidate.tree_digest, into, progress)
    wanted = Wanted(
        endpoint=endpoint,
        model=candidate.model,
        version=version,
        tree_digest=candidate.tree_digest,
        checkpoint=candidate.checkpoint,
        directory=copy.directory,
    )
    gate = candidate_gate(gating, serving.model_server, serving.ledger, copy.directory, progress)
    swap = ensure_served(serving.model_server, serving.repository, wanted, progress, gate)
    serving.mlflow.set_alias(candidate.model, f"live-{endpoint}", version)
    if swap.changed:
        keep = {candidate.tree_digest} | ({swap.previous_digest} if swap.previous_digest else set())
        for name in remove_copies_but(into, keep):
            progress(f"removed the older copy {name}")
    return swap, copy.seconds


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
def endpoint(  # noqa: PLR0917 - the connections of a delivery
    context: dg.AssetExecutionContext,
    estate: dg.ResourceParam[AppliedEstate],
    reader_store: dg.ResourceParam[ObjectStore],
    mlflow: dg.ResourceParam[Mlflow],
    model_server: dg.ResourceParam[ModelServer],
    ledger: dg.ResourceParam[Ledger],
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """The endpoint that answers with the model's latest sealed checkpoint.

    A stable URL of the Open Inference Protocol serves exactly the bytes of this checkpoint's
    version; the server itself told their tree digest. Or this checkpoint stays registered, and
    `outcome` and `reason` say why: a later one is live, the model has no entry in the serving
    file, or its format cannot be served here.
    """
    serving = Serving(
        model_server=model_server,
        store=reader_store,
        mlflow=mlflow,
        ledger=ledger,
        served=estate.served,
        repository=estate.model_repository,
    )
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
        metadata=_metadata(delivered, mlflow),
        check_results=[gates_check(delivered.gates)],
    )


def _metadata(delivered: Delivered, mlflow: Mlflow) -> dict[str, dg.MetadataValue]:
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
        "fetch_seconds": dg.MetadataValue.float(round(delivered.fetch_s, 3)),
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
        shown["candidate_seconds"] = dg.MetadataValue.float(round(swap.candidate_s, 3))
        shown["swap_seconds"] = dg.MetadataValue.float(round(swap.swap_s, 3))
    if delivered.fact is not None:
        shown[ids.FACT_SEQ] = dg.MetadataValue.int(delivered.fact.seq)
        shown[ids.FACT_HASH] = dg.MetadataValue.text(delivered.fact.hash)
    return shown
