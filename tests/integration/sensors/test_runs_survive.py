"""Runs that die or fail are taken up again: a real daemon and code server around toy assets."""

import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psutil
import pytest
import yaml

from ai_how.runs import CheckpointUnknown, request_retry
from platform_assets import keys
from platform_assets.spec.applied import write_applied
from sensors.dead_runs import free_dead_runs
from sensors.run_process import belongs_to, is_gone
from tests.applied_estates import applied_estate
from tests.sample_checkpoints import huggingface_checkpoint

REPOSITORY = Path(__file__).parents[3]
DEADLINE_S = 240.0
SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Toy:
    """A Dagster deployment of its own, in `home`."""

    def __init__(self, home):
        self.home = home
        self.code_port, self.web_port = _free_port(), _free_port()
        url = f"http://127.0.0.1:{self.web_port}"
        (home / "root").mkdir()
        (home / "serving.yaml").write_text("models: {digits: {endpoint: numbers}}\n")
        self.estate = applied_estate(home, url=url, checkpoint_root=home / "root")
        write_applied(self.estate)
        settings = {
            "telemetry": {"enabled": False},
            "run_queue": {"dequeue_interval_seconds": 1},
            "run_retries": {
                "enabled": True, "max_retries": 3, "retry_on_asset_or_op_failure": False
            },
        }  # fmt: skip
        (home / "dagster.yaml").write_text(yaml.safe_dump(settings))
        server = {"host": "127.0.0.1", "port": self.code_port, "location_name": "platform"}
        (home / "workspace.yaml").write_text(
            yaml.safe_dump({"load_from": [{"grpc_server": server}]})
        )
        self.processes = []
        self.instance = dg.DagsterInstance.from_config(str(home))

    def behave(self, how):
        (self.home / "behave").write_text(how)

    def start(self):
        environment = os.environ | {
            "DAGSTER_HOME": str(self.home), "AI_HOW_STATE": str(self.home),
            "PYTHONPATH": str(REPOSITORY),
        }  # fmt: skip
        workspace = ["-w", str(self.home / "workspace.yaml")]
        python = [sys.executable, "-m"]
        for name, command in {
            "code": [*python, "dagster", "code-server", "start", "-h", "127.0.0.1",
                     "-p", str(self.code_port), "-m", "tests.integration.sensors.toy_delivery"],
            "web": [*python, "dagster_webserver", "-h", "127.0.0.1", "-p", str(self.web_port),
                    *workspace],
            "daemon": [*python, "dagster._daemon", "run", *workspace],
        }.items():  # fmt: skip
            log = (self.home / f"{name}.log").open("ab")
            self.processes.append(
                subprocess.Popen(
                    command, env=environment, cwd=self.home, stdout=log, stderr=log,
                    start_new_session=True,
                )
            )  # fmt: skip
            if name == "code":
                self.until(lambda: _listens(self.code_port))

    def cut_power(self):
        everything = []
        for process in self.processes:
            parent = psutil.Process(process.pid)
            everything += [*parent.children(recursive=True), parent]
        for process in everything:
            process.send_signal(signal.SIGKILL)
        psutil.wait_procs(everything, timeout=60)
        for process in self.processes:
            process.wait()
        self.processes = []

    def until(self, condition):
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            found = condition()
            if found:
                return found
            assert all(p.poll() is None for p in self.processes), "a process of Dagster ended"
            time.sleep(0.3)
        logs = "\n".join(f.read_text()[-3000:] for f in self.home.glob("*.log"))
        pytest.fail(f"not within {DEADLINE_S} s\n{logs}")

    def seal(self, run):
        huggingface_checkpoint(self.estate.checkpoint_root, "digits", run)

    def runs(self, run):
        """Return the runs for the checkpoint of training run `run`, oldest first."""
        records = self.instance.get_run_records(ascending=True)
        found = [record.dagster_run for record in records]
        return [
            r for r in found if r.tags.get(keys.CHECKPOINT_TAG, "").startswith(f"digits.{run}.")
        ]

    def until_runs(self, run, *statuses):
        self.until(lambda: [r.status for r in self.runs(run)] == list(statuses))
        return self.runs(run)

    def until_hanging(self, run):
        """Wait until the last run's process has reached the asset; return run and process id."""

        def hanging():
            runs = self.runs(run)
            tag = runs[-1].tags.get(keys.PROCESS_TAG) if runs else None
            pid_file = self.home / "pid"
            own = tag is not None and belongs_to(tag, runs[-1].run_id)
            if own and pid_file.exists() and pid_file.read_text() == tag.split(":")[0]:
                return runs[-1], int(pid_file.read_text())
            return None

        return self.until(hanging)


def _listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    toy = Toy(tmp_path_factory.mktemp("toy"))
    toy.behave("succeed")
    toy.start()
    yield toy
    toy.cut_power()
    toy.instance.dispose()


def test_a_run_names_its_process_and_a_killed_one_is_retried_once(toy):
    toy.behave("hang")
    toy.seal("killed")
    run, pid = toy.until_hanging("killed")
    assert not is_gone(run.tags[keys.PROCESS_TAG])
    assert run.tags[keys.ENDPOINT_TAG] == "numbers"
    toy.behave("succeed")
    os.kill(pid, signal.SIGKILL)
    first, second = toy.until_runs("killed", FAILURE, SUCCESS)
    assert is_gone(first.tags[keys.PROCESS_TAG])
    assert second.parent_run_id == first.run_id
    assert second.tags[keys.PROCESS_TAG] != first.tags[keys.PROCESS_TAG]


def test_after_a_power_cut_the_run_is_freed_before_start_and_retried_after(toy):
    toy.behave("hang")
    toy.seal("power")
    run, _pid = toy.until_hanging("power")
    toy.cut_power()
    toy.behave("succeed")
    assert toy.runs("power")[0].status is dg.DagsterRunStatus.STARTED
    done = subprocess.run(
        [sys.executable, "-m", "sensors.dead_runs"],
        env=os.environ | {"DAGSTER_HOME": str(toy.home), "PYTHONPATH": str(REPOSITORY)},
        cwd=toy.home, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert run.run_id in done.stdout
    toy.start()
    toy.until_runs("power", FAILURE, SUCCESS)


def test_a_working_run_is_not_freed(toy):
    toy.behave("hang")
    toy.seal("works")
    _run, pid = toy.until_hanging("works")
    assert free_dead_runs(toy.instance, datetime.now(UTC) + timedelta(hours=5)) == []
    toy.behave("succeed")
    os.kill(pid, signal.SIGKILL)
    toy.until_runs("works", FAILURE, SUCCESS)


def test_a_passing_failure_gets_a_new_attempt_and_a_lasting_one_waits_for_a_person(toy, capsys):
    toy.behave("passing")
    toy.seal("passes")
    toy.until_runs("passes", FAILURE)
    toy.behave("lasting")
    first, second = toy.until_runs("passes", FAILURE, FAILURE)
    assert (first.tags[keys.ATTEMPT_TAG], second.tags[keys.ATTEMPT_TAG]) == ("1", "2")
    key = second.tags[keys.CHECKPOINT_TAG]
    toy.until(lambda: "will not pass" in toy.runs("passes")[1].tags.get("ai-how/next-attempt", ""))

    assert request_retry(key, toy.estate) == 1
    assert "wrong bytes" in capsys.readouterr().out
    toy.behave("succeed")
    assert request_retry(key, toy.estate) == 0
    assert "attempt 4" in capsys.readouterr().out
    runs = toy.runs("passes")
    assert [r.tags[keys.ATTEMPT_TAG] for r in runs] == ["1", "2", "3", "4"]
    assert runs[-1].tags["dagster/partition"] == key
    assert runs[-1].status is SUCCESS


def test_a_retry_of_a_checkpoint_that_was_never_taken_is_refused(toy):
    with pytest.raises(CheckpointUnknown, match=r"digits\.never\.0"):
        request_retry("digits.never.000000000000", toy.estate)
