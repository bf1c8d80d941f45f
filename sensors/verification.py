"""The schedule of the verification: hourly, and never two at once.

What is read again, and how fast, is the serving file's matter; see
`platform_assets/audits/live_verification.py`. An hour in which nothing is due reads no bytes, but
still asks every place what it holds. A verification that was killed goes on at the next hour.
"""

import dagster as dg

from platform_assets.audits.live_verification import JOB_NAME, verify_live_models
from sensors.under_way import job_under_way


@dg.schedule(
    name="hourly_verification",
    job=verify_live_models,
    cron_schedule="17 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Reads again, within the re-hash policy, what is behind every live endpoint.",
)
def hourly_verification(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Ask for a verification unless one is under way."""
    running = job_under_way(context.instance, JOB_NAME)
    if running is not None:
        return dg.SkipReason(f"run {running} still verifies; it reads no faster than allowed")
    return dg.RunRequest()
