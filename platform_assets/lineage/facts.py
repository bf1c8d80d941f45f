"""What the platform records on the way from checkpoint to endpoint: one function per kind of fact.

| kind           | subject         | says                                                     |
|----------------|-----------------|----------------------------------------------------------|
| `checkpoint/1` | checkpoint key  | a sealed directory was taken, with how it was trained     |
| `copy/1`       | tree digest     | its serving files lie in the object store, committed      |
| `version/1`    | `model/version` | the registry has a version with these bytes               |
| `gate/1`       | endpoint        | a candidate for it was tried, with each gate's result     |
| `deployment/1` | endpoint        | the endpoint serves this version from now on              |
| `withdrawal/1` | endpoint        | the endpoint serves nothing from now on                   |

What people decide about an endpoint (rollback, pause, approval ...) is in `interventions.py`.

What else is recorded stands beside its subject: `verification/1` in `verification.py`,
`retention/1` in `retention.py`; the latter ends a copy or a version under the same subject.

Recording is idempotent: what is known already adds no fact, and the known fact is returned.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import Any, Final

from platform_assets.lineage.canonical import SAFE_INTEGERS, Body, checked_body, timestamp
from platform_assets.lineage.ledger import Fact, Ledger, LedgerReader

CHECKPOINT: Final = "checkpoint/1"
COPY: Final = "copy/1"
VERSION: Final = "version/1"
GATE: Final = "gate/1"
DEPLOYMENT: Final = "deployment/1"
RETENTION: Final = "retention/1"
WITHDRAWAL: Final = "withdrawal/1"

# Who recorded it, and for which of several equal checkpoints: no part of what is so.
_COPY_EVIDENCE: Final = frozenset({"dagster_run", "checkpoint"})
_EVIDENCE: Final = frozenset({"dagster_run", "checkpoint", "training_run"})
_RUN_ONLY: Final = frozenset({"dagster_run"})


def plain_body(values: Mapping[str, Any]) -> Body:
    """Return `values` as a fact may hold them.

    Floats, and integers from 2^53 on, become decimal strings, times become timestamps, paths text;
    what is None at the top is left out, for unknown is not a value.
    """
    return checked_body({key: _plain(value) for key, value in values.items() if value is not None})


def _plain(value: object) -> object:
    if isinstance(value, float):
        return _decimal(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= SAFE_INTEGERS:
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime):
        return timestamp(value)
    return str(value) if isinstance(value, PurePath) else value


def _decimal(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(float(value))


def record_checkpoint(
    ledger: Ledger,
    *,
    key: str,
    model: str,
    run: str,
    path: str | PurePath,
    marker_sha256: str,
    tree_digest: str,
    format: str,  # noqa: A002 - the marker's own word
    sealed_at: datetime | str,
    files: int,
    bytes: int,  # noqa: A002 - the manifest's own word
    training: Mapping[str, Any],
    signed_by: str | None = None,
) -> Fact:
    """Record that the checkpoint `key` was taken; it holds from the moment it was sealed.

    `signed_by` is the SHA-256 of the key whose signature was verified, where one was asked for.
    """
    if isinstance(sealed_at, str):
        sealed_at = datetime.fromisoformat(sealed_at)
    body = plain_body(
        {
            "model": model,
            "run": run,
            "path": path,
            "marker_sha256": marker_sha256,
            "tree_digest": tree_digest,
            "format": format,
            "sealed_at": sealed_at,
            "files": files,
            "bytes": bytes,
            "training": {key: value for key, value in training.items() if value is not None},
            "signed_by": signed_by,
        }
    )
    return _record_once(ledger, CHECKPOINT, key, body, frozenset(), valid_from=sealed_at)


def record_copy(
    ledger: Ledger,
    *,
    checkpoint: str,
    model: str,
    tree_digest: str,
    bucket: str,
    prefix: str,
    files: int,
    bytes: int,  # noqa: A002 - the manifest's own word
    dagster_run: str | None,
) -> Fact:
    """Record that the copy with `tree_digest` is committed; equal content is one copy.

    A copy that retention removed is recorded anew when it is published again.
    """
    body = plain_body(
        {
            "checkpoint": checkpoint,
            "model": model,
            "tree_digest": tree_digest,
            "bucket": bucket,
            "prefix": prefix,
            "files": files,
            "bytes": bytes,
            "dagster_run": dagster_run,
        }
    )
    return _record_once(ledger, COPY, tree_digest, body, _COPY_EVIDENCE)


def record_version(
    ledger: Ledger,
    *,
    model: str,
    version: str | int,
    tree_digest: str,
    source: str,
    checkpoint: str,
    training_run: str | None,
    dagster_run: str | None,
) -> Fact:
    """Record that the registry's `model` has `version` with the bytes of `tree_digest`."""
    body = plain_body(
        {
            "model": model,
            "version": str(version),
            "tree_digest": tree_digest,
            "source": source,
            "checkpoint": checkpoint,
            "training_run": training_run,
            "dagster_run": dagster_run,
        }
    )
    return _record_once(ledger, VERSION, f"{model}/{version}", body, _EVIDENCE)


def record_gates(
    ledger: Ledger,
    *,
    endpoint: str,
    model: str,
    version: str | int,
    tree_digest: str,
    checkpoint: str,
    declared: bool,
    passed: bool,
    results: Sequence[Mapping[str, Any]],
    declaration: str | None,
    files: Mapping[str, str],
    dagster_run: str | None,
) -> Fact:
    """Record how a candidate for `endpoint` fared, unless the last fact says the same.

    `results` has `gate`, `expected`, `found` and `passed` of each gate.
    """
    body = plain_body(
        {
            "endpoint": endpoint,
            "model": model,
            "version": str(version),
            "tree_digest": tree_digest,
            "checkpoint": checkpoint,
            "declared": declared,
            "passed": passed,
            "results": results,
            "declaration": declaration,
            "files": files,
            "dagster_run": dagster_run,
        }
    )
    return _record_change(ledger, GATE, endpoint, body)


def record_deployment(
    ledger: Ledger,
    *,
    endpoint: str,
    model: str,
    version: str | int,
    tree_digest: str,
    checkpoint: str,
    server: str,
    dagster_run: str | None,
) -> Fact:
    """Record what `endpoint` serves from now on, unless the last fact says the same."""
    body = plain_body(
        {
            "endpoint": endpoint,
            "model": model,
            "version": str(version),
            "tree_digest": tree_digest,
            "checkpoint": checkpoint,
            "server": server,
            "dagster_run": dagster_run,
        }
    )
    return _record_change(ledger, DEPLOYMENT, endpoint, body)


def _record_change(ledger: Ledger, kind: str, subject: str, body: Body) -> Fact:
    """Append the fact unless the last one on `subject` says the same, the run aside."""

    def changed(reader: LedgerReader) -> bool:
        last = reader.latest(kind, subject)
        ended = reader.latest(WITHDRAWAL, subject) if kind == DEPLOYMENT else None
        if last is None or (ended is not None and ended.seq > last.seq):
            return True
        return not _same(last.body, body, _RUN_ONLY)

    appended = ledger.append_if(changed, kind, subject, body)
    return appended or known_fact(ledger.latest(kind, subject))


def record_withdrawal(
    ledger: Ledger,
    *,
    endpoint: str,
    model: str | None,
    version: str | None,
    tree_digest: str | None,
    reason: str,
    by: str,
    dagster_run: str | None,
) -> Fact | None:
    """Record that `endpoint` serves nothing from now on; None where it serves nothing already."""
    body = plain_body(
        {
            "endpoint": endpoint,
            "model": model,
            "version": version,
            "tree_digest": tree_digest,
            "reason": reason,
            "by": by,
            "dagster_run": dagster_run,
        }
    )

    def serves(reader: LedgerReader) -> bool:
        last = reader.latest(DEPLOYMENT, endpoint)
        ended = reader.latest(WITHDRAWAL, endpoint)
        return last is not None and (ended is None or ended.seq < last.seq)

    return ledger.append_if(serves, WITHDRAWAL, endpoint, body)


def _record_once(
    ledger: Ledger,
    kind: str,
    subject: str,
    body: Body,
    evidence: frozenset[str],
    *,
    valid_from: datetime | None = None,
) -> Fact:
    """Append the fact unless one on `subject` says the same, `evidence` aside."""
    known: list[Fact] = []

    def is_new(reader: LedgerReader) -> bool:
        ended = [
            fact.seq
            for fact in reader.facts(RETENTION, subject)
            if fact.body.get("model") == body.get("model")
        ]
        known.extend(
            fact
            for fact in reader.facts(kind, subject)
            if fact.seq > max(ended, default=-1) and _same(fact.body, body, evidence)
        )
        return not known

    return ledger.append_if(is_new, kind, subject, body, valid_from) or known[0]


def _same(recorded: Body, body: Body, evidence: frozenset[str]) -> bool:
    keys = (recorded.keys() | body.keys()) - evidence
    return all(recorded.get(key) == body.get(key) for key in keys)


def known_fact(fact: Fact | None) -> Fact:
    """Return a fact that was just shown to be there."""
    if fact is None:  # an append-only ledger cannot forget
        message = "the ledger lost a fact that it had just shown"
        raise AssertionError(message)
    return fact
