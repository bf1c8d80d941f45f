"""`ai-how doctor`: its table, its JSON, its exit codes."""

import json

import pytest
from rich.console import Console
from typer.testing import CliRunner

from ai_how.cli.doctor import show, status
from ai_how.cli.main import app
from platform_assets.infrastructure.floor import Floor, Verdict
from resources import host, pci_ids
from tests.recorded_hosts import recorded_host


def floor(verdict, remedy=""):
    return Floor(f"host-{verdict.value}", "KVM", "[found]", "wanted", remedy, verdict)


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([Verdict.HOLDS], 0),
        ([Verdict.HOLDS, Verdict.WEAK], 0),
        ([Verdict.HOLDS, Verdict.FAILS], 1),
        ([Verdict.HOLDS, Verdict.UNKNOWN], 2),
        ([Verdict.UNKNOWN, Verdict.FAILS], 1),
    ],
)
def test_the_exit_code_says_the_worst_that_is_sure(verdicts, code):
    assert status([floor(verdict) for verdict in verdicts]) == code


def test_the_table_at_100_columns():
    console = Console(width=100, record=True)
    show([floor(Verdict.HOLDS), floor(Verdict.FAILS, "mend [it]")], console)
    assert [line.rstrip() for line in console.export_text().splitlines()] == [
        "Floor  Verdict  Wanted  Found",
        "KVM    holds    wanted  [found]",
        "KVM    fails    wanted  [found]",
        "",
        "1 holds, 1 fails",
        "",
        "What to do",
        "KVM  mend [it]",
    ]


@pytest.fixture
def workstation(tmp_path, monkeypatch):
    recorded = recorded_host("two_gpu_workstation", tmp_path)
    monkeypatch.setattr(host, "read_host", recorded.facts)


def run(*arguments):
    return CliRunner().invoke(app, ["doctor", *arguments], standalone_mode=False)


def test_a_good_host_ends_with_0(workstation):
    done = run()
    assert done.return_value == 0
    assert done.stdout.splitlines()[-1] == "25 holds"


def test_json_holds_floors_findings_and_facts(workstation):
    done = run("--json")
    told = json.loads(done.stdout)
    assert told["schema"] == "doctor/1"
    assert {one["verdict"] for one in told["floors"]} == {"holds"}
    assert told["findings"] == []
    assert told["facts"]["kernel"] == "6.12.48+deb13-amd64"


def test_without_the_list_of_names_it_cannot_tell_the_gpus_age(workstation, monkeypatch):
    def refuse():
        message = "the list of PCI ids cannot be read"
        raise pci_ids.PciIdsUnavailable(message)

    monkeypatch.setattr(pci_ids, "read_pci_ids", refuse)
    done = run()
    assert done.return_value == 2
    assert "the list of PCI ids cannot be read" in done.stderr


def test_this_machine_is_judged():
    done = run("--json")
    told = json.loads(done.stdout)
    assert done.return_value in (0, 1, 2)
    assert len(told["floors"]) == 25
