"""Whether a registered checkpoint takes over its endpoint: pure functions and their words.

Automatic promotion deploys the checkpoint that was sealed last; promotion by alias deploys the
version that a person's alias means. What people decided about the endpoint (`Standing`) holds for
both. Looking up the facts and acting on the decision happen elsewhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from platform_assets.spec.serving import AliasPromotion, ServedModel

# What MLServer can serve here. Others end registered.
SERVABLE_FORMATS = frozenset({"mlflow"})


class Outcome(StrEnum):
    """How a delivery ends."""

    DEPLOYED = "deployed"
    ALREADY_LIVE = "already-live"
    SUPERSEDED = "superseded"
    REGISTERED = "registered"


class Wait(StrEnum):
    """What a registered checkpoint waits for."""

    ALIAS = "alias"
    APPROVAL = "approval"
    RESUME = "resume"


@dataclass(frozen=True)
class Candidate:
    """A registered checkpoint that asks to be served; `sealed_at` as the ledger writes times."""

    model: str
    checkpoint: str
    format: str
    sealed_at: str
    tree_digest: str

    @property
    def sealed(self) -> tuple[str, str]:
        """What orders the checkpoints of a model."""
        return self.sealed_at, self.checkpoint


@dataclass(frozen=True)
class Live:
    """What the ledger says is deployed, and the digest that the server itself tells.

    `differs` says where the endpoint is not as intended all the same.
    """

    model: str
    checkpoint: str
    sealed_at: str
    tree_digest: str
    told_digest: str | None
    differs: str | None = None

    @property
    def stands(self) -> bool:
        """Whether what is deployed is served, and as it is intended."""
        return self.told_digest == self.tree_digest and self.differs is None


@dataclass(frozen=True)
class Standing:
    """What people decided about an endpoint.

    `rolled_back` maps each digest that was taken away, and was not deployed again by a person, to
    the words of the rollback. `floor` is the latest seal that a rollback took away. `withdrawn_at`
    is when the endpoint was deleted, if nothing was deployed since.
    """

    paused: str | None = None
    rolled_back: dict[str, str] = field(default_factory=dict)
    floor: tuple[str, str] | None = None
    withdrawn_at: str | None = None
    approved: frozenset[str] = frozenset()


UNTOUCHED = Standing()


@dataclass(frozen=True)
class Decision:
    """What happens to the endpoint, and why; `deploy` says whether the server must be changed."""

    outcome: Outcome
    reason: str
    waits_for: Wait | None = None

    @property
    def deploy(self) -> bool:
        """Whether the candidate is to be deployed."""
        return self.outcome is Outcome.DEPLOYED


def promotion(
    candidate: Candidate,
    entry: ServedModel | None,
    live: Live | None,
    standing: Standing = UNTOUCHED,
) -> Decision:
    """Decide whether the delivery of `candidate` takes over the endpoint of `entry`."""
    refused = _cannot_be_served(candidate, entry)
    if entry is None or refused is not None:
        return refused or Decision(Outcome.REGISTERED, "")
    same = _same_content(candidate, entry, live, standing)
    if same is not None:
        return same
    if isinstance(entry.promotion, AliasPromotion):
        reason = (
            f"waits for a person to move the alias {entry.promotion.alias} of model "
            f"{candidate.model} here"
        )
        return Decision(Outcome.REGISTERED, reason, Wait.ALIAS)
    late = _sealed_too_early(candidate, entry, live, standing)
    if late is not None:
        return late
    return _if_let(candidate, entry, standing, _takes_over(candidate, entry, live))


def wished(
    candidate: Candidate,
    entry: ServedModel | None,
    live: Live | None,
    standing: Standing = UNTOUCHED,
) -> Decision:
    """Decide whether a version that a person chose by its alias takes over the endpoint.

    When it was sealed, whether it was rolled back, and whether the endpoint was deleted meanwhile
    do not count: the person moved the alias after all that.
    """
    refused = _cannot_be_served(candidate, entry)
    if entry is None or refused is not None:
        return refused or Decision(Outcome.REGISTERED, "")
    if live is not None and live.model == candidate.model:
        same = _same_content(candidate, entry, live, Standing(paused=standing.paused))
        if same is not None:
            return same
    return _if_let(candidate, entry, standing, "a person moved the alias to this version")


def due(
    candidates: Iterable[Candidate], entry: ServedModel, live: Live | None, standing: Standing
) -> tuple[Candidate, Decision] | None:
    """Return the one of `candidates` that automatic promotion deploys now, or None."""
    for candidate in sorted(candidates, key=lambda one: one.sealed, reverse=True):
        decision = promotion(candidate, entry, live, standing)
        if decision.deploy:
            return candidate, decision
    return None


def _cannot_be_served(candidate: Candidate, entry: ServedModel | None) -> Decision | None:
    if entry is None:
        reason = f"model {candidate.model} has no entry in the serving file; add one to serve it"
        return Decision(Outcome.REGISTERED, reason)
    if candidate.format not in SERVABLE_FORMATS:
        can = ", ".join(sorted(SERVABLE_FORMATS))
        reason = f"format {candidate.format} cannot be served here; this model server takes: {can}"
        return Decision(Outcome.REGISTERED, reason)
    return None


def _same_content(
    candidate: Candidate, entry: ServedModel, live: Live | None, standing: Standing
) -> Decision | None:
    """Decide about bytes that the ledger says are live; None where they are not."""
    if live is None or live.model != candidate.model or live.tree_digest != candidate.tree_digest:
        return None
    if live.stands:
        reason = f"exactly these bytes are live already, from {live.checkpoint}"
        return Decision(Outcome.ALREADY_LIVE, reason)
    told = "nothing" if live.told_digest is None else live.told_digest or "bytes without a digest"
    found = f"the ledger says that these bytes are live, the server serves {told}"
    if live.told_digest == live.tree_digest:
        found = f"these bytes are live, but {live.differs}"
    if candidate.tree_digest in standing.rolled_back:
        reason = f"{found}: a rollback was not concluded; ask for it again"
        return Decision(Outcome.REGISTERED, reason)
    if standing.paused is not None:
        return _paused(entry, standing.paused, found)
    return Decision(Outcome.DEPLOYED, f"{found}: deployed again")


def _sealed_too_early(
    candidate: Candidate, entry: ServedModel, live: Live | None, standing: Standing
) -> Decision | None:
    told = standing.rolled_back.get(candidate.tree_digest)
    if told is not None:
        reason = (
            f"these bytes were taken away by a rollback ({told}); only a person brings them back: "
            f"`ai-how endpoint rollback {entry.endpoint} --to VERSION --reason TEXT`"
        )
        return Decision(Outcome.REGISTERED, reason)
    if (
        live is not None
        and live.model == candidate.model
        and candidate.sealed < (live.sealed_at, live.checkpoint)
    ):
        reason = (
            f"sealed {candidate.sealed_at}, before the live checkpoint {live.checkpoint} "
            f"({live.sealed_at})"
        )
        return Decision(Outcome.SUPERSEDED, reason)
    if standing.floor is not None and candidate.sealed <= standing.floor:
        reason = (
            f"sealed {candidate.sealed_at}, before {standing.floor[1]} ({standing.floor[0]}), "
            "which was taken away by a rollback; a checkpoint sealed later is promoted again"
        )
        return Decision(Outcome.SUPERSEDED, reason)
    if standing.withdrawn_at is not None and candidate.sealed_at <= standing.withdrawn_at:
        reason = (
            f"endpoint {entry.endpoint} was deleted at {standing.withdrawn_at}, after this "
            "checkpoint was sealed; a checkpoint sealed later brings it back, or a person: "
            f"`ai-how endpoint rollback {entry.endpoint} --to VERSION --reason TEXT`"
        )
        return Decision(Outcome.REGISTERED, reason)
    return None


def _if_let(candidate: Candidate, entry: ServedModel, standing: Standing, reason: str) -> Decision:
    """Deploy, unless a person must say yes first or said that nothing moves."""
    if entry.approval is not None and candidate.tree_digest not in standing.approved:
        words = f"waits for approval: `ai-how endpoint approve {entry.endpoint} --version VERSION`"
        return Decision(Outcome.REGISTERED, words, Wait.APPROVAL)
    if standing.paused is not None:
        return _paused(entry, standing.paused, reason)
    return Decision(Outcome.DEPLOYED, reason)


def _paused(entry: ServedModel, since: str, why: str) -> Decision:
    reason = (
        f"paused: endpoint {entry.endpoint} is paused ({since}), nothing moves it; {why}; "
        f"`ai-how endpoint resume {entry.endpoint}` deploys what is due then"
    )
    return Decision(Outcome.REGISTERED, reason, Wait.RESUME)


def _takes_over(candidate: Candidate, entry: ServedModel, live: Live | None) -> str:
    if live is None:
        return f"endpoint {entry.endpoint} served nothing yet"
    if live.model != candidate.model:
        return f"the serving file gives the endpoint to {candidate.model}, it served {live.model}"
    return f"sealed {candidate.sealed_at}, after {live.checkpoint} ({live.sealed_at})"
