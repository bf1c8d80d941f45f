import os
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta

import dagster as dg
import psutil
import pytest
from dagster._core.events import EngineEventData
from dagster._core.storage.runs.schema import RunsTable

from platform_assets.keys import PROCESS_TAG
from sensors.dead_runs import LAUNCH_GRACE, dead_runs, free_dead_runs
from sensors.run_process import process_tag, start_ticks

STARTED = dg.DagsterRunStatus.STARTED


@dg.op
def nothing():
    return None


@dg.job
def some_job():
    nothing()


@pytest.fixture
def instance():
    overrides = {"run_retries": {"enabled": True, "max_retries": 3}}
    with dg.instance_for_test(overrides=overrides) as found:
        yield found


def _run(instance, status, tag_of_run=None):
    run_id = str(uuid.uuid4())
    tags = {PROCESS_TAG: tag_of_run(run_id)} if tag_of_run else {}
    return instance.create_run_for_job(some_job, run_id=run_id, status=status, tags=tags)


def _dead(run_id):
    pid, _ticks, boot, run = process_tag(run_id).split(":")
    return f"{pid}:1:{boot}:{run}"


def _now():
    return datetime.now(UTC)


def _status(instance, run):
    return instance.get_run_by_id(run.run_id).status


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.STARTING, STARTED])
def test_a_run_whose_process_is_gone_is_reported_failed_and_will_be_retried(instance, status):
    run = _run(instance, status, _dead)
    assert free_dead_runs(instance, _now()) == [run.run_id]
    found = instance.get_run_by_id(run.run_id)
    assert found.status is dg.DagsterRunStatus.FAILURE
    assert found.tags["dagster/will_retry"] == "true"
    assert free_dead_runs(instance, _now()) == []


def test_a_run_that_was_being_cancelled_ends_cancelled(instance):
    run = _run(instance, dg.DagsterRunStatus.CANCELING, _dead)
    assert free_dead_runs(instance, _now()) == [run.run_id]
    assert _status(instance, run) is dg.DagsterRunStatus.CANCELED


def test_a_run_whose_process_lives_is_left_alone_however_long_it_takes(instance):
    run = _run(instance, STARTED, process_tag)
    assert free_dead_runs(instance, _now() + timedelta(days=9)) == []
    assert _status(instance, run) is STARTED


def test_runs_that_wait_or_ended_are_left_alone(instance):
    for status in (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.SUCCESS):
        _run(instance, status, _dead)
    assert free_dead_runs(instance, _now() + timedelta(days=9)) == []


def test_a_retry_that_inherited_its_parents_tag_is_given_time_to_start(instance):
    run = _run(instance, dg.DagsterRunStatus.STARTING, lambda _run_id: _dead(str(uuid.uuid4())))
    assert free_dead_runs(instance, _now()) == []
    assert free_dead_runs(instance, _now() + LAUNCH_GRACE * 2) == [run.run_id]


def test_a_run_that_no_process_ever_took_up_is_freed_after_a_while(instance):
    run = _run(instance, dg.DagsterRunStatus.STARTING)
    assert free_dead_runs(instance, _now()) == []
    assert free_dead_runs(instance, _now() + LAUNCH_GRACE * 2) == [run.run_id]


def test_an_untagged_run_launched_before_this_boot_is_freed_at_once(instance):
    run = _run(instance, STARTED)
    before_boot = datetime.fromtimestamp(psutil.boot_time() - 3600, UTC)
    with instance.run_storage.connect() as database:
        database.execute(RunsTable.update().values(update_timestamp=before_boot))
    assert free_dead_runs(instance, _now()) == [run.run_id]


def _names_its_process(instance, run, pid):
    instance.report_engine_event("Started process", run, EngineEventData.in_process(pid))


def test_an_untagged_run_of_another_executor_is_recognised_by_its_own_messages(instance):
    alive, died = _run(instance, STARTED), _run(instance, STARTED)
    _names_its_process(instance, alive, os.getpid())
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    _names_its_process(instance, died, child.pid)
    child.wait()
    assert start_ticks(child.pid) is None
    assert free_dead_runs(instance, _now() + LAUNCH_GRACE * 2) == [died.run_id]


def test_the_sensor_says_how_many_runs_it_freed(instance):
    _run(instance, STARTED, _dead)
    with dg.build_sensor_context(instance=instance) as context:
        assert dead_runs(context).skip_message == "1 runs were freed"
    with dg.build_sensor_context(instance=instance) as context:
        assert dead_runs(context).skip_message == "no run is dead"


def test_the_module_frees_runs_of_the_instance_that_dagster_home_names(tmp_path):
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    environment = os.environ | {"DAGSTER_HOME": str(tmp_path)}
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        run = _run(instance, STARTED, _dead)
        done = subprocess.run(
            [sys.executable, "-m", "sensors.dead_runs"],
            env=environment, capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
        assert run.run_id in done.stdout
        assert _status(instance, run) is dg.DagsterRunStatus.FAILURE
