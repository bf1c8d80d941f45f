"""What is to be said about an estate file: what loading found, and what every rule finds."""

from platform_assets.spec.findings import Finding, Severity, errors
from platform_assets.spec.loading.load import Loaded
from platform_assets.spec.rules.all_rules import RULES
from platform_assets.spec.rules.grounds import Grounds

_ORDER = list(Severity)


def judge(loaded: Loaded, grounds: Grounds) -> list[Finding]:
    """Return all findings with their places, in the order of the file.

    What rules say of a value that loading already refused is left out, for they saw another one in
    its stead.
    """
    findings = list(loaded.findings)
    estate = loaded.estate
    if estate is not None:
        refused = {finding.path for finding in errors(findings)}
        told = loaded.located(finding for rule in RULES for finding in rule(estate, grounds))
        findings += [finding for finding in told if finding.path not in refused]
    return sorted(
        findings,
        key=lambda finding: (
            finding.line or 0,
            finding.column or 0,
            _ORDER.index(finding.severity),
            finding.rule,
            finding.message,
        ),
    )
