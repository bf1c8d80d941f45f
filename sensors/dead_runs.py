"""Runs whose process is gone: found, reported as ended, their pool slots freed.

After a power cut, a kill or a lost code server such a run stays STARTED for good, and whatever
waits for its endpoint or pool waits with it. `python -m sensors.dead_runs` does this once, before
daemon and code server start (DAGSTER_HOME names the instance); the sensor does it twice a minute.
A run reported as failed here failed by a crash, so Dagster's `run_retries` starts it anew. Queued
runs are left to the daemon, which takes them up by itself.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import psutil
from dagster._core.storage.dagster_run import RunRecord

from platform_assets.keys import PROCESS_TAG
from sensors.run_process import belongs_to, is_gone

# From the launch until the run's process has imported the definitions and named itself: seconds,
# and up to 15 on a busy machine. One that comes later still finds its run ended, and does nothing.
LAUNCH_GRACE = timedelta(seconds=45)
# How far the times of a process and of its own message may lie apart.
_CLOCK_SLACK_S = 5.0
_EXECUTING = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def _reported_processes(instance: dg.DagsterInstance, run_id: str) -> Iterator[tuple[int, float]]:
    """Give the process ids that the run's own messages name, with the time of each message."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        pid = event.engine_event_data.metadata.get("pid") if event else None
        if isinstance(pid, dg.TextMetadataValue) and (pid.text or "").isdecimal():
            yield int(pid.text or ""), entry.timestamp


def _was_running(pid: int, at: float) -> bool:
    """Tell whether the process that has `pid` now is the one that had it at time `at`."""
    try:
        process = psutil.Process(pid)
        return (
            process.status() != psutil.STATUS_ZOMBIE
            and process.create_time() <= at + _CLOCK_SLACK_S
        )
    except psutil.NoSuchProcess:
        return False


def cause_of_death(instance: dg.DagsterInstance, record: RunRecord, now: datetime) -> str | None:
    """Return why the run of `record` cannot be executing any more; None when it may be."""
    run = record.dagster_run
    tag = run.tags.get(PROCESS_TAG)
    if tag is not None and belongs_to(tag, run.run_id):
        return f"its process ({tag}) is gone" if is_gone(tag) else None
    last_seen = record.update_timestamp
    if last_seen.tzinfo is None:
        last_seen = last_seen.replace(tzinfo=UTC)
    if last_seen.timestamp() < psutil.boot_time():
        return "it was launched before this machine started"
    if now - last_seen < LAUNCH_GRACE:
        return None
    if any(_was_running(pid, at) for pid, at in _reported_processes(instance, run.run_id)):
        return None
    return f"no process took it up within {LAUNCH_GRACE.seconds} s of its launch"


def free_dead_runs(instance: dg.DagsterInstance, now: datetime) -> list[str]:
    """Report every run whose process is gone as ended and free its slots; return their ids."""
    freed = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=_EXECUTING)):
        cause = cause_of_death(instance, record, now)
        # The code server reports the death of its own children within seconds; do not do it twice.
        run = instance.get_run_by_id(record.dagster_run.run_id)
        if cause is None or run is None or run.is_finished:
            continue
        if run.status is dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, f"The run was being cancelled and {cause}.")
        else:
            instance.report_run_failed(run, f"The run died: {cause}.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        freed.append(run.run_id)
    return freed


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Frees runs whose process is gone (power cut, kill): nothing waits on them.",
)
def dead_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Report runs whose process is gone as ended."""
    freed = free_dead_runs(context.instance, datetime.now(UTC))
    for run_id in freed:
        context.log.warning("run %s had no process any more and was freed", run_id)
    return dg.SkipReason(f"{len(freed)} runs were freed" if freed else "no run is dead")


def main() -> None:
    """Free the dead runs of the instance that DAGSTER_HOME names."""
    with dg.DagsterInstance.get() as instance:
        for run_id in free_dead_runs(instance, datetime.now(UTC)):
            print(f"run {run_id} had no process any more and was freed")  # noqa: T201


if __name__ == "__main__":
    main()
