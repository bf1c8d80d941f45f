"""The schedule of the verification: hourly, and never two at once.

What is read again, and how fast, is the serving file's matter; see
`platform_assets/audits/live_verification.py`. An hour in which nothing is due reads no bytes, but
still asks every place what it holds. A verification that was killed goes on at the next hour.
"""

import dagster as dg

from platform_assets.audits.live_verification import JOB_NAME, verify_live_models

_NOT_OVER = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def verification_under_way(instance: dg.DagsterInstance) -> str | None:
    """Return the id of a verification that is not over yet, or None."""
    filters = dg.RunsFilter(job_name=JOB_NAME, statuses=_NOT_OVER)
    runs = instance.get_runs(filters, limit=1)
    return runs[0].run_id if runs else None


@dg.schedule(
    name="hourly_verification",
    job=verify_live_models,
    cron_schedule="17 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Reads again, within the re-hash policy, what is behind every live endpoint.",
)
def hourly_verification(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Ask for a verification unless one is under way."""
    running = verification_under_way(context.instance)
    if running is not None:
        return dg.SkipReason(f"run {running} still verifies; it reads no faster than allowed")
    return dg.RunRequest()
