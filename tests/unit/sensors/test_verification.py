"""The hourly verification is asked for, unless one is still at work."""

import dagster as dg
import pytest

from platform_assets.audits.live_verification import JOB_NAME
from sensors.under_way import job_under_way
from sensors.verification import hourly_verification

OVER = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


@pytest.fixture
def instance(tmp_path):
    # A schedule's context opens the instance anew, so it must lie on disk.
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


def add_run(instance, job, status):
    run = dg.DagsterRun(job_name=job, run_id=f"{len(instance.get_runs()):032}", status=status)
    instance.add_run(run)
    return run.run_id


def tick(instance):
    return hourly_verification(dg.build_schedule_context(instance=instance))


def test_a_verification_is_asked_for(instance):
    add_run(instance, "deliver_checkpoint", dg.DagsterRunStatus.STARTED)
    for status in OVER:
        add_run(instance, JOB_NAME, status)
    assert isinstance(tick(instance), dg.RunRequest)


def test_two_never_run_at_once(instance):
    run_id = add_run(instance, JOB_NAME, dg.DagsterRunStatus.STARTING)
    assert job_under_way(instance, JOB_NAME) == run_id
    answer = tick(instance)
    assert isinstance(answer, dg.SkipReason)
    assert run_id in answer.skip_message
