"""Deleting an endpoint: it answers no longer; versions, copies, checkpoints and facts all stay.

It comes back by a checkpoint that is sealed after it was deleted, by a move of its alias, or by
`ai-how endpoint rollback NAME --to VERSION`.
"""

from platform_assets.lineage import facts
from platform_assets.lineage.deployments import deployed, history
from platform_assets.serving.intervention import Done, EndpointUnknown, Intervention
from platform_assets.spec.errors import AiHowError


class NotConfirmed(AiHowError):
    """The confirmation does not name the endpoint; nothing was touched."""


def delete(asked: Intervention, endpoint: str, confirm: str, reason: str) -> Done:
    """Withdraw the endpoint, remove its alias, record it.

    Idempotent and safe to kill anywhere: the next call concludes.

    Raises:
        NotConfirmed: `confirm` is not the endpoint's name.
        EndpointUnknown: nothing was ever deployed there.
    """
    if confirm != endpoint:
        message = (
            f"endpoint {endpoint}: expected its name as confirmation, found {confirm!r}; "
            "nothing was deleted"
        )
        raise NotConfirmed(message)
    serving = asked.serving
    with asked.alone(endpoint):
        past, open_one = history(serving.ledger, endpoint), deployed(serving.ledger, endpoint)
        if not past:
            message = f"endpoint {endpoint!r}: nothing was ever deployed there; nothing to delete"
            raise EndpointUnknown(message)
        serving.provider.withdraw(endpoint)
        for model in sorted({one.model for one in past}):
            serving.mlflow.delete_alias(model, f"live-{endpoint}")
        facts.record_withdrawal(
            serving.ledger,
            endpoint=endpoint,
            model=open_one.model if open_one else None,
            version=open_one.version if open_one else None,
            tree_digest=open_one.tree_digest if open_one else None,
            reason=reason,
            by=asked.by,
            dagster_run=asked.dagster_run,
        )
    if open_one is None:
        return Done(f"endpoint {endpoint} was deleted before; nothing was left of it")
    return Done(f"endpoint {endpoint} is deleted; version {open_one.version} stays registered")
