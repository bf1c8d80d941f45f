"""The facts that end others: a version or a copy was removed, on purpose and by a rule.

A fact of kind `retention/1` stands under the subject of the fact that it ends (`model/version`, or
the tree digest) and names the model. Facts themselves are never removed. What is removed is decided
in `platform_assets/serving/retention.py`.
"""

from collections.abc import Mapping
from typing import Any

from platform_assets.lineage import facts
from platform_assets.lineage.ledger import Fact, Ledger, LedgerReader


def record_version_removed(
    ledger: Ledger,
    *,
    model: str,
    version: str,
    tree_digest: str,
    reason: str,
    dagster_run: str | None,
) -> Fact | None:
    """Record that the registry has this version no more."""
    said = {"what": "version", "model": model, "version": version, "tree_digest": tree_digest}
    body = said | {"reason": reason, "dagster_run": dagster_run}
    return _record_end(ledger, facts.VERSION, f"{model}/{version}", body)


def record_copy_removed(
    ledger: Ledger,
    *,
    model: str,
    tree_digest: str,
    bucket: str,
    prefix: str,
    objects: int,
    dagster_run: str | None,
) -> Fact | None:
    """Record that the object store has this copy no more."""
    said = {"what": "copy", "model": model, "tree_digest": tree_digest}
    where = {"bucket": bucket, "prefix": prefix, "objects": objects}
    return _record_end(ledger, facts.COPY, tree_digest, said | where | {"dagster_run": dagster_run})


def _record_end(ledger: Ledger, kind: str, subject: str, body: Mapping[str, Any]) -> Fact | None:
    """Append the fact, unless what it ends was ended already."""

    def holds(reader: LedgerReader) -> bool:
        return _is_held(reader, kind, subject, str(body["model"]))

    return ledger.append_if(holds, facts.RETENTION, subject, facts.plain_body(body))


def _is_held(reader: LedgerReader, kind: str, subject: str, model: str) -> bool:
    """Say whether the last fact of `kind` on `subject` was not ended since."""
    begun = [fact.seq for fact in reader.facts(kind, subject) if fact.body["model"] == model]
    ended = [
        fact.seq for fact in reader.facts(facts.RETENTION, subject) if fact.body["model"] == model
    ]
    return max(begun, default=-1) > max(ended, default=-1)
