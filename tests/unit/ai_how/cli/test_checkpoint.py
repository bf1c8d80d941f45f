"""`ai-how checkpoint`: what a user sees."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ai_how.cli.checkpoint import app
from platform_assets.spec.applied import write_applied
from tests.applied_estates import applied_estate
from tests.sample_checkpoints import huggingface_checkpoint


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    state, root = tmp_path / "state", tmp_path / "checkpoints"
    state.mkdir()
    root.mkdir()
    serving = tmp_path / "serving.yaml"
    serving.write_text("models:\n  tiny: {endpoint: tiny, promotion: automatic}\n")
    write_applied(applied_estate(state, checkpoint_root=root, serving_file=serving))
    monkeypatch.setenv("AI_HOW_STATE", str(state))
    return root


def _run(*arguments: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == status, result.output
    return result.output


def test_every_directory_is_listed_with_its_state_and_reason(root: Path) -> None:
    huggingface_checkpoint(root, "tiny", "good")
    huggingface_checkpoint(root, "tiny", "running", seal=False)
    (huggingface_checkpoint(root, "tiny", "bad") / "extra").touch()
    (root / ("M" * 40) / "first\x1b").mkdir(parents=True)
    rows = {row["run"]: row for row in json.loads(_run("list", "--json"))}
    assert {run: row["state"] for run, row in rows.items()} == {
        "good": "taken",
        "running": "not sealed",
        "bad": "refused",
        "first\\x1b": "refused",
    }
    assert rows["good"]["key"].startswith("tiny.good.")
    assert rows["good"]["files"] == 7
    assert "found also extra; remove them" in rows["bad"]["reason"]
    shown = _run("list")
    assert all(len(line) <= 100 for line in shown.splitlines())
    assert "\x1b" not in shown
    flat = " ".join(shown.split())
    assert "tiny/bad refused" in flat
    assert "tiny/running not sealed" in flat
    assert "found also extra; remove them, or seal again" in flat


def test_the_longest_names_fit(root: Path) -> None:
    huggingface_checkpoint(root, "m" * 24, "r" * 24)
    shown = _run("list")
    assert all(len(line) <= 100 for line in shown.splitlines())
    assert "taken" in shown


def test_an_empty_root_is_said(root: Path) -> None:
    assert "No checkpoint under" in _run("list")
    assert json.loads(_run("list", "--json")) == []


def test_a_root_that_is_gone_is_no_empty_list(root: Path) -> None:
    root.rmdir()
    result = CliRunner().invoke(app, ["list"])
    assert "the checkpoint root cannot be listed" in str(result.exception)


def test_seal_takes_the_options_of_the_program_for_compute_nodes(root: Path) -> None:
    directory = huggingface_checkpoint(root, "tiny", "first", seal=False)
    assert "sealed tiny.first." in _run("seal", str(directory), "--seed", "3")
    assert "already sealed, unchanged" in _run("seal", str(directory))
    assert "--provenance FILE" in _run("seal", "--help")
    _run("seal", str(root / "nothing"), status=1)
    _run("seal", str(directory), "--colour", status=64)
    assert json.loads(_run("list", "--json"))[0]["state"] == "taken"


def test_a_model_directory_that_cannot_be_listed_is_shown(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = root / "tiny"
    model.mkdir(mode=0o000)
    rows = json.loads(_run("list", "--json"))
    model.chmod(0o700)
    # Root can list everything; nobody else can list this one.
    if os.geteuid() == 0:
        assert rows == []
    else:
        assert "the directory cannot be listed; let our user read it" in rows[0]["reason"]
