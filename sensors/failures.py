"""New attempts for deliveries that failed for a cause which may pass.

A crash is retried by Dagster's `run_retries`, a step that meets a transient error by its retry
policy. What is left is asked for anew here, under a run key of its own (Dagster never starts a key
twice), spaced and bounded as `sensors.next_attempt` says. A failure that an asset declares to be
lasting (`dg.Failure`: wrong bytes, a refused model) is never tried again; people do that with
`ai-how checkpoint retry KEY`. The outlook stands as a tag on the failed run, so that nothing but a
point in time needs to be remembered.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.storage.dagster_run import RunRecord
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, WILL_RETRY_TAG

from platform_assets.keys import CHECKPOINT_TAG, ENDPOINT_TAG
from platform_assets.models.partition import TRANSIENT
from platform_assets.partitions import CHECKPOINTS
from platform_assets.serving.delivery_job import (
    JOB_NAME,
    attempt_of,
    deliver_checkpoint,
    delivery_request,
)
from platform_assets.spec.applied import AppliedEstate
from sensors.next_attempt import Outlook, due_at, outlook
from sensors.readiness import part_that_is_down

NEXT_ATTEMPT_TAG = "ai-how/next-attempt"
INTERRUPTED_TAG = "ai-how/interrupted"
MAX_REQUESTS = 25
_ENDED_BADLY = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_FIRST_LOOK_BACK = timedelta(days=7)
_OVERLAP = timedelta(minutes=10)
# How long Dagster may take to say whether it retries a crashed run, and then to do it.
_DAGSTER_DECIDES = timedelta(seconds=30)
_DAGSTER_RETRIES = timedelta(minutes=5)


def is_lasting(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Tell whether a step of the run failed for a cause that its asset declared to be lasting."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        event = entry.dagster_event
        declared = event.step_failure_data.user_failure_data if event else None
        if declared is not None:
            flag = declared.metadata.get(TRANSIENT)
            if flag is None or not flag.value:
                return True
    return False


def mark_interrupted(instance: dg.DagsterInstance, run_id: str) -> None:
    """Note that the platform itself cancels the run, so that it is taken up again at its start.

    A run that a person cancels bears no such mark and stays cancelled.
    """
    instance.add_run_tags(run_id, {INTERRUPTED_TAG: "the platform was taken down"})


def _ended(record: RunRecord) -> datetime:
    if record.end_time is not None:
        return datetime.fromtimestamp(record.end_time, UTC)
    moment = record.update_timestamp
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def is_dagsters(record: RunRecord, now: datetime, *, run_retries: bool) -> bool:
    """Tell whether the failed run is Dagster's own `run_retries`' to start anew."""
    tags = record.dagster_run.tags
    since = now - _ended(record)
    if WILL_RETRY_TAG not in tags:
        return run_retries and since < _DAGSTER_DECIDES
    if tags[WILL_RETRY_TAG] != "true":
        return False
    return AUTO_RETRY_RUN_ID_TAG in tags or since < _DAGSTER_RETRIES


def note_failures(
    instance: dg.DagsterInstance, since: datetime, now: datetime
) -> list[tuple[str, Outlook]]:
    """Tag each delivery that failed since `since` with its outlook; return run ids and outlooks."""
    ended = dg.RunsFilter(job_name=JOB_NAME, statuses=_ENDED_BADLY, updated_after=since)
    noted = []
    for record in instance.get_run_records(ended):
        run = record.dagster_run
        if NEXT_ATTEMPT_TAG in run.tags or CHECKPOINT_TAG not in run.tags:
            continue
        if run.status is dg.DagsterRunStatus.CANCELED:
            if INTERRUPTED_TAG not in run.tags:
                continue
            found = Outlook.WAITING
        elif is_dagsters(record, now, run_retries=instance.run_retries_enabled):
            continue
        else:
            found = outlook(attempt_of(run.tags), transient=not is_lasting(instance, run.run_id))
        instance.add_run_tags(run.run_id, {NEXT_ATTEMPT_TAG: found.value})
        noted.append((run.run_id, found))
    return noted


def _is_superseded(run: dg.DagsterRun, others: Iterable[dg.DagsterRun]) -> bool:
    """Tell whether another run delivered the checkpoint of `run`, or took its attempt over."""
    return any(
        other.status is dg.DagsterRunStatus.SUCCESS
        or attempt_of(other.tags) > attempt_of(run.tags)
        or other.parent_run_id == run.run_id
        for other in others
        if other.run_id != run.run_id
    )


def due_attempts(instance: dg.DagsterInstance, now: datetime) -> list[dg.RunRequest]:
    """Return requests for the attempts that are due, oldest failure first.

    A request is made again on each tick until its run exists; the run key keeps it a single run.
    """
    waiting = dg.RunsFilter(
        job_name=JOB_NAME,
        statuses=_ENDED_BADLY,
        tags={NEXT_ATTEMPT_TAG: Outlook.WAITING.value},
    )
    requests: list[dg.RunRequest] = []
    for record in instance.get_run_records(waiting, ascending=True):
        run = record.dagster_run
        key, attempt = run.tags[CHECKPOINT_TAG], attempt_of(run.tags)
        interrupted = INTERRUPTED_TAG in run.tags
        due = _ended(record) if interrupted else due_at(attempt, _ended(record))
        if due is None or due > now or len(requests) >= MAX_REQUESTS:
            continue
        others = instance.get_runs(dg.RunsFilter(tags={CHECKPOINT_TAG: key}))
        exists = instance.has_dynamic_partition(CHECKPOINTS.name or "", key)
        if not exists or _is_superseded(run, others):
            instance.add_run_tags(run.run_id, {NEXT_ATTEMPT_TAG: Outlook.SUPERSEDED.value})
        elif all(other.is_finished for other in others):
            requests.append(delivery_request(key, attempt + 1, run.tags.get(ENDPOINT_TAG)))
    return requests


@dg.sensor(
    job=deliver_checkpoint,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for a new attempt when a delivery failed for a cause that may pass.",
)
def delivery_failures(
    context: dg.SensorEvaluationContext, estate: dg.ResourceParam[AppliedEstate]
) -> dg.SensorResult | dg.SkipReason:
    """Note what failed, and ask for the attempts that are due."""
    now = datetime.now(UTC)
    since = (
        datetime.fromisoformat(context.cursor) - _OVERLAP
        if context.cursor
        else now - _FIRST_LOOK_BACK
    )
    for run_id, found in note_failures(context.instance, since, now):
        context.log.info("run %s failed; next attempt: %s", run_id, found.value)
    requests = due_attempts(context.instance, now)
    cursor = now.isoformat()
    if not requests:
        return dg.SensorResult(skip_reason="no attempt is due", cursor=cursor)
    down = part_that_is_down(estate.addresses)
    if down is not None:
        words = f"{len(requests)} attempts wait: {down}"
        return dg.SensorResult(skip_reason=words, cursor=cursor)
    return dg.SensorResult(run_requests=requests, cursor=cursor)
