"""What the platform writes before anything starts: secrets, ports, settings, launches."""

import stat
from pathlib import Path

import pytest
import yaml

from ai_how.embedded.dagster_home import DagsterSettingsRefused, dagster_settings
from ai_how.embedded.launch import Launch, read_launch
from ai_how.embedded.layout import Layout, StateRefused
from ai_how.embedded.ports import NAMES, PortsRefused, ensure_ports, ephemeral_range, known_ports
from ai_how.embedded.preparation import DAGSTER_SETTINGS, DiskFull, check_room
from ai_how.embedded.secrets import ROLES, SecretRefused, ensure_secrets
from ai_how.estate_file import PROJECT
from resources.supervisor import Program, configuration

URL = "postgresql+psycopg2://dagster@/dagster?host=/s&port=5432&passfile=/p"


@pytest.fixture
def layout(tmp_path):
    made = Layout(tmp_path / "state")
    made.secrets.mkdir(parents=True, mode=0o700)
    return made


def test_secrets_are_made_once_and_readable_by_us_alone(layout):
    first = ensure_secrets(layout)
    again = ensure_secrets(layout)
    assert first == again
    assert set(first.passwords) == set(ROLES)
    assert len(set(first.passwords.values())) == len(ROLES)
    modes = {stat.S_IMODE(file.stat().st_mode) for file in layout.secrets.iterdir()}
    assert modes == {0o600}


def test_secrets_do_not_show_when_printed(layout):
    made = ensure_secrets(layout)
    shown = repr(made) + repr(made.identities)
    assert not any(password in shown for password in made.passwords.values())
    assert not any(identity.secret_key in shown for identity in made.identities)


def test_a_secret_open_to_others_is_refused_with_the_remedy(layout):
    ensure_secrets(layout)
    file = layout.secrets / "dagster.pgpass"
    file.chmod(0o644)
    with pytest.raises(SecretRefused, match=f"found 0644; `chmod 600 {file}`"):
        ensure_secrets(layout)


@pytest.mark.parametrize("name", ["dagster.pgpass", "s3-reader.json"])
def test_a_damaged_secret_is_named_and_not_shown(layout, name):
    ensure_secrets(layout)
    (layout.secrets / name).write_text("half-a-secret")
    with pytest.raises(SecretRefused, match=name) as refused:
        ensure_secrets(layout)
    assert "half-a-secret" not in str(refused.value)


def test_ports_are_chosen_once_outside_the_range_of_clients(layout):
    chosen = ensure_ports(layout)
    assert set(chosen) == set(NAMES)
    assert len(set(chosen.values())) == len(NAMES)
    first, last = ephemeral_range()
    assert [port for port in chosen.values() if first <= port <= last] == []
    assert ensure_ports(layout) == chosen == known_ports(layout)


def test_a_new_part_gets_a_port_and_the_others_keep_theirs(layout):
    chosen = ensure_ports(layout)
    kept = {name: port for name, port in chosen.items() if name != "mlflow"}
    layout.ports.write_text(yaml.safe_dump(kept, default_flow_style=True).replace("'", '"'))
    layout.ports.write_text(str(kept).replace("'", '"'))
    again = ensure_ports(layout)
    assert {name: again[name] for name in kept} == kept
    assert "mlflow" in again


def test_a_damaged_file_of_ports_is_refused(layout):
    layout.ports.write_text("[1, 2]")
    with pytest.raises(PortsRefused, match=r"ports\.json: expected names with a port each"):
        ensure_ports(layout)


def test_ports_that_were_never_chosen_are_told(layout):
    with pytest.raises(PortsRefused, match="`ai-how up` chooses them"):
        known_ports(layout)


def test_a_directory_that_others_may_write_is_refused(layout):
    layout.state.chmod(0o777)
    with pytest.raises(StateRefused, match="chmod go-w"):
        layout.make()


def test_the_paths_of_sockets_stay_short_however_deep_the_state_lies():
    deep = Layout(Path("/" + "/".join(["directory"] * 40)))
    assert len(str(deep.postgresql_sockets / ".s.PGSQL.5432.lock")) < 80


def test_dagsters_settings_hold_the_decisions_and_no_secret(layout):
    settings = dagster_settings(PROJECT / DAGSTER_SETTINGS, layout, URL)
    assert settings["storage"] == {"postgres": {"postgres_url": URL}}
    assert settings["run_coordinator"]["config"]["dequeue_interval_seconds"] == 1
    assert settings["run_retries"]["retry_on_asset_or_op_failure"] is False
    assert settings["telemetry"] == {"enabled": False}
    (limit,) = settings["concurrency"]["runs"]["tag_concurrency_limits"]
    assert limit["key"] == "endpoint"
    assert limit["value"] == {"applyLimitPerUniqueValue": True}


def test_settings_that_the_platform_decides_are_refused(layout, tmp_path):
    file = tmp_path / "dagster.yaml"
    file.write_text("storage: {sqlite: {base_dir: /tmp}}\n")
    with pytest.raises(DagsterSettingsRefused, match="storage: `ai-how up` decides this"):
        dagster_settings(file, layout, URL)


def test_a_launch_is_read_as_it_was_written(tmp_path):
    launch = Launch(
        command=["/bin/a b", "it's", '"quoted" %s'],
        directory="/",
        environment={"NAME": '100%, "x"'},
        before=[["/bin/true"]],
        uid=65534,
        gid=65534,
    )
    file = tmp_path / "launch.json"
    file.write_text(launch.to_json())
    assert read_launch(file) == launch


def test_supervisord_starts_nothing_by_itself_and_listens_on_no_port(tmp_path):
    program = Program("part", ["/bin/a b", "100%"], tmp_path, tmp_path / "log", {"A": "1"})
    text = configuration(tmp_path / "s", tmp_path / "log", tmp_path / "pid", [program])
    assert "autostart=false" in text
    assert "inet_http_server" not in text
    assert "command='/bin/a b' 100%%" in text


def test_a_full_disk_is_told_before_anything_is_made():
    # /proc is a real file system without any room.
    with pytest.raises(DiskFull, match=r"expected at least 2 GiB free on its disk, found 0\.0 GiB"):
        check_room(Path("/proc/state"))
