"""What a floor under an estate is: a wish about the host, what was found, and what to do."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from platform_assets.spec.findings import Finding, Severity
from platform_assets.spec.pci_names import PciNames
from resources.host import HostFacts
from resources.host_files import FactUnread


class Verdict(StrEnum):
    """Whether a floor holds; a weak one lets an estate run, though not as it should."""

    HOLDS = "holds"
    WEAK = "weak"
    FAILS = "fails"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True)
class Judgement:
    """What one rule says of the host; a remedy wherever it does not simply hold."""

    verdict: Verdict
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Rule:
    """One floor: its name in findings, what people call it, what is wanted, and how it is judged.

    `judge` raises FactUnread where a fact that it needs is not known.
    """

    rule: str
    name: str
    wanted: str
    judge: Callable[[HostFacts, PciNames | None], Judgement]


@dataclass(frozen=True)
class Floor:
    """One floor, judged."""

    rule: str
    name: str
    found: str
    wanted: str
    remedy: str
    verdict: Verdict


def judged(rule: Rule, facts: HostFacts, names: PciNames | None) -> Floor:
    """Judge one floor; what is not known cannot be told."""
    try:
        said = rule.judge(facts, names)
    except FactUnread as unread:
        remedy = "let it be read (rights, a mounted /proc and /sys), then ask again"
        said = Judgement(Verdict.UNKNOWN, str(unread), remedy)
    return Floor(rule.rule, rule.name, said.found, rule.wanted, said.remedy, said.verdict)


_SEVERITY = {
    Verdict.FAILS: Severity.ERROR,
    Verdict.WEAK: Severity.WARNING,
    Verdict.UNKNOWN: Severity.NOTE,
}


def finding(floor: Floor) -> Finding | None:
    """Return the finding of a floor that does not hold; its path begins with `host`."""
    severity = _SEVERITY.get(floor.verdict)
    if severity is None:
        return None
    path = ("host", floor.rule.removeprefix("host-"))
    if floor.verdict is Verdict.UNKNOWN:
        message = f"not checked: {floor.name}, wanted {floor.wanted}: {floor.found}"
    else:
        message = f"{floor.name}: wanted {floor.wanted}, found {floor.found}"
    return Finding(floor.rule, severity, path, message, floor.remedy)
