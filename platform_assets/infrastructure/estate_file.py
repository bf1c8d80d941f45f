"""The estate's file as it lies on the disk, read and judged by all rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from platform_assets.infrastructure.grounds import file_grounds, host_grounds
from platform_assets.spec.errors import AiHowError
from platform_assets.spec.findings import Finding, dotted, errors
from platform_assets.spec.judgement import judge
from platform_assets.spec.loading.load import Loaded, load
from platform_assets.spec.loading.source import MAX_BYTES
from platform_assets.spec.model.estate import Estate
from resources.host import Host


class EstateUnreadable(AiHowError):
    """The estate's file cannot be read at all."""


class EstateRefused(AiHowError):
    """The estate declares something that cannot be; nothing was touched."""

    def __init__(self, file: Path, findings: tuple[Finding, ...]) -> None:
        """Tell every error among `findings`."""
        self.findings = findings
        told = [f"  {in_one_line(finding)}" for finding in errors(findings)]
        super().__init__("\n".join([f"{file}: the estate is refused; nothing was changed", *told]))


@dataclass(frozen=True)
class JudgedEstate:
    """What a file declares, and everything that was found about it."""

    file: Path
    estate: Estate | None
    findings: tuple[Finding, ...]

    def accepted(self) -> Estate:
        """Return the estate.

        Raises:
            EstateRefused: there is an error among the findings.
        """
        if self.estate is None or errors(self.findings):
            raise EstateRefused(self.file, self.findings)
        return self.estate


def in_one_line(finding: Finding) -> str:
    """Return a finding as one line: place, rule, what is wrong, what to do."""
    place = f"line {finding.line}: " if finding.line else ""
    return f"{place}{dotted(finding.path)}: {finding.message} [{finding.rule}]; {finding.remedy}"


def load_estate_file(file: Path, environment: Mapping[str, str]) -> Loaded:
    """Read `file`; what is wrong with it stands among the findings.

    Raises:
        EstateUnreadable: it is missing, or may not be read.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)  # more is refused by its size
    except OSError as error:
        message = (
            f"{file}: the estate's file cannot be read ({error.strerror}); set AI_HOW_CONFIG to "
            "the file that declares the estate, or make one with `ai-how config init`"
        )
        raise EstateUnreadable(message) from error
    return load(content, str(file), environment)


def judge_estate_file(
    file: Path, environment: Mapping[str, str], host: Host | None = None
) -> JudgedEstate:
    """Read `file` and judge it by all rules; those that need facts of a host say so without one.

    Raises:
        EstateUnreadable: it is missing, or may not be read.
        CompatibilityRefused: the table of versions is missing or wrong.
        PciIdsUnavailable, PciNamesRefused: the list of names is not installed, or damaged.
    """
    loaded = load_estate_file(file, environment)
    estate = loaded.estate
    if estate is None:
        return JudgedEstate(file, None, loaded.findings)
    grounds = file_grounds(estate) if host is None else host_grounds(estate, host)
    return JudgedEstate(file, estate, tuple(judge(loaded, grounds)))
