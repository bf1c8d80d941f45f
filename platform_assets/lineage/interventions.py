"""What people decide about an endpoint, and what waits for them: one function per kind of fact.

| kind          | subject  | says                                                              |
|---------------|----------|-------------------------------------------------------------------|
| `rollback/1`  | endpoint | a person put another version in the place of the one that served   |
| `pause/1`     | endpoint | from now on nothing (`paused: false`: sensors again) moves it      |
| `approval/1`  | endpoint | a person lets a version be deployed                                |
| `promotion/1` | endpoint | what became of a person's move of the alias that promotes          |
| `waiting/1`   | endpoint | a delivery ended registered and waits for a person                 |

`deployment/1` and `withdrawal/1` are in `facts.py`. An actor who is not known is "unknown".
"""

from typing import Any, Final

from platform_assets.lineage.facts import known_fact, plain_body
from platform_assets.lineage.ledger import Fact, Ledger, LedgerReader

ROLLBACK: Final = "rollback/1"
PAUSE: Final = "pause/1"
APPROVAL: Final = "approval/1"
PROMOTION: Final = "promotion/1"
WAITING: Final = "waiting/1"
UNKNOWN: Final = "unknown"

_RUN_ONLY: Final = frozenset({"dagster_run"})


def record_rollback(
    ledger: Ledger,
    *,
    endpoint: str,
    model: str,
    away_from: dict[str, str],
    to_version: str,
    to_tree_digest: str,
    reason: str,
    by: str,
    request: str,
    dagster_run: str | None,
) -> Fact:
    """Record a rollback, once per `request`; `away_from` says what served, empty if nothing did."""
    body = plain_body(
        {
            "endpoint": endpoint,
            "model": model,
            **{f"from_{name}": value for name, value in away_from.items()},
            "to_version": to_version,
            "to_tree_digest": to_tree_digest,
            "reason": reason,
            "by": by,
            "request": request,
            "dagster_run": dagster_run,
        }
    )
    known: list[Fact] = []

    def is_new(reader: LedgerReader) -> bool:
        known.extend(f for f in reader.facts(ROLLBACK, endpoint) if f.body["request"] == request)
        return not known

    return ledger.append_if(is_new, ROLLBACK, endpoint, body) or known[0]


def record_pause(
    ledger: Ledger, *, endpoint: str, paused: bool, reason: str, by: str, dagster_run: str | None
) -> Fact | None:
    """Record that sensors leave `endpoint` alone, or no longer; None where that holds already."""
    body = plain_body(
        {
            "endpoint": endpoint,
            "paused": paused,
            "reason": reason,
            "by": by,
            "dagster_run": dagster_run,
        }
    )

    def changes(reader: LedgerReader) -> bool:
        last = reader.latest(PAUSE, endpoint)
        return paused if last is None else bool(last.body["paused"]) is not paused

    return ledger.append_if(changes, PAUSE, endpoint, body)


def record_approval(
    ledger: Ledger,
    *,
    endpoint: str,
    model: str,
    version: str,
    tree_digest: str,
    by: str,
    dagster_run: str | None,
) -> Fact:
    """Record that `by` lets these bytes serve at `endpoint`; the same word twice is one fact."""
    body = plain_body(
        {
            "endpoint": endpoint,
            "model": model,
            "version": version,
            "tree_digest": tree_digest,
            "by": by,
            "dagster_run": dagster_run,
        }
    )
    known: list[Fact] = []

    def is_new(reader: LedgerReader) -> bool:
        known.extend(f for f in reader.facts(APPROVAL, endpoint) if _same(f, body))
        return not known

    return ledger.append_if(is_new, APPROVAL, endpoint, body) or known[0]


def record_promotion(
    ledger: Ledger,
    *,
    endpoint: str,
    model: str,
    alias: str,
    version: str | None,
    tree_digest: str | None,
    outcome: str,
    reason: str,
    dagster_run: str | None,
) -> Fact:
    """Record what became of an alias; MLflow does not tell who moved it, so nobody is named."""
    body = plain_body(
        {
            "endpoint": endpoint,
            "model": model,
            "alias": alias,
            "version": version,
            "tree_digest": tree_digest,
            "outcome": outcome,
            "reason": reason,
            "by": UNKNOWN,
            "dagster_run": dagster_run,
        }
    )
    return _unless_last(ledger, PROMOTION, endpoint, body)


def record_waiting(
    ledger: Ledger,
    *,
    endpoint: str,
    model: str,
    version: str,
    tree_digest: str,
    checkpoint: str,
    waits_for: str,
    reason: str,
    dagster_run: str | None,
) -> Fact:
    """Record that a registered checkpoint waits; nothing new adds no fact."""
    body = plain_body(
        {
            "endpoint": endpoint,
            "model": model,
            "version": version,
            "tree_digest": tree_digest,
            "checkpoint": checkpoint,
            "waits_for": waits_for,
            "reason": reason,
            "dagster_run": dagster_run,
        }
    )
    return _unless_last(ledger, WAITING, endpoint, body)


def _unless_last(ledger: Ledger, kind: str, endpoint: str, body: dict[str, Any]) -> Fact:
    def says_more(reader: LedgerReader) -> bool:
        last = reader.latest(kind, endpoint)
        return last is None or not _same(last, body)

    appended = ledger.append_if(says_more, kind, endpoint, body)
    return appended or known_fact(ledger.latest(kind, endpoint))


def _same(fact: Fact, body: dict[str, Any]) -> bool:
    keys = (fact.body.keys() | body.keys()) - _RUN_ONLY
    return all(fact.body.get(key) == body.get(key) for key in keys)
