"""Rollback: a person puts a version that served before in the place of the one that serves.

The bytes are fetched by manifest and verified as at any deployment. The rollback is a fact with its
reason; automatic promotion heeds it (`promotion.py`): neither the bytes that were taken away nor
anything sealed before them come back by themselves.
"""

from collections.abc import Container, Sequence

from platform_assets.lineage import interventions
from platform_assets.lineage.deployments import Deployment, deployed, history
from platform_assets.serving.chosen_version import chosen_version
from platform_assets.serving.intervention import Done, EndpointUnknown, Intervention
from platform_assets.serving.promotion import Candidate, Decision, Live, Outcome
from platform_assets.spec.errors import AiHowError


class RollbackRefused(AiHowError):
    """There is nothing to roll back to, or what was asked for is not allowed."""


def version_before(
    past: Sequence[Deployment], live: Deployment | None, rolled_back: Container[str]
) -> Deployment | None:
    """Return what a rollback without a named version goes to.

    That is the deployment before the present one, leaving out the bytes that are live and those
    that an earlier rollback took away.
    """
    for one in reversed(past):
        same_model = live is None or one.model == live.model
        is_live = live is not None and one.tree_digest == live.tree_digest
        if same_model and not is_live and one.tree_digest not in rolled_back:
            return one
    return None


def roll_back(asked: Intervention, endpoint: str, to: str | None, reason: str) -> Done:
    """Deploy version `to` (None: the one that served before) and record why.

    Raises:
        RollbackRefused, VersionUnusable: nothing was touched.
        WrongCopy, CandidateRefused: its bytes or the model failed; what was live is live still.
    """
    if not reason.strip():
        message = f"endpoint {endpoint}: a rollback needs a reason: `--reason TEXT`"
        raise RollbackRefused(message)
    with asked.alone(endpoint):
        ledger = asked.serving.ledger
        concluded = _concluded(asked, endpoint)
        if concluded is not None:
            return concluded
        past, open_one = history(ledger, endpoint), deployed(ledger, endpoint)
        model = _model(asked, endpoint, past, open_one)
        standing = asked.standing(endpoint, model)
        if to is None:
            if open_one is None:
                message = (
                    f"endpoint {endpoint}: nothing is deployed there, so that nothing served "
                    "before; name a version: `--to VERSION`"
                )
                raise RollbackRefused(message)
            before = version_before(past, open_one, standing.rolled_back)
            if before is None:
                message = (
                    f"endpoint {endpoint}: version {open_one.version} is live and no other "
                    "version served before that was not rolled back itself; name one: "
                    "`--to VERSION`"
                )
                raise RollbackRefused(message)
            to = before.version
        candidate = chosen_version(asked.serving.mlflow, ledger, model, to)
        live = asked.live(endpoint)
        _check_allowed(asked, endpoint, to, candidate, past, live)
        return _put_back(asked, endpoint, to, reason, candidate, open_one, live)


def _model(
    asked: Intervention, endpoint: str, past: Sequence[Deployment], open_one: Deployment | None
) -> str:
    if open_one is not None:
        return open_one.model
    entry = asked.entry(endpoint)
    if entry is not None:
        return entry.model
    if past:
        return past[-1].model
    message = f"endpoint {endpoint!r}: it is not declared and nothing was ever deployed there"
    raise EndpointUnknown(message)


def _concluded(asked: Intervention, endpoint: str) -> Done | None:
    """Tell that this very request was carried out before its run was killed."""
    ledger = asked.serving.ledger
    mine = [
        fact
        for fact in ledger.facts(interventions.ROLLBACK, endpoint)
        if fact.body["request"] == asked.request
    ]
    if not mine or not any(d.fact.seq > mine[0].seq for d in history(ledger, endpoint)):
        return None
    return Done(f"endpoint {endpoint}: rolled back to version {mine[0].body['to_version']} before")


def _check_allowed(  # noqa: PLR0917 - all of them decide
    asked: Intervention,
    endpoint: str,
    to: str,
    candidate: Candidate,
    past: Sequence[Deployment],
    live: Live | None,
) -> None:
    if (
        live is not None
        and live.model == candidate.model
        and live.tree_digest == candidate.tree_digest
        and live.stands
    ):
        message = f"endpoint {endpoint}: version {to} is what it serves; nothing was changed"
        raise RollbackRefused(message)
    entry = asked.entry(endpoint)
    served = {(one.model, one.tree_digest) for one in past}
    approved = asked.standing(endpoint, candidate.model).approved
    if (
        entry is not None
        and entry.approval is not None
        and (candidate.model, candidate.tree_digest) not in served
        and candidate.tree_digest not in approved
    ):
        message = (
            f"endpoint {endpoint}: version {to} never served here and was not approved: "
            f"`ai-how endpoint approve {endpoint} --version {to}`"
        )
        raise RollbackRefused(message)


def _put_back(  # noqa: PLR0917 - all of them are the rollback
    asked: Intervention,
    endpoint: str,
    to: str,
    reason: str,
    candidate: Candidate,
    open_one: Deployment | None,
    live: Live | None,
) -> Done:
    away = {}
    if open_one is not None and live is not None:
        away = {
            "version": open_one.version,
            "tree_digest": live.tree_digest,
            "checkpoint": live.checkpoint,
            "sealed_at": live.sealed_at,
        }

    def record() -> None:
        if away.get("tree_digest") != candidate.tree_digest:  # else it only serves again
            interventions.record_rollback(
                asked.serving.ledger,
                endpoint=endpoint,
                model=candidate.model,
                away_from=away,
                to_version=to,
                to_tree_digest=candidate.tree_digest,
                reason=reason,
                by=asked.by,
                request=asked.request,
                dagster_run=asked.dagster_run,
            )

    words = f"rolled back by {asked.by}: {reason}"
    decision = Decision(Outcome.DEPLOYED, words)
    before = any(
        (one.model, one.tree_digest) == (candidate.model, candidate.tree_digest)
        for one in history(asked.serving.ledger, endpoint)
    )
    delivered = asked.serve(candidate, to, endpoint, decision, record, served_before=before)
    was = f", instead of version {open_one.version}" if open_one else ""
    return Done(f"endpoint {endpoint} serves version {to}{was}: {reason}", delivered)
