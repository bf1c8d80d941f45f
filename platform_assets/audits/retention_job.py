"""The job that removes old versions and their copies. What goes is decided in `retention.py`.

It asks for the estate's name in its run configuration, as `ai-how retention apply --confirm` gives
it: started by mistake, it removes nothing.
"""

from datetime import UTC, datetime

import dagster as dg

from platform_assets.audits.retention import Stock, apply_retention, deliveries_under_way
from platform_assets.lineage.ledger import Ledger
from platform_assets.models.partition import RETRY, only_transient_errors_retry
from platform_assets.serving.provider import Provider
from platform_assets.spec.applied import AppliedEstate
from platform_assets.spec.errors import AiHowError
from resources.mlflow import Mlflow
from resources.object_store import ObjectStore

JOB_NAME = "apply_retention"
OP_NAME = "remove_old_versions"


class NotConfirmed(AiHowError):
    """The name does not confirm what is to be removed."""


class Confirmation(dg.Config):
    """The estate's name, given by whoever wants the removal."""

    confirm: str


def check_confirmed(estate: AppliedEstate, confirm: str) -> None:
    """Check that `confirm` names the estate.

    Raises:
        NotConfirmed: it does not.
    """
    if confirm != estate.name:
        message = (
            f"retention: expected --confirm {estate.name}, found --confirm {confirm}; this removes "
            "versions and their copies for good: look at `ai-how retention list` first"
        )
        raise NotConfirmed(message)


@dg.op(
    name=OP_NAME,
    retry_policy=RETRY,
    description="Removes what `ai-how retention list` says would go.",
)
def remove_old_versions(  # noqa: PLR0917 - the connections of a removal
    context: dg.OpExecutionContext,
    config: Confirmation,
    estate: dg.ResourceParam[AppliedEstate],
    object_store: dg.ResourceParam[ObjectStore],
    mlflow: dg.ResourceParam[Mlflow],
    provider: dg.ResourceParam[Provider],
    ledger: dg.ResourceParam[Ledger],
) -> None:
    """Check the confirmation, then remove and tell."""
    stock = Stock(object_store, mlflow, provider, ledger, estate.serving_file)
    with only_transient_errors_retry():
        check_confirmed(estate, config.confirm)
        busy = deliveries_under_way(context.instance, ledger)
        applied = apply_retention(
            stock, busy, context.run_id, lambda: datetime.now(UTC), context.log.info
        )
    context.add_output_metadata(
        {
            "removed_versions": sum(len(one.versions) for one in applied.removed),
            "removed_copies": sum(one.copy for one in applied.removed),
            "removed_objects": applied.objects,
            "left": "; ".join(f"{r.model} {r.versions}: {why}" for r, why in applied.left)
            or "none",
        }
    )


@dg.job(
    name=JOB_NAME,
    description=(
        "Removes versions that no rule keeps, and their copies: from the registry and the object "
        "store, never from the ledger, never at the source. Needs the estate's name as `confirm`."
    ),
)
def apply_retention_job() -> None:
    """Remove old versions."""
    remove_old_versions()
