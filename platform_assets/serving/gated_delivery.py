"""The gate of one delivery: which gates are asked, against what, and what is remembered of it.

`candidate_gate` gives a provider the function that it calls between loading and swapping. The
gates themselves stand in `gates.py`. The report is recorded as a fact before anything is swapped,
whichever way it ended.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platform_assets.lineage import facts
from platform_assets.lineage.ledger import Ledger
from platform_assets.serving.gate_report import (
    GateFailed,
    GateReport,
    no_gates_declared,
    not_asked,
)
from platform_assets.serving.gates import Tried, gate_plan, run_gates
from platform_assets.serving.promotion import Candidate, Live
from platform_assets.serving.provider import Answering, Gate, Provider
from platform_assets.spec.serving import ServedModel


@dataclass(frozen=True)
class Gating:
    """What a delivery's gates need to know; `folder` is where the serving file lies."""

    entry: ServedModel
    folder: Path
    candidate: Candidate
    version: str
    live: Live | None
    dagster_run: str | None


def candidate_gate(
    gating: Gating,
    provider: Provider,
    ledger: Ledger,
    progress: Callable[[str], None] = lambda _: None,
) -> Gate:
    """Return the function that tries the loaded candidate.

    It returns the report, or raises `GateFailed` with it. What the ledger says is live already is
    only restored: a server that lost it shall have it back without being asked again.

    Raises:
        EvaluationSetRefused: a file that the gates name cannot be read; nothing was tried.
    """
    entry, candidate, live = gating.entry, gating.candidate, gating.live
    if entry.gates is None:
        return lambda _candidate, _directory: _recorded(no_gates_declared(), gating, ledger)
    ours = live is not None and live.model == candidate.model
    if live is not None and ours and live.tree_digest == candidate.tree_digest:
        report = not_asked("these bytes were deployed before, and are only restored")
        return lambda _candidate, _directory: report
    plan = gate_plan(entry.gates, gating.folder)
    told = live is not None and live.told_digest == live.tree_digest
    recorded = training_metrics(candidate.checkpoint, ledger)
    compared = provider.answering(entry.endpoint) if ours and told else None

    def gate(candidate: Answering, directory: Path | None) -> GateReport:
        tried = Tried(candidate, directory, recorded, compared)
        report = _recorded(run_gates(plan, tried, progress), gating, ledger)
        if not report.passed:
            raise GateFailed(_refusal(report, gating), report)
        return report

    return gate


def training_metrics(checkpoint: str, ledger: Ledger) -> dict[str, float]:
    """Return the metrics that training recorded in the marker; what is no number is left out."""
    fact = ledger.latest(facts.CHECKPOINT, checkpoint)
    training: Any = None if fact is None else fact.body.get("training")
    metrics = training.get("metrics") if isinstance(training, Mapping) else None
    numbers = {}
    for name, value in (metrics or {}).items() if isinstance(metrics, Mapping) else ():
        try:
            numbers[str(name)] = float(value)
        except (TypeError, ValueError):
            continue
    return numbers


def _recorded(report: GateReport, gating: Gating, ledger: Ledger) -> GateReport:
    facts.record_gates(
        ledger,
        endpoint=gating.entry.endpoint,
        model=gating.candidate.model,
        version=gating.version,
        tree_digest=gating.candidate.tree_digest,
        checkpoint=gating.candidate.checkpoint,
        declared=report.declared,
        passed=report.passed,
        results=report.rows(),
        declaration=report.declaration,
        files=report.files,
        dagster_run=gating.dagster_run,
    )
    return report


def _refusal(report: GateReport, gating: Gating) -> str:
    candidate = gating.candidate
    return (
        f"{gating.entry.endpoint}: model {candidate.model} version {gating.version} is not "
        f"deployed, what was live is untouched: {report.summary()}. Train a better model, or mend "
        f"`gates` in the serving file and run `ai-how checkpoint retry {candidate.checkpoint}`"
    )
