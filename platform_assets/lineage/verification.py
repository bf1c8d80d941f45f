"""What the ledger says should be behind an endpoint, and the facts of what was found there.

`expected_behind` gathers the facts that every hop is held against; reading the hops is the matter
of `models/verification.py` and `serving/verification.py`. Each hop of an endpoint has its own
subject `<endpoint>/<hop>` of kind `verification/1`; a verification that says what the last one said
adds no fact, and one that could not look adds none either, for then nothing is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from platform_assets.lineage import facts, ids
from platform_assets.lineage.ledger import Fact, Ledger, LedgerReader
from platform_assets.lineage.verdict import HopResult, Verdict

VERIFICATION: Final = "verification/1"
_KEPT_DIFFERENCES = 20
_RUN_ONLY: Final = frozenset({"dagster_run"})


@dataclass(frozen=True)
class Expected:
    """What an endpoint should serve, and what each place should say of it.

    A part whose fact was never recorded is None; `seq` is that of the deployment.
    """

    endpoint: str
    model: str
    version: str
    tree_digest: str
    checkpoint: str
    seq: int
    directory: Path | None
    marker_sha256: str | None
    bucket: str | None
    prefix: str | None
    source: str | None
    training_run: str | None
    tags: Mapping[str, str]


def expected_behind(ledger: Ledger, deployed: Fact) -> Expected:
    """Return what the deployment `deployed` and the facts behind it say."""
    with ledger.reader() as reader:
        return _expected(reader, deployed)


def _expected(reader: LedgerReader, deployed: Fact) -> Expected:
    said = deployed.body
    model, digest = str(said["model"]), str(said["tree_digest"])
    checkpoint = reader.latest(facts.CHECKPOINT, str(said["checkpoint"]))
    copies = [fact for fact in reader.facts(facts.COPY, digest) if fact.body["model"] == model]
    version = reader.latest(facts.VERSION, f"{model}/{said['version']}")
    taken = {} if checkpoint is None else checkpoint.body
    copy = copies[-1].body if copies else {}
    registered = {} if version is None else version.body
    return Expected(
        endpoint=deployed.subject,
        model=model,
        version=str(said["version"]),
        tree_digest=digest,
        checkpoint=str(said["checkpoint"]),
        seq=deployed.seq,
        directory=Path(taken["path"]) if taken else None,
        marker_sha256=taken.get("marker_sha256"),
        bucket=copy.get("bucket"),
        prefix=copy.get("prefix"),
        source=registered.get("source"),
        training_run=registered.get("training_run"),
        tags=_tags(reader, digest, registered),
    )


def _tags(reader: LedgerReader, digest: str, registered: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags that the version must carry: those of the checkpoint it was made for."""
    tags: dict[str, Any] = {ids.TREE_DIGEST: digest}
    if registered:
        tags |= {ids.MODEL: registered["model"], ids.SOURCE: registered["source"]}
        first = reader.latest(facts.CHECKPOINT, str(registered["checkpoint"]))
        tags[ids.CHECKPOINT] = registered["checkpoint"]
        if first is not None:
            tags |= {
                ids.RUN: first.body["run"],
                ids.FORMAT: first.body["format"],
                ids.MARKER_SHA256: first.body["marker_sha256"],
                ids.SEALED_AT: first.body["sealed_at"],
                ids.TRAINING_RUN: first.body.get("training", {}).get("mlflow_run_id"),
            }
    return {name: str(value) for name, value in tags.items() if value is not None}


def record_verification(
    ledger: Ledger, expected: Expected, result: HopResult, dagster_run: str | None
) -> Fact | None:
    """Record what a hop was found to hold, unless the last fact says the same."""
    if result.verdict is Verdict.CANNOT_TELL:
        return None
    body = facts.plain_body(
        {
            "endpoint": expected.endpoint,
            "hop": result.hop.value,
            "where": result.where,
            "model": expected.model,
            "version": expected.version,
            "tree_digest": expected.tree_digest,
            "verdict": result.verdict.value,
            "difference_count": len(result.differences),
            "differences": [
                {"file": one.file, "expected": one.expected, "found": one.found}
                for one in result.differences[:_KEPT_DIFFERENCES]
            ],
            "dagster_run": dagster_run,
        }
    )
    subject = f"{expected.endpoint}/{result.hop.value}"

    def says_something_new(reader: LedgerReader) -> bool:
        last = reader.latest(VERIFICATION, subject)
        if last is None:
            return True
        keys = (last.body.keys() | body.keys()) - _RUN_ONLY
        return any(last.body.get(key) != body.get(key) for key in keys)

    return ledger.append_if(says_something_new, VERIFICATION, subject, body)
