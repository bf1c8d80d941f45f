"""What the gates found: one row per gate, for Dagster, for the ledger and for a person.

How it is found stands in `gates.py`; nothing is asked here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import dagster as dg

from platform_assets.spec.errors import AiHowError

CHECK: Final = "gates"
_COLUMNS: Final = ("gate", "expected", "found", "passed")
_MAX_WORDS: Final = 500


@dataclass(frozen=True)
class GateResult:
    """One gate: what was expected, what was found, and whether that will do."""

    gate: str
    expected: str
    found: str
    passed: bool

    def __str__(self) -> str:
        return f"{self.gate}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True)
class GateReport:
    """Every gate of one candidate.

    `declaration` is the SHA-256 of the declared gates, `files` that of each file they name;
    `declared` is False where the model has no gates. `note` says why nothing was asked.
    """

    results: tuple[GateResult, ...] = ()
    declared: bool = True
    declaration: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    note: str | None = None

    @property
    def passed(self) -> bool:
        """Whether no gate failed."""
        return all(result.passed for result in self.results)

    @property
    def failed(self) -> tuple[GateResult, ...]:
        """The gates that keep the candidate out."""
        return tuple(result for result in self.results if not result.passed)

    def summary(self) -> str:
        """Say in one sentence how it ended, and of each gate that failed why."""
        if self.note is not None:
            return self.note
        if not self.results:
            return "no gates are declared for this model"
        if self.passed:
            return f"all {len(self.results)} gates passed"
        count = f"{len(self.failed)} of {len(self.results)} gates failed"
        return f"{count}: {'; '.join(str(result) for result in self.failed)}"

    def rows(self) -> list[dict[str, Any]]:
        """Return one plain mapping per gate; long words are cut."""
        return [
            {
                "gate": result.gate,
                "expected": result.expected[:_MAX_WORDS],
                "found": result.found[:_MAX_WORDS],
                "passed": result.passed,
            }
            for result in self.results
        ]


class GateFailed(AiHowError):
    """The candidate failed a gate; what was live is live still, and asking again is no remedy."""

    def __init__(self, message: str, report: GateReport) -> None:
        super().__init__(message)
        self.report = report


def no_gates_declared() -> GateReport:
    """Return the report of a model that has no gates."""
    return GateReport(declared=False)


def not_asked(why: str) -> GateReport:
    """Return the report of a delivery in which there was nothing to gate."""
    return GateReport(note=f"not asked: {why}")


def gates_table(rows: Iterable[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Return the report's rows as Dagster shows a table."""
    kinds = dict.fromkeys(_COLUMNS, "string") | {"passed": "bool"}
    return dg.MetadataValue.table(
        [dg.TableRecord({name: row[name] for name in _COLUMNS}) for row in rows],
        dg.TableSchema([dg.TableColumn(name, kinds[name]) for name in _COLUMNS]),
    )


def gates_check(report: GateReport) -> dg.AssetCheckResult:
    """Return what the check `gates` of `serving/endpoint` shows."""
    metadata: dict[str, Any] = {
        "gates": gates_table(report.rows()),
        "declared": dg.MetadataValue.bool(report.declared),
        "seconds": dg.MetadataValue.float(round(report.seconds, 3)),
    }
    if report.declaration is not None:
        metadata["declaration_sha256"] = dg.MetadataValue.text(report.declaration)
    if report.files:
        metadata["files"] = dg.MetadataValue.json(dict(report.files))
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=report.passed,
        severity=dg.AssetCheckSeverity.ERROR,
        description=report.summary(),
        metadata=metadata,
    )
