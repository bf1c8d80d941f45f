"""Approval: a person lets a version be deployed, where the serving file asks for that.

Who it was is what the command line says of its user, or `--by`; nothing proves it. Dagster's UI
knows no users: from there it is "unknown", which a list of names in the serving file refuses.
"""

from platform_assets.lineage import interventions
from platform_assets.serving.alias_move import follow_alias
from platform_assets.serving.chosen_version import chosen_version
from platform_assets.serving.intervention import Done, Intervention
from platform_assets.serving.pause import deploy_due
from platform_assets.serving.promotion import promotion
from platform_assets.spec.errors import AiHowError
from platform_assets.spec.serving import AliasPromotion, ServedModel


class ApprovalRefused(AiHowError):
    """The endpoint asks for no approval, or this person may not give it."""


def approve(asked: Intervention, endpoint: str, version: str) -> Done:
    """Record that `asked.by` approves `version`, and deploy it if it is due.

    Raises:
        ApprovalRefused, VersionUnusable: nothing was recorded.
        WrongCopy, CandidateRefused: it is approved, but does not serve; what was live is live.
    """
    entry = asked.declared(endpoint)
    _check_person(asked, entry)
    with asked.alone(endpoint):
        ledger = asked.serving.ledger
        candidate = chosen_version(asked.serving.mlflow, ledger, entry.model, version)
        interventions.record_approval(
            ledger,
            endpoint=endpoint,
            model=entry.model,
            version=version,
            tree_digest=candidate.tree_digest,
            by=asked.by,
            dagster_run=asked.dagster_run,
        )
        if isinstance(entry.promotion, AliasPromotion):
            done = follow_alias(asked, entry, again=True)
        else:
            done = deploy_due(asked, entry, [(candidate, version)])
            if done.delivered is None:
                standing = asked.standing(endpoint, entry.model)
                why = promotion(candidate, entry, asked.live(endpoint), standing)
                done = Done(f"it is not deployed: {why.outcome}: {why.reason}")
    return Done(f"version {version} is approved by {asked.by}; {done.sentence}", done.delivered)


def _check_person(asked: Intervention, entry: ServedModel) -> None:
    if entry.approval is None:
        message = (
            f"endpoint {entry.endpoint}: its model {entry.model} asks for no approval; set "
            "`approval: true` in the serving file to have versions wait for one"
        )
        raise ApprovalRefused(message)
    allowed = entry.approval.by
    if allowed is not None and asked.by not in allowed:
        message = (
            f"endpoint {entry.endpoint}: expected an approval by one of {', '.join(allowed)}, "
            f"found {asked.by}; the serving file names who may approve"
        )
        raise ApprovalRefused(message)
