"""The sensor that looks whether the estate's file was edited, and has it judged.

It asks for the check of `infrastructure/estate` and changes nothing: what is declared takes effect
with `ai-how config apply`.
"""

from pathlib import Path

import dagster as dg

from platform_assets.infrastructure.estate import judge_estate
from platform_assets.spec.applied import AppliedEstate


def mark_of(file: Path) -> str:
    """Return what tells the file from what it was before an edit, without reading it."""
    try:
        seen = file.stat()
    except FileNotFoundError:
        return "missing"
    return f"{seen.st_ino}:{seen.st_size}:{seen.st_mtime_ns}"


@dg.sensor(
    job=judge_estate,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Has the estate's file judged when it was edited.",
)
def estate_edited(
    context: dg.SensorEvaluationContext, estate: dg.ResourceParam[AppliedEstate]
) -> dg.SensorResult | dg.SkipReason:
    """Look at the file once."""
    mark = mark_of(estate.source)
    if context.cursor is None:
        context.update_cursor(mark)
        return dg.SkipReason(f"{estate.source} was judged when it was applied")
    if mark == context.cursor:
        return dg.SkipReason(f"{estate.source} is as it was")
    # Without a run key: a file that vanishes twice is judged twice.
    return dg.SensorResult([dg.RunRequest()], cursor=mark)
