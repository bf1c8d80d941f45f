"""Promotion by alias: what becomes of a person's move of an alias of the registered model.

MLflow keeps where an alias points and nothing else: not since when, nor by whom. So each move that
was seen is a `promotion/1` in the ledger, and an alias that points elsewhere than the last of them
says was moved. A move away and back between two looks leaves no trace.
"""

from platform_assets.lineage import interventions
from platform_assets.lineage.deployments import Asked, deployed
from platform_assets.lineage.facts import DEPLOYMENT, WITHDRAWAL
from platform_assets.lineage.ledger import Fact
from platform_assets.models.partition import TRANSIENT_ERRORS
from platform_assets.serving.chosen_version import chosen_version
from platform_assets.serving.endpoint import record_wait
from platform_assets.serving.intervention import Done, Intervention
from platform_assets.serving.promotion import Outcome, wished
from platform_assets.spec.errors import AiHowError
from platform_assets.spec.serving import AliasPromotion, ServedModel
from resources.errors import ResourceError

REFUSED = "refused"
UNSET = "unset"


def last_move(ledger: Asked, endpoint: str, alias: str) -> Fact | None:
    """Return what became of the last move of `alias` that was seen for `endpoint`."""
    of_alias = [
        fact
        for fact in ledger.facts(interventions.PROMOTION, endpoint)
        if fact.body["alias"] == alias
    ]
    return of_alias[-1] if of_alias else None


def is_moved(target: str | None, last: Fact | None, *, concluded: bool) -> bool:
    """Tell whether an alias that means version `target` (None: nothing) asks for something.

    It does when the last move that was seen led elsewhere, or was decided and not concluded.
    """
    if last is None:
        return target is not None
    return last.body.get("version") != target or not concluded


def is_concluded(ledger: Asked, endpoint: str, last: Fact | None) -> bool:
    """Tell whether the last move was carried out: killed before the end, it was not."""
    if last is None or last.body["outcome"] != Outcome.DEPLOYED:
        return True
    live = deployed(ledger, endpoint)
    if live is not None and live.tree_digest == last.body["tree_digest"]:
        return True
    kinds = (DEPLOYMENT, WITHDRAWAL, interventions.ROLLBACK)
    later = (ledger.latest(kind, endpoint) for kind in kinds)
    return any(fact is not None and fact.seq > last.seq for fact in later)


def follow_alias(asked: Intervention, entry: ServedModel, *, again: bool = False) -> Done:
    """Deploy what the alias means, if a person moved it; the caller holds the endpoint's lock.

    `again` also takes up a move that waited for approval or for the endpoint to be resumed.

    Raises:
        VersionUnusable: the version is not ours or is gone; that is recorded, and told once.
        WrongCopy, CandidateRefused: it does not serve; recorded too, what was live is live still.
    """
    ledger, alias = asked.serving.ledger, _alias_of(entry)
    found = asked.serving.mlflow.alias(entry.model, alias)
    target = None if found is None else found.version
    last = last_move(ledger, entry.endpoint, alias)
    waits = again and last is not None and last.body["outcome"] == Outcome.REGISTERED
    concluded = is_concluded(ledger, entry.endpoint, last) and not waits
    if not is_moved(target, last, concluded=concluded):
        where = f"version {target}" if target else "no version"
        return Done(f"nothing is due: alias {alias} means {where}, as it did before")
    if target is None:
        reason = "it means no version: it was removed, or its version was deleted"
        _record(asked, entry, None, None, UNSET, reason)
        return Done(f"alias {alias} of model {entry.model}: {reason}; what is live stays")
    try:
        return _deploy(asked, entry, target)
    except TRANSIENT_ERRORS:
        raise
    except (AiHowError, ResourceError) as error:
        _record(asked, entry, target, None, REFUSED, str(error))
        raise


def _deploy(asked: Intervention, entry: ServedModel, target: str) -> Done:
    endpoint, alias = entry.endpoint, _alias_of(entry)
    candidate = chosen_version(asked.serving.mlflow, asked.serving.ledger, entry.model, target)
    standing = asked.standing(endpoint, entry.model)
    decision = wished(candidate, entry, asked.live(endpoint), standing)

    def record() -> None:
        outcome = decision.outcome.value
        _record(asked, entry, target, candidate.tree_digest, outcome, decision.reason)

    asked.progress(f"alias {alias} means version {target}: {decision.outcome}: {decision.reason}")
    if not decision.deploy:
        record()
        ledger, run = asked.serving.ledger, asked.dagster_run
        record_wait(ledger, endpoint, candidate, target, decision, run)
        return Done(f"alias {alias} means version {target}: {decision.reason}")
    delivered = asked.serve(candidate, target, endpoint, decision, record)
    return Done(f"endpoint {endpoint} serves version {target}: {decision.reason}", delivered)


def _record(  # noqa: PLR0917 - all of them are the fact
    asked: Intervention,
    entry: ServedModel,
    version: str | None,
    tree_digest: str | None,
    outcome: str,
    reason: str,
) -> None:
    interventions.record_promotion(
        asked.serving.ledger,
        endpoint=entry.endpoint,
        model=entry.model,
        alias=_alias_of(entry),
        version=version,
        tree_digest=tree_digest,
        outcome=outcome,
        reason=reason,
        dagster_run=asked.dagster_run,
    )


def _alias_of(entry: ServedModel) -> str:
    if not isinstance(entry.promotion, AliasPromotion):
        message = (
            f"endpoint {entry.endpoint}: expected promotion {{alias: NAME}} in the serving file, "
            "found automatic; the alias decides nothing there"
        )
        raise AliasUndeclared(message)
    return entry.promotion.alias


class AliasUndeclared(AiHowError):
    """The endpoint is not promoted by an alias."""
