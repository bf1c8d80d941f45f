"""One platform from its first start to its end: started twice, cut off, broken, taken down.

The tests stand in the order of its life; each leaves it as its name says.
"""

import json
import os
import re
import signal
import socket
import stat
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from ai_how.embedded.layout import MARK
from ai_how.embedded.ports import ephemeral_range
from ai_how.reload import ensure_loaded
from ai_how.runs import Dagster
from resources.object_store import ObjectStore
from resources.postgresql import PostgresqlServer
from resources.process import end_processes, marked_processes, port_is_free, processes_in

PARTS = [
    "postgresql", "seaweedfs", "mlflow", "model-server", "code-server", "webserver", "daemon",
]  # fmt: skip
SECRET = re.compile(r"[0-9a-f]{48}")


def processes(one):
    found = marked_processes(MARK, str(one.state))
    return found + [p for p in processes_in(one.layout.cluster) if p not in found]


def asked(found, question):
    """The answers of those that live on to give one: servers end their children as they please."""
    answers = []
    for process in found:
        with suppress(psutil.NoSuchProcess):
            answers.append(question(process))
    return answers


def ports(one):
    return json.loads(one.layout.ports.read_text())


def pids(one):
    answer = one.run("status", "--json")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return {part["name"]: part["pid"] for part in json.loads(answer.stdout)["parts"]}


def outside(one):
    """What a platform must leave alone: accounts, and the modes of directories that are not its."""
    accounts = [Path(f"/etc/{name}").read_bytes() for name in ("passwd", "group")]
    folders = [one.home, *one.home.parents, Path(__file__).parents[3]]
    return accounts, [(folder.stat().st_mode, folder.stat().st_uid) for folder in folders]


def assert_nothing_is_left(one):
    assert processes(one) == []
    assert [port for port in ports(one).values() if not port_is_free(port)] == []
    assert not one.layout.sockets.exists()
    numbers = "|".join(str(port) for port in ports(one).values())
    left = re.compile(rf"seaweedfs-.*-({numbers})\.sock")
    assert [file for file in Path("/tmp").iterdir() if left.fullmatch(file.name)] == []


@pytest.fixture(scope="module")
def one(installation):
    return installation()


@pytest.fixture(scope="module")
def before(one):
    return outside(one)


@pytest.fixture(scope="module")
def up(one, before):
    answer = one.run("up")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return one


def test_up_returns_when_every_part_does_its_work(up):
    assert list(pids(up)) == PARTS


def test_up_twice_is_up_once(up):
    first = pids(up)
    answer = up.run("up")
    assert answer.returncode == 0, answer.stderr
    assert pids(up) == first


def test_everything_listens_on_loopback_outside_the_ports_of_clients(up):
    connections = asked(processes(up), lambda p: p.net_connections(kind="inet"))
    listening = [c.laddr for cs in connections for c in cs if c.status == psutil.CONN_LISTEN]
    assert {address.ip for address in listening} == {"127.0.0.1"}
    assert {address.port for address in listening} == set(ports(up).values())
    first, last = ephemeral_range()
    assert [a.port for a in listening if first <= a.port <= last] == []


def test_no_secret_stands_on_a_command_line_or_in_an_environment(up):
    secrets = set()
    for file in up.layout.secrets.rglob("*"):
        if file.is_file():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
            secrets.update(SECRET.findall(file.read_text()))
    assert len(secrets) >= 5 + 4 + 1
    words = asked(processes(up), lambda p: [*p.cmdline(), *p.environ().values()])
    shown = "\n".join("\n".join(some) for some in words)
    assert [secret for secret in secrets if secret in shown] == []
    settings = (up.layout.dagster_home / "dagster.yaml").read_text()
    logs = "".join(file.read_text(errors="replace") for file in up.layout.logs.iterdir())
    assert [secret for secret in secrets if secret in settings + logs] == []


def test_the_callers_environment_stays_outside(up):
    os.environ["AWS_SECRET_ACCESS_KEY"] = "planted"
    try:
        assert up.run("up").returncode == 0
    finally:
        del os.environ["AWS_SECRET_ACCESS_KEY"]
    assert "planted" not in str(asked(processes(up), lambda p: p.environ()))


def test_a_changed_estate_is_loaded_and_no_part_ends_for_it(up):
    first = pids(up)
    up.declare(name="renamed")
    assert up.run("up").returncode == 0
    renamed = pids(up)
    assert up.applied.name == "renamed"
    assert renamed == first
    assert not ensure_loaded(Dagster(up.applied.addresses.dagster_url), up.applied)
    up.estate_file.write_text("name: Renamed Again\n")
    refused = up.run("up")
    assert refused.returncode == 2
    assert "estate.yaml" in refused.stderr
    assert pids(up) == renamed
    assert up.applied.name == "renamed"
    up.declare()


def test_purge_is_refused_while_it_runs(up):
    answer = up.run("purge", "--confirm", up.applied.name)
    assert answer.returncode == 2
    assert "ai-how down" in answer.stderr


def test_after_a_power_cut_up_finds_everything_again(up):
    url = up.applied.addresses.s3_url
    store = ObjectStore(url, "models", up.applied.secrets / "s3-publisher.json")
    store.put("models/kept/file", b"acknowledged")
    asked(processes(up), lambda p: p.suspend())
    asked(processes(up), lambda p: p.kill())
    answer = up.run("up")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert store.get("models/kept/file", 100) == b"acknowledged"
    server = PostgresqlServer(up.layout.postgresql_sockets, up.layout.secrets / "postgres.pgpass")
    server.probe("ledger")


def test_down_ends_everything_though_supervisord_is_dead_and_parts_are_suspended(up):
    supervisord = psutil.Process(int((up.layout.sockets / "supervisord.pid").read_text()))
    named = {name: psutil.Process(pid) for name, pid in pids(up).items()}
    end_processes([supervisord], signal.SIGKILL, 0.0)
    named["mlflow"].suspend()
    named["postgresql"].suspend()
    answer = up.run("down")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert_nothing_is_left(up)


def test_status_finds_that_it_is_down(up):
    answer = up.run("status", "--json")
    assert answer.returncode == 1
    assert {part["state"] for part in json.loads(answer.stdout)["parts"]} == {"STOPPED"}


def test_down_twice_is_down_once(up):
    assert up.run("down").returncode == 0


def test_a_port_that_another_has_is_named_with_part_and_holder(up):
    with socket.socket() as other:
        other.bind(("127.0.0.1", ports(up)["mlflow"]))
        other.listen()
        answer = up.run("up")
    assert answer.returncode == 2
    assert f"mlflow: port {ports(up)['mlflow']}" in answer.stderr
    assert f"process {os.getpid()} " in answer.stderr
    assert_nothing_is_left(up)


def test_a_part_that_dies_at_its_start_is_named_with_its_last_words(up):
    credentials = up.layout.secrets / "mlflow-credentials.ini"
    kept = credentials.read_text()
    credentials.write_text("[other]\n")
    try:
        answer = up.run("up")
    finally:
        credentials.write_text(kept)
    assert answer.returncode == 2
    assert "mlflow: it ended" in answer.stderr
    assert str(up.layout.log("mlflow")) in answer.stderr
    assert "expected [mlflow]" in answer.stderr
    assert_nothing_is_left(up)


def test_logs_shows_what_a_part_said(up):
    answer = up.run("logs", "mlflow")
    assert answer.returncode == 0
    assert "expected [mlflow]" in answer.stdout
    assert up.run("logs", "nothing").returncode == 2


def test_up_and_down_in_good_order_leave_nothing(up):
    assert up.run("up").returncode == 0
    answer = up.run("down")
    assert answer.returncode == 0
    assert "could not" not in answer.stderr
    assert "does not do its work" not in answer.stderr
    assert_nothing_is_left(up)


def test_nothing_outside_was_changed(up, before):
    assert outside(up) == before


def test_purge_takes_the_estates_name_and_removes_all_data(up):
    refused = up.run("purge", "--confirm", "other")
    assert refused.returncode == 2
    assert up.layout.cluster.is_dir()
    assert up.run("purge", "--confirm", up.applied.name).returncode == 0
    assert list(up.state.iterdir()) == []
