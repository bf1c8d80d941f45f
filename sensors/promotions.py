"""The sensor that sees a person move an alias which promotes, and asks for its deployment.

MLflow is asked where each declared alias points; the ledger knows where it pointed when it was last
acted upon (`platform_assets.serving.alias_move`). Nothing is remembered here. A move asks for one
run of the job `promote_version`; what cannot be deployed fails there, once, with its reason. A run
that failed for a cause that may pass is asked for again, spaced like the attempts of a delivery.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from platform_assets.keys import ATTEMPT_TAG, ENDPOINT_TAG
from platform_assets.lineage.ledger import Ledger, LedgerUnreachable
from platform_assets.serving.alias_move import is_concluded, is_moved, last_move
from platform_assets.serving.delivery_job import attempt_of
from platform_assets.serving.intervention_jobs import PROMOTE, promote_version, run_config
from platform_assets.spec.applied import AppliedEstate
from platform_assets.spec.serving import AliasPromotion, ServedModel, ServingRefused, read_serving
from resources.mlflow import Mlflow, MlflowUnavailable
from sensors.next_attempt import due_at
from sensors.readiness import part_that_is_down

MOVE_TAG = "ai-how/alias-move"


@dataclass(frozen=True)
class Move:
    """A move of an alias that was not acted upon; `name` tells it from every other."""

    endpoint: str
    name: str


@dataclass(frozen=True)
class Tried:
    """A run for a move: which attempt it was, and when it ended (None: it has not)."""

    attempt: int
    ended: datetime | None


def pending_move(entry: ServedModel, mlflow: Mlflow, ledger: Ledger) -> Move | None:
    """Return the move that `entry`'s alias made and nobody acted upon yet."""
    if not isinstance(entry.promotion, AliasPromotion):
        return None
    alias = entry.promotion.alias
    found = mlflow.alias(entry.model, alias)
    target = None if found is None else found.version
    last = last_move(ledger, entry.endpoint, alias)
    concluded = is_concluded(ledger, entry.endpoint, last)
    if not is_moved(target, last, concluded=concluded):
        return None
    after = "first" if last is None else str(last.seq)
    return Move(entry.endpoint, f"{alias}:{target or 'none'}:after-{after}")


def attempt_due(tried: Iterable[Tried], now: datetime) -> int | None:
    """Return which attempt is due; None: one is under way, or it is too early, or all failed."""
    runs = list(tried)
    if not runs:
        return 1
    if any(run.ended is None for run in runs):
        return None
    last = max(run.attempt for run in runs)
    ended = max(run.ended for run in runs if run.ended is not None)
    due = due_at(last, ended)
    return last + 1 if due is not None and due <= now else None


def _tried(instance: dg.DagsterInstance, move: Move) -> list[Tried]:
    wanted = dg.RunsFilter(
        job_name=PROMOTE, tags={ENDPOINT_TAG: move.endpoint, MOVE_TAG: move.name}
    )
    return [
        Tried(
            attempt_of(record.dagster_run.tags),
            _ended(record) if record.dagster_run.is_finished else None,
        )
        for record in instance.get_run_records(wanted)
    ]


def _ended(record: dg.RunRecord) -> datetime:
    moment = record.end_time or record.update_timestamp.timestamp()
    return datetime.fromtimestamp(moment, UTC)


def promotion_request(move: Move, attempt: int) -> dg.RunRequest:
    """Return what is asked of Dagster for a move."""
    return dg.RunRequest(
        run_key=f"{move.endpoint}:{move.name}:attempt{attempt}",
        run_config=run_config(PROMOTE, {"endpoint": move.endpoint}),
        tags={ENDPOINT_TAG: move.endpoint, MOVE_TAG: move.name, ATTEMPT_TAG: str(attempt)},
    )


@dg.sensor(
    job=promote_version,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sees that a person moved an alias which promotes, and asks for its deployment.",
)
def promotions(
    context: dg.SensorEvaluationContext,
    estate: dg.ResourceParam[AppliedEstate],
    mlflow: dg.ResourceParam[Mlflow],
    ledger: dg.ResourceParam[Ledger],
) -> dg.SensorResult | dg.SkipReason:
    """Look at every declared alias once."""
    try:
        models = read_serving(estate.serving_file).models.values()
    except ServingRefused as refusal:
        return dg.SkipReason(str(refusal))
    entries = [one for one in models if isinstance(one.promotion, AliasPromotion)]
    if not entries:
        return dg.SkipReason("no model of the serving file is promoted by an alias")
    down = part_that_is_down(estate.addresses)
    if down is not None:
        return dg.SkipReason(f"aliases are not looked at: {down}")
    try:
        found = [pending_move(entry, mlflow, ledger) for entry in entries]
    except (MlflowUnavailable, LedgerUnreachable) as error:
        return dg.SkipReason(f"aliases cannot be looked at: {error}")
    requests = []
    for move in (one for one in found if one is not None):
        attempt = attempt_due(_tried(context.instance, move), datetime.now(UTC))
        if attempt is not None:
            requests.append(promotion_request(move, attempt))
    if not requests:
        return dg.SkipReason(f"{len(entries)} aliases, none moved")
    return dg.SensorResult(run_requests=requests)
