"""How findings are shown: to a person by severity, to a machine as JSON."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from platform_assets.spec.findings import Finding, Severity, dotted

WIDTH = 100
_INDENT = " " * 6
_STYLES = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_PLURALS = {Severity.ERROR: "errors", Severity.WARNING: "warnings", Severity.NOTE: "notes"}


def printable(text: str) -> str:
    """Return `text` with control characters written out, so that they do nothing to a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def findings_as_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Return findings for a machine to read; a path is a list of keys and positions."""
    return [
        {
            "rule": finding.rule,
            "severity": finding.severity.value,
            "path": list(finding.path),
            "message": finding.message,
            "remedy": finding.remedy,
            "file": finding.file,
            "line": finding.line,
            "column": finding.column,
        }
        for finding in findings
    ]


def summary(findings: Sequence[Finding]) -> str:
    """Return how many there are of each severity, as in `2 errors, 1 note`."""
    counts = [
        (sum(finding.severity is severity for finding in findings), severity)
        for severity in Severity
    ]
    told = [
        f"{count} {severity.value if count == 1 else _PLURALS[severity]}"
        for count, severity in counts
        if count
    ]
    return ", ".join(told) or "no findings"


def show_findings(console: Console, findings: Iterable[Finding]) -> None:
    """Print findings, the gravest first; the place stands in a line of its own, to be clicked."""
    found = list(findings)
    for severity in Severity:
        several = [finding for finding in found if finding.severity is severity]
        if several:
            console.print(Text(f"{_PLURALS[severity].capitalize()}", f"bold {_STYLES[severity]}"))
        for finding in several:
            console.print(_head(finding), soft_wrap=True)
            show_indented(console, _body(finding))
        if several:
            console.print()


def show_indented(console: Console, text: Text) -> None:
    """Print a text below its heading, each of its lines indented."""
    for line in text.wrap(console, console.width - len(_INDENT)):
        console.print(Text.assemble(_INDENT, line), soft_wrap=True)


def _head(finding: Finding) -> Text:
    parts = [finding.file, finding.line, finding.column]
    place = ":".join(str(part) for part in parts if part is not None)
    return Text.assemble(
        "  ", (printable(place or "-"), "bold"), "  ", (finding.rule, _STYLES[finding.severity])
    )


def _body(finding: Finding) -> Text:
    where = printable(dotted(finding.path))
    message = printable(finding.message)
    return Text.assemble(
        (f"{where}\n" if where else "", "dim"), message, ("\n→ ", "dim"), printable(finding.remedy)
    )
