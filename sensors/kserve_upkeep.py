"""The schedule that keeps KServe sound: daily, and never beside another run of the same.

There only where the estate serves on Kubernetes. What is done and what is only looked at is decided
in `platform_assets/services/kserve.py`. A day is short beside the third of a year that is left when
a certificate is renewed, so that days on which the cluster is away do no harm.
"""

import dagster as dg

from platform_assets import keys
from platform_assets.services.kserve import UPKEEP_JOB
from sensors.under_way import asset_under_way, job_under_way


@dg.schedule(
    name="daily_kserve_upkeep",
    job_name=UPKEEP_JOB,
    cron_schedule="41 4 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Checks KServe; where it is managed here, also renews and puts back what it needs.",
)
def daily_kserve_upkeep(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Ask for the upkeep unless KServe is just being made, or looked at."""
    instance = context.instance
    running = job_under_way(instance, UPKEEP_JOB) or asset_under_way(instance, keys.KSERVE)
    if running is not None:
        return dg.SkipReason(f"run {running} is at work on services/kserve")
    return dg.RunRequest()
