"""Where an endpoint stands by the ledger: what people decided about it, and what waits for them."""

from platform_assets.lineage import deployments, facts, interventions
from platform_assets.lineage.deployments import Asked
from platform_assets.lineage.ledger import Fact
from platform_assets.serving.promotion import Standing, Wait


def standing_of(ledger: Asked, endpoint: str, model: str) -> Standing:
    """Return what people decided about `endpoint`, as far as it concerns `model`."""
    back = [
        fact
        for fact in ledger.facts(interventions.ROLLBACK, endpoint)
        if fact.body["model"] == model and "from_tree_digest" in fact.body
    ]
    served = {d.tree_digest: d.fact.seq for d in deployments.history(ledger, endpoint)}
    ended = deployments.withdrawn(ledger, endpoint)
    return Standing(
        paused=paused_since(ledger, endpoint),
        rolled_back={
            str(fact.body["from_tree_digest"]): _rollback_words(fact)
            for fact in back
            if served.get(str(fact.body["from_tree_digest"]), -1) < fact.seq
        },
        floor=max(
            (
                (str(fact.body["from_sealed_at"]), str(fact.body["from_checkpoint"]))
                for fact in back
            ),
            default=None,
        ),
        withdrawn_at=None if ended is None else ended.valid_from,
        approved=frozenset(
            str(fact.body["tree_digest"])
            for fact in ledger.facts(interventions.APPROVAL, endpoint)
            if fact.body["model"] == model
        ),
    )


def paused_since(ledger: Asked, endpoint: str) -> str | None:
    """Return since when, by whom and why `endpoint` is paused; None where it is not."""
    last = ledger.latest(interventions.PAUSE, endpoint)
    if last is None or not last.body["paused"]:
        return None
    why = f": {last.body['reason']}" if last.body["reason"] else ""
    return f"since {last.valid_from[:19]}Z by {last.body['by']}{why}"


def waiting_deliveries(ledger: Asked, endpoint: str) -> list[Fact]:
    """Return the newest `waiting/1` of each checkpoint whose delivery to `endpoint` waits.

    One that was deployed since waits no longer; whether an older one is due still is decided anew.
    """
    if ledger.latest(interventions.WAITING, endpoint) is None:
        return []
    newest = {str(f.body["checkpoint"]): f for f in ledger.facts(interventions.WAITING, endpoint)}
    served = {d.tree_digest: d.fact.seq for d in deployments.history(ledger, endpoint)}
    return [f for f in newest.values() if served.get(str(f.body["tree_digest"]), -1) < f.seq]


def notes(ledger: Asked, endpoint: str) -> tuple[str, ...]:
    """Return what a person should know of `endpoint` besides what it serves."""
    told = []
    paused = paused_since(ledger, endpoint)
    if paused is not None:
        told.append(f"paused {paused}")
    ended = deployments.withdrawn(ledger, endpoint)
    if ended is not None:
        told.append(f"deleted {ended.valid_from[:19]}Z by {ended.body['by']}")
    live = None if ended is not None else ledger.latest(facts.DEPLOYMENT, endpoint)
    after = live.seq if live else -1
    back = ledger.latest(interventions.ROLLBACK, endpoint)
    if back is not None and live is not None:
        later = [d for d in deployments.history(ledger, endpoint) if d.fact.seq > back.seq]
        if len(later) <= 1:
            told.append(_rollback_words(back))
    moved = ledger.latest(interventions.PROMOTION, endpoint)
    if moved is not None and moved.seq > after and moved.body["outcome"] == "refused":
        told.append(f"alias {moved.body['alias']}: {moved.body['reason']}")
    return (*told, *_waiting_notes(ledger, endpoint, after))


def _waiting_notes(ledger: Asked, endpoint: str, after: int) -> list[str]:
    """Tell the newest delivery that waits for each cause and came after what is live."""
    waiting = waiting_deliveries(ledger, endpoint)
    if not waiting:
        return []
    approved = {f.body["tree_digest"] for f in ledger.facts(interventions.APPROVAL, endpoint)}
    newest: dict[str, Fact] = {}
    for fact in waiting:
        waits_for = str(fact.body["waits_for"])
        granted = waits_for == Wait.APPROVAL and fact.body["tree_digest"] in approved
        if fact.seq > after and not granted:
            newest[waits_for] = fact
    return [
        f"version {fact.body['version']} ({fact.body['checkpoint']}) waits for {waits_for}"
        for waits_for, fact in newest.items()
    ]


def _rollback_words(fact: Fact) -> str:
    body = fact.body
    away = f" from version {body['from_version']}" if "from_version" in body else ""
    return (
        f"rolled back{away} to {body['to_version']} {fact.valid_from[:19]}Z by {body['by']}: "
        f"{body['reason']}"
    )


def version_facts(ledger: Asked, model: str, tree_digest: str) -> list[Fact]:
    """Return the facts about versions of `model` with these bytes, oldest first."""
    return [
        fact
        for fact in ledger.facts(facts.VERSION)
        if fact.body["model"] == model and fact.body["tree_digest"] == tree_digest
    ]
