import uuid
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from platform_assets import keys
from platform_assets.partitions import CHECKPOINTS
from platform_assets.serving.delivery_job import JOB_NAME, delivery_tags
from sensors.failures import (
    NEXT_ATTEMPT_TAG,
    due_attempts,
    mark_interrupted,
    note_failures,
)
from sensors.next_attempt import MAX_ATTEMPTS, Outlook

KEY = "digits.run-1.0123456789ab"
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
SOON, LATER = timedelta(seconds=45), timedelta(hours=2)


@dg.op(config_schema=str)
def deliver(context):
    if context.op_config == "lasting":
        raise dg.Failure("wrong bytes", metadata={"transient": False}, allow_retries=False)
    if context.op_config == "passing":
        raise ConnectionError("the object store does not answer")


@dg.job(name=JOB_NAME)
def delivery():
    deliver()


@pytest.fixture
def instance():
    overrides = {
        "run_retries": {"enabled": True, "max_retries": 3, "retry_on_asset_or_op_failure": False}
    }
    with dg.instance_for_test(overrides=overrides) as found:
        found.add_dynamic_partitions(CHECKPOINTS.name, [KEY])
        yield found


def _now():
    return datetime.now(UTC)


def _attempt(instance, attempt, cause, endpoint="numbers"):
    done = delivery.execute_in_process(
        run_config={"ops": {"deliver": {"config": cause}}},
        instance=instance,
        tags=delivery_tags(KEY, attempt, endpoint),
        raise_on_error=False,
    )
    return done.run_id


def _outlook(instance, run_id):
    return instance.get_run_by_id(run_id).tags.get(NEXT_ATTEMPT_TAG)


def test_a_passing_cause_gets_one_new_attempt_when_it_is_due(instance):
    run_id = _attempt(instance, 1, "passing")
    assert note_failures(instance, LONG_AGO, _now() + SOON) == [(run_id, Outlook.WAITING)]
    assert due_attempts(instance, _now()) == []
    (request,) = due_attempts(instance, _now() + SOON)
    assert request.run_key == f"{KEY}:attempt2"
    assert request.partition_key == KEY
    assert request.tags == {
        keys.CHECKPOINT_TAG: KEY, keys.ATTEMPT_TAG: "2", keys.ENDPOINT_TAG: "numbers"
    }  # fmt: skip
    # Until its run exists it is asked for again, under the same key.
    assert [r.run_key for r in due_attempts(instance, _now() + SOON)] == [request.run_key]


def test_when_the_next_attempt_exists_nothing_more_is_asked_for(instance):
    run_id = _attempt(instance, 1, "passing")
    note_failures(instance, LONG_AGO, _now() + SOON)
    _attempt(instance, 2, "none")
    assert due_attempts(instance, _now() + SOON) == []
    assert _outlook(instance, run_id) == Outlook.SUPERSEDED.value


def test_a_lasting_cause_gets_no_new_attempt(instance):
    run_id = _attempt(instance, 1, "lasting")
    assert note_failures(instance, LONG_AGO, _now() + SOON) == [(run_id, Outlook.DEFINITIVE)]
    assert due_attempts(instance, _now() + LATER) == []


def test_attempts_end(instance):
    run_id = _attempt(instance, MAX_ATTEMPTS, "passing")
    assert note_failures(instance, LONG_AGO, _now() + SOON) == [(run_id, Outlook.EXHAUSTED)]
    assert due_attempts(instance, _now() + LATER) == []


def test_a_failure_is_noted_once(instance):
    _attempt(instance, 1, "passing")
    assert len(note_failures(instance, LONG_AGO, _now() + SOON)) == 1
    assert note_failures(instance, LONG_AGO, _now() + SOON) == []


def test_a_run_that_dagster_retries_itself_is_left_to_it_for_a_while(instance):
    run = instance.create_run_for_job(
        delivery,
        run_id=str(uuid.uuid4()),
        run_config={"ops": {"deliver": {"config": "none"}}},
        status=dg.DagsterRunStatus.STARTED,
        tags=delivery_tags(KEY, 1, None),
    )
    instance.report_run_failed(run, "The run died.")
    assert instance.get_run_by_id(run.run_id).tags["dagster/will_retry"] == "true"
    assert note_failures(instance, LONG_AGO, _now() + timedelta(minutes=1)) == []
    # It did not: then it is ours after all.
    found = note_failures(instance, LONG_AGO, _now() + timedelta(minutes=6))
    assert found == [(run.run_id, Outlook.WAITING)]


def test_while_another_run_of_the_checkpoint_works_nothing_is_asked_for(instance):
    _attempt(instance, 1, "passing")
    note_failures(instance, LONG_AGO, _now() + SOON)
    instance.create_run_for_job(
        delivery,
        run_id=str(uuid.uuid4()),
        run_config={"ops": {"deliver": {"config": "none"}}},
        status=dg.DagsterRunStatus.STARTED,
        tags=delivery_tags(KEY, 1, None),
    )
    assert due_attempts(instance, _now() + SOON) == []


def test_a_checkpoint_whose_partition_was_removed_is_given_up(instance):
    run_id = _attempt(instance, 1, "passing")
    note_failures(instance, LONG_AGO, _now() + SOON)
    instance.delete_dynamic_partition(CHECKPOINTS.name, KEY)
    assert due_attempts(instance, _now() + SOON) == []
    assert _outlook(instance, run_id) == Outlook.SUPERSEDED.value


def test_failures_of_other_jobs_are_none_of_its_business(instance):
    @dg.job
    def another():
        deliver()

    config = {"ops": {"deliver": {"config": "passing"}}}
    another.execute_in_process(run_config=config, instance=instance, raise_on_error=False)
    assert note_failures(instance, LONG_AGO, _now() + SOON) == []


def _cancelled(instance):
    run = instance.create_run_for_job(
        delivery,
        run_id=str(uuid.uuid4()),
        run_config={"ops": {"deliver": {"config": "none"}}},
        status=dg.DagsterRunStatus.STARTED,
        tags=delivery_tags(KEY, 1, None),
    )
    return run.run_id


def test_a_run_that_the_platform_cancelled_as_it_went_down_is_taken_up_at_once(instance):
    run_id = _cancelled(instance)
    mark_interrupted(instance, run_id)
    instance.report_run_canceled(instance.get_run_by_id(run_id))
    assert note_failures(instance, LONG_AGO, _now()) == [(run_id, Outlook.WAITING)]
    (request,) = due_attempts(instance, _now())
    assert request.run_key == f"{KEY}:attempt2"


def test_a_run_that_a_person_cancelled_stays_cancelled(instance):
    run_id = _cancelled(instance)
    instance.report_run_canceled(instance.get_run_by_id(run_id))
    assert note_failures(instance, LONG_AGO, _now() + SOON) == []
