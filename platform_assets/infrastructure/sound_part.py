"""What every asset that is made from a part of the estate asks first: do the rules object to it?

The file was judged when it was applied. The host, the tables and the day may have changed since,
so the part is judged again before anything is touched; other parts do not matter here.
"""

from collections.abc import Collection, Sequence

import dagster as dg

from platform_assets.infrastructure.estate_file import in_one_line
from platform_assets.infrastructure.findings_table import findings_table
from platform_assets.spec.applied import AppliedEstate
from platform_assets.spec.findings import Finding, Path, errors
from platform_assets.spec.rules.all_rules import RULES
from platform_assets.spec.rules.grounds import Grounds


def objections(
    applied: AppliedEstate,
    grounds: Grounds,
    parts: Sequence[Path],
    told_elsewhere: Collection[str] = (),
) -> list[Finding]:
    """Return the errors that rules find at or below `parts` of the applied estate.

    `told_elsewhere` are rules whose findings the asset itself is made to show.
    """
    found = [finding for rule in RULES for finding in rule(applied.estate, grounds)]
    return [
        finding
        for finding in errors(found)
        if finding.rule not in told_elsewhere
        and any(finding.path[: len(part)] == part for part in parts)
    ]


def refuse_unsound_part(
    applied: AppliedEstate,
    grounds: Grounds,
    parts: Sequence[Path],
    told_elsewhere: Collection[str] = (),
) -> None:
    """Fail the step if rules object to the part that its asset is made from.

    Raises:
        dagster.Failure: with the findings; trying again would not help.
    """
    found = objections(applied, grounds, parts, told_elsewhere)
    if found:
        raise dg.Failure(
            description="; ".join(in_one_line(finding) for finding in found),
            metadata={
                "file": dg.MetadataValue.path(str(applied.source)),
                "findings": findings_table(found),
            },
            allow_retries=False,
        )
