"""What is deployed where, now or at a moment, as the ledger has it.

A `deployment/1` opens an interval on its endpoint; the next `deployment/1` or `withdrawal/1` ends
it. Whoever must know what is served before acting asks here. What a server serves is observed
elsewhere.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from platform_assets.lineage.facts import DEPLOYMENT, WITHDRAWAL
from platform_assets.lineage.ledger import Fact

_KINDS: Final = (DEPLOYMENT, WITHDRAWAL)


class Asked(Protocol):
    """Who answers: a `Ledger`, or a `LedgerReader` where several questions belong together."""

    def facts(
        self, kind: str | None = None, subject: str | None = None, until: datetime | None = None
    ) -> list[Fact]:
        """Return facts, oldest first."""

    def latest(self, kind: str, subject: str, until: datetime | None = None) -> Fact | None:
        """Return the fact that holds."""


@dataclass(frozen=True)
class Deployment:
    """What an endpoint serves from `since` on, by the ledger."""

    endpoint: str
    model: str
    version: str
    tree_digest: str
    checkpoint: str
    since: str
    fact: Fact


def deployment_of(fact: Fact) -> Deployment:
    """Read a `deployment/1`."""
    return Deployment(
        endpoint=fact.subject,
        model=str(fact.body["model"]),
        version=str(fact.body["version"]),
        tree_digest=str(fact.body["tree_digest"]),
        checkpoint=str(fact.body["checkpoint"]),
        since=fact.valid_from,
        fact=fact,
    )


def deployed(ledger: Asked, endpoint: str, at: datetime | None = None) -> Deployment | None:
    """Return what `endpoint` serves (at `at`: served), or None: nothing yet, or withdrawn."""
    found = ledger.latest(DEPLOYMENT, endpoint, at)
    if found is None or withdrawn(ledger, endpoint, at) is not None:
        return None
    return deployment_of(found)


def withdrawn(ledger: Asked, endpoint: str, at: datetime | None = None) -> Fact | None:
    """Return the fact that ended the last deployment of `endpoint` without a next one, if any."""
    last = ledger.latest(WITHDRAWAL, endpoint, at)
    served = ledger.latest(DEPLOYMENT, endpoint, at)
    return None if last is None or (served is not None and served.seq > last.seq) else last


def open_deployments(ledger: Asked, at: datetime | None = None) -> dict[str, Deployment]:
    """Return every deployment that nothing has ended, by endpoint."""
    facts = sorted((f for kind in _KINDS for f in ledger.facts(kind, None, at)), key=_seq)
    holds = {fact.subject: fact for fact in facts}
    return {
        endpoint: deployment_of(fact)
        for endpoint, fact in sorted(holds.items())
        if fact.kind == DEPLOYMENT
    }


def history(ledger: Asked, endpoint: str, at: datetime | None = None) -> list[Deployment]:
    """Return every deployment that `endpoint` ever had, oldest first."""
    return [deployment_of(fact) for fact in ledger.facts(DEPLOYMENT, endpoint, at)]


def _seq(fact: Fact) -> int:
    return fact.seq
