"""KServe's upkeep is asked for daily, unless something is at work on it."""

import dagster as dg
import pytest

from platform_assets import keys
from platform_assets.services.kserve import UPKEEP_JOB
from sensors.kserve_upkeep import daily_kserve_upkeep


@pytest.fixture
def instance(tmp_path):
    # A schedule's context opens the instance anew, so it must lie on disk.
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


def add_run(instance, job, status, asset=None):
    run = dg.DagsterRun(
        job_name=job,
        run_id=f"{len(instance.get_runs()):032}",
        status=status,
        asset_selection=frozenset({asset}) if asset else None,
    )
    instance.add_run(run)
    return run.run_id


def tick(instance):
    return daily_kserve_upkeep(dg.build_schedule_context(instance=instance))


def test_the_upkeep_is_asked_for(instance):
    add_run(instance, UPKEEP_JOB, dg.DagsterRunStatus.FAILURE)
    add_run(instance, "__ASSET_JOB", dg.DagsterRunStatus.SUCCESS, keys.KSERVE)
    add_run(instance, "__ASSET_JOB", dg.DagsterRunStatus.STARTED, keys.MLFLOW)
    assert tick(instance) == dg.RunRequest()
    assert daily_kserve_upkeep.job_name == UPKEEP_JOB


@pytest.mark.parametrize(("job", "asset"), [(UPKEEP_JOB, None), ("__ASSET_JOB", keys.KSERVE)])
def test_a_run_that_is_going_on_is_not_doubled(instance, job, asset):
    run_id = add_run(instance, job, dg.DagsterRunStatus.STARTING, asset)
    answer = tick(instance)
    assert isinstance(answer, dg.SkipReason)
    assert run_id in answer.skip_message
