"""Pause and resume: whether sensors may move an endpoint, and what is due when they may again."""

from platform_assets.lineage import interventions
from platform_assets.lineage.facts import GATE
from platform_assets.serving.alias_move import follow_alias
from platform_assets.serving.endpoint import candidate_of
from platform_assets.serving.intervention import Done, Intervention
from platform_assets.serving.promotion import Candidate, due
from platform_assets.serving.standing import waiting_deliveries
from platform_assets.spec.serving import AliasPromotion, ServedModel


def pause(asked: Intervention, endpoint: str, reason: str) -> Done:
    """Let nothing but a person move the endpoint. A swap under way is waited for."""
    asked.declared(endpoint)
    with asked.alone(endpoint):
        fact = _record(asked, endpoint, reason, paused=True)
    if fact is None:
        return Done(f"endpoint {endpoint} is paused already")
    return Done(f"endpoint {endpoint} is paused; deliveries end registered until it is resumed")


def resume(asked: Intervention, endpoint: str) -> Done:
    """Let sensors move the endpoint again, and deploy what became due meanwhile."""
    entry = asked.declared(endpoint)
    with asked.alone(endpoint):
        fact = _record(asked, endpoint, "", paused=False)
        was = f"endpoint {endpoint} is resumed" if fact else f"endpoint {endpoint} was not paused"
        if isinstance(entry.promotion, AliasPromotion):
            done = follow_alias(asked, entry, again=True)
        else:
            done = deploy_due(asked, entry, waiting_candidates(asked, entry))
    return Done(f"{was}; {done.sentence}", done.delivered)


def waiting_candidates(asked: Intervention, entry: ServedModel) -> list[tuple[Candidate, str]]:
    """Return the checkpoints whose delivery ended waiting, each with its version.

    One that failed its gates since waits no longer: nothing is tried again blindly.
    """
    ledger, endpoint = asked.serving.ledger, entry.endpoint
    failed = {
        str(fact.body["tree_digest"]): fact.seq
        for fact in ledger.facts(GATE, endpoint)
        if not fact.body["passed"]
    }
    return [
        candidate_of(str(fact.body["checkpoint"]), ledger)
        for fact in waiting_deliveries(ledger, endpoint)
        if fact.body["model"] == entry.model
        and failed.get(str(fact.body["tree_digest"]), -1) < fact.seq
    ]


def deploy_due(
    asked: Intervention, entry: ServedModel, candidates: list[tuple[Candidate, str]]
) -> Done:
    """Deploy the one of `candidates` that is due, if any; the caller holds the lock."""
    versions = {candidate.checkpoint: version for candidate, version in candidates}
    live = asked.live(entry.endpoint)
    standing = asked.standing(entry.endpoint, entry.model)
    found = due([candidate for candidate, _ in candidates], entry, live, standing)
    if found is None:
        return Done("nothing is due")
    candidate, decision = found
    version = versions[candidate.checkpoint]
    delivered = asked.serve(candidate, version, entry.endpoint, decision)
    return Done(f"it serves version {version} ({decision.reason})", delivered)


def _record(asked: Intervention, endpoint: str, reason: str, *, paused: bool) -> object:
    return interventions.record_pause(
        asked.serving.ledger,
        endpoint=endpoint,
        paused=paused,
        reason=reason,
        by=asked.by,
        dagster_run=asked.dagster_run,
    )
