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

    def latest_of_each(self, kind: str, until: datetime | None = None) -> dict[str, Fact]:
        """Return the fact that holds for each subject."""


class AskedOnce:
    """Answers `latest` for many subjects out of one question for each kind; the rest is asked."""

    def __init__(self, ledger: Asked) -> None:
        """Ask `ledger`; what it told once is told again."""
        self._ledger = ledger
        self._latest: dict[str, dict[str, Fact]] = {}

    def facts(
        self, kind: str | None = None, subject: str | None = None, until: datetime | None = None
    ) -> list[Fact]:
        """Return facts, oldest first."""
        return self._ledger.facts(kind, subject, until)

    def latest(self, kind: str, subject: str, until: datetime | None = None) -> Fact | None:
        """Return the fact that holds."""
        return self.latest_of_each(kind, until).get(subject)

    def latest_of_each(self, kind: str, until: datetime | None = None) -> dict[str, Fact]:
        """Return the fact that holds for each subject."""
        if until is not None:
            return self._ledger.latest_of_each(kind, until)
        if kind not in self._latest:
            self._latest[kind] = self._ledger.latest_of_each(kind)
        return self._latest[kind]


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
    last = (f for kind in _KINDS for f in ledger.latest_of_each(kind, at).values())
    holds = {fact.subject: fact for fact in sorted(last, key=_seq)}
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
