"""Whether a registered checkpoint takes over its endpoint: one pure function and its words.

Automatic promotion deploys the checkpoint that was sealed last. Looking up the facts and acting on
the decision happen in `endpoint.py`.
"""

from dataclasses import dataclass
from enum import StrEnum

from platform_assets.spec.serving import ServedModel

# What MLServer can serve here. Others end registered.
SERVABLE_FORMATS = frozenset({"mlflow"})


class Outcome(StrEnum):
    """How a delivery ends."""

    DEPLOYED = "deployed"
    ALREADY_LIVE = "already-live"
    SUPERSEDED = "superseded"
    REGISTERED = "registered"


@dataclass(frozen=True)
class Candidate:
    """A registered checkpoint that asks to be served; `sealed_at` as the ledger writes times."""

    model: str
    checkpoint: str
    format: str
    sealed_at: str
    tree_digest: str


@dataclass(frozen=True)
class Live:
    """What the ledger says is deployed, and the digest that the server itself tells."""

    model: str
    checkpoint: str
    sealed_at: str
    tree_digest: str
    told_digest: str | None


@dataclass(frozen=True)
class Decision:
    """What happens to the endpoint, and why; `deploy` says whether the server must be changed."""

    outcome: Outcome
    reason: str

    @property
    def deploy(self) -> bool:
        """Whether the candidate is to be deployed."""
        return self.outcome is Outcome.DEPLOYED


def promotion(candidate: Candidate, entry: ServedModel | None, live: Live | None) -> Decision:
    """Decide whether `candidate` takes over the endpoint of `entry` from `live`."""
    if entry is None:
        reason = f"model {candidate.model} has no entry in the serving file; add one to serve it"
        return Decision(Outcome.REGISTERED, reason)
    if candidate.format not in SERVABLE_FORMATS:
        can = ", ".join(sorted(SERVABLE_FORMATS))
        reason = f"format {candidate.format} cannot be served here; this model server takes: {can}"
        return Decision(Outcome.REGISTERED, reason)
    if live is None:
        return Decision(Outcome.DEPLOYED, f"endpoint {entry.endpoint} served nothing yet")
    if live.model != candidate.model:
        reason = f"the serving file gives the endpoint to {candidate.model}, it served {live.model}"
        return Decision(Outcome.DEPLOYED, reason)
    if live.tree_digest == candidate.tree_digest:
        return _equal_content(live)
    if (candidate.sealed_at, candidate.checkpoint) < (live.sealed_at, live.checkpoint):
        reason = (
            f"sealed {candidate.sealed_at}, before the live checkpoint {live.checkpoint} "
            f"({live.sealed_at})"
        )
        return Decision(Outcome.SUPERSEDED, reason)
    reason = f"sealed {candidate.sealed_at}, after {live.checkpoint} ({live.sealed_at})"
    return Decision(Outcome.DEPLOYED, reason)


def _equal_content(live: Live) -> Decision:
    if live.told_digest == live.tree_digest:
        reason = f"exactly these bytes are live already, from {live.checkpoint}"
        return Decision(Outcome.ALREADY_LIVE, reason)
    told = "nothing" if live.told_digest is None else live.told_digest or "bytes without a digest"
    reason = f"the ledger says that these bytes are live, the server serves {told}: deployed again"
    return Decision(Outcome.DEPLOYED, reason)
