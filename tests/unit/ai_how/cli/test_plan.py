"""`ai-how plan capacity`: its tables, its JSON, its exit codes."""

import json

import pytest
from rich.console import Console
from typer.testing import CliRunner

from ai_how.cli.main import app
from ai_how.cli.plan import EstateNotWhole, show, status
from platform_assets.spec.capacity import capacity_plan
from platform_assets.spec.rules.grounds import HostCapacity
from platform_assets.spec.rules.host import host_capacity
from tests.unit.spec.rules.gpu_estates import estate, function, grounds, machine

HOST = HostCapacity(cpu_cores=10, memory_gib=20, disk_gib=500, gpus=2)
BOTH = estate(
    [machine("w-1"), machine("w-2", function("0000:65:00.0"), memory_gb=12)], [machine("c-1")]
)

SMALL = """\
metadata: {name: lab}
host: {cpu_cores: 16, memory_gb: 64, disk_gb: 800, gpus: 2}
clusters:
  cloud:
    control_plane: [{name: cp, cpu_cores: CORES, memory_gb: 4, disk_gb: 40}]
"""


def lines(plan, told=()):
    console = Console(width=100, record=True, highlight=False)
    show(plan, told, console)
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_the_tables_at_100_columns():
    plan = capacity_plan(BOTH, HOST)
    told = [one for one in host_capacity(BOTH, grounds(capacity=HOST)) if "core" in one.message]
    assert lines(plan, told) == [
        "Machines",
        "Cluster  Machine  Role     cores  memory, GiB  disk, GiB  GPUs",
        "hpc      c-1      compute      4            8        100     0",
        "cloud    w-1      worker       4            8        100     0",
        "cloud    w-2      worker       4           12        100     1",
        "",
        "The host",
        "Resource     There is  Kept  Overcommit  For machines  Known from",
        "cores              10     4           1             6  this machine",
        "memory, GiB        20     4           1            16  this machine",
        "disk, GiB         500   100           1           400  this machine",
        "GPUs                2     0           1             2  this machine",
        "",
        "What is left",
        "Running           Resource     Wanted  For machines  Left  Verdict",
        "hpc alone         cores             4             6     2  fits",
        "(the other mode)  memory, GiB       8            16     8  fits",
        "                  disk, GiB       300           400   100  fits",
        "                  GPUs              0             2     2  fits",
        "cloud alone       cores             8             6    -2  2 too many",
        "(the other mode)  memory, GiB      20            16    -4  4 too much",
        "                  disk, GiB       300           400   100  fits",
        "                  GPUs              1             2     1  fits",
        "hpc and cloud     cores            12             6    -6  6 too many",
        "                  memory, GiB      28            16   -12  12 too much",
        "                  disk, GiB       300           400   100  fits",
        "                  GPUs              1             2     1  fits",
        "",
        "clusters run at the same time (mode: concurrent): it does not fit",
        "",
        "What to do",
        (
            "machines of hpc and cloud want 12 cores, but the host has 6 cores for machines "
            "(10 less 4 kept): 6"
        ),
        "cores too many",
        "  promise more with host.overcommit.cpu: 2; or make machines fewer or smaller",
    ]


def test_what_nobody_knows_is_shown_as_such():
    shown = lines(capacity_plan(BOTH, None))
    assert "cores               ?     4           1             ?  nobody" in shown
    assert shown[-1] == "clusters run at the same time (mode: concurrent): cannot tell"


def test_an_estate_without_machines_says_so():
    assert lines(capacity_plan(estate(), None)) == [
        "no machines are declared: the host has all of itself to itself"
    ]


@pytest.mark.parametrize(
    ("host", "code"), [(HostCapacity(40, 96, 1000, 2), 0), (HOST, 1), (None, 2)]
)
def test_the_exit_code_says_whether_it_fits(host, code):
    assert status(capacity_plan(BOTH, host)) == code


def written(tmp_path, cores):
    file = tmp_path / "lab.yaml"
    file.write_text(SMALL.replace("CORES", cores))
    return file


def asked(*arguments):
    return CliRunner().invoke(
        app, ["plan", "capacity", *map(str, arguments)], standalone_mode=False
    )


def test_the_command_on_a_file_that_fits(tmp_path):
    done = asked(written(tmp_path, "6"))
    assert (done.exception, done.return_value) == (None, 0)
    assert "one cluster runs: fits" in done.stdout


def test_the_file_of_the_environment_is_the_default(tmp_path, monkeypatch):
    monkeypatch.setenv("AI_HOW_CONFIG", str(written(tmp_path, "6")))
    assert asked().return_value == 0


def test_json_is_all_that_is_printed(tmp_path):
    file = written(tmp_path, "32")
    done = asked(file, "--json")
    told = json.loads(done.stdout)
    assert done.return_value == 1
    assert told["schema"] == "capacity-plan/1"
    assert told["fits"] is False
    assert told["scopes"][0]["resources"]["cpu_cores"] == {
        "wanted": 32,
        "available": 12,
        "left": -20,
        "fits": False,
    }
    assert told["host"]["memory_gib"]["source"] == "estate"
    (finding,) = told["findings"]
    assert (finding["rule"], finding["file"], finding["line"]) == ("host-capacity", str(file), 2)


def test_a_file_with_mistakes_is_not_planned(tmp_path):
    done = asked(written(tmp_path, "many"))
    assert isinstance(done.exception, EstateNotWhole)
    assert str(done.exception).startswith(f"{tmp_path / 'lab.yaml'}: mend it first, then plan\n")
    assert "line 5" in str(done.exception)
