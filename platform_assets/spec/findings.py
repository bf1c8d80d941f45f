"""A finding: what is wrong with a declared estate or its host, where it stands, and what to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

# A place in the estate: keys and positions from the top, as in ("clusters", "cloud", "workers", 0).
Path = tuple[str | int, ...]


class Severity(StrEnum):
    """How bad a finding is; a note says what could not be checked, or is only worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One thing that a rule found; file, line and column (from 1) where the place is known."""

    rule: str
    severity: Severity
    path: Path
    message: str
    remedy: str
    file: str | None = None
    line: int | None = None
    column: int | None = None


def not_checked(rule: str, path: Path, missing: str, remedy: str) -> Finding:
    """Return the note of a rule that lacks the facts to judge."""
    return Finding(rule, Severity.NOTE, path, f"not checked: {missing}", remedy)


def dotted(path: Path) -> str:
    """Return a path as people write it: `clusters.cloud.workers[0].ip`.

    >>> dotted(("clusters", "cloud", "workers", 0, "ip"))
    'clusters.cloud.workers[0].ip'
    """
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """Return only the errors."""
    return [finding for finding in findings if finding.severity is Severity.ERROR]
