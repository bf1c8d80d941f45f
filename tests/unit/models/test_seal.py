"""Sealing: what the marker holds, what cannot be sealed, and that it runs on a compute node."""

import hashlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from platform_assets.models import seal as sealing
from platform_assets.models.seal import SealRefused, is_serving, seal, slurm_facts
from platform_assets.spec.checkpoint import parse_marker

PROGRAM = Path(sealing.__file__)


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    directory = tmp_path / "digits" / "first"
    (directory / "logs").mkdir(parents=True)
    (directory / "MLmodel").write_text("flavors: {}\n")
    (directory / "logs" / "rank_0000.log").write_text("trained\n")
    return directory


def _run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    # -I and -S: neither our packages nor any other can be seen, as on a compute node.
    return subprocess.run(
        [sys.executable, "-I", "-S", str(PROGRAM), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=cwd,
    )


def test_the_marker_names_every_file_with_its_digest(trained: Path) -> None:
    sealed = seal(str(trained), training={"seed": 7}, now=datetime(2026, 11, 21, 13, tzinfo=UTC))
    data = (trained / "_COMPLETE.json").read_bytes()
    marker = parse_marker(data, "marker")
    assert (marker.model, marker.run, marker.format) == ("digits", "first", "mlflow")
    assert {file.path: file.serving for file in marker.files} == {
        "MLmodel": True,
        "logs/rank_0000.log": False,
    }
    assert marker.files[0].sha256 == hashlib.sha256(b"flavors: {}\n").hexdigest()
    assert marker.training.as_json() == {"seed": 7}
    assert b'"sealed_at": "2026-11-21T13:00:00.000000Z"' in data
    assert sealed.key == f"digits.first.{hashlib.sha256(data).hexdigest()[:12]}"
    assert sorted(entry.name for entry in trained.iterdir()) == [
        "MLmodel",
        "_COMPLETE.json",
        "logs",
    ]


def test_sealing_again_what_did_not_change_leaves_the_marker_as_it_is(trained: Path) -> None:
    first = seal(str(trained), training={"seed": 7})
    again = seal(str(trained))
    assert (again.key, again.changed) == (first.key, False)


def test_a_file_that_was_only_touched_keeps_its_checkpoint(trained: Path) -> None:
    first = seal(str(trained))
    later = (trained / "_COMPLETE.json").stat().st_mtime_ns + 1
    os.utime(trained / "MLmodel", ns=(later, later))
    again = seal(str(trained))
    assert again.key == first.key
    assert (trained / "_COMPLETE.json").stat().st_mtime_ns >= later


@pytest.mark.parametrize("change", ["file", "provenance", "broken marker"])
def test_sealing_anew_after_a_change_is_a_new_checkpoint(trained: Path, change: str) -> None:
    first = seal(str(trained), training={"seed": 7, "job_id": "1"})
    if change == "file":
        (trained / "MLmodel").write_text("flavors: {a: b}\n")
    elif change == "broken marker":
        (trained / "_COMPLETE.json").write_text("{")
    again = seal(str(trained), training={"seed": 8} if change == "provenance" else None)
    assert again.changed
    assert again.key != first.key
    # What was known stays known only while the files are the same.
    kept = {"seed": 8, "job_id": "1"} if change == "provenance" else {}
    assert again.marker["training"] == kept


def test_a_killed_seal_leaves_nothing_that_stops_the_next(trained: Path) -> None:
    (trained / "_COMPLETE.json.tmp").write_text("half")
    seal(str(trained))
    assert not (trained / "_COMPLETE.json.tmp").exists()


def test_what_cannot_be_a_checkpoint_is_not_sealed(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)

    def refused(told: str) -> None:
        with pytest.raises(SealRefused) as refusal:
            seal(str(trained))
        assert told in str(refusal.value)
        assert not (trained / "_COMPLETE.json").exists()

    Path("link").symlink_to("MLmodel")
    refused("link is a symlink; a checkpoint holds only files and directories")
    Path("link").unlink()
    os.mkfifo("pipe")
    refused("pipe is neither file nor directory")
    Path("pipe").unlink()
    Path("a\nb").touch()
    refused("path 'a\\nb' is refused: it holds a control character; rename it")
    Path("a\nb").unlink()
    Path("MLmodel").unlink()
    refused("found neither; name it with --format")


@pytest.mark.parametrize("place", ["Digits/first", "digits/run_1", "digits/" + "x" * 25])
def test_names_outside_the_rule_are_refused(tmp_path: Path, place: str) -> None:
    directory = tmp_path / place
    directory.mkdir(parents=True)
    (directory / "MLmodel").touch()
    with pytest.raises(SealRefused, match=r"expected <checkpoint root>/<model>/<run>.*rename it"):
        seal(str(directory))


def test_an_empty_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "digits" / "first").mkdir(parents=True)
    with pytest.raises(SealRefused, match="holds no file to seal"):
        seal(str(tmp_path / "digits" / "first"))


def test_a_file_that_changes_meanwhile_is_refused(trained: Path) -> None:
    seen = sealing._files(str(trained))
    with (trained / "MLmodel").open("a") as file:
        file.write("more\n")
    with pytest.raises(SealRefused, match="MLmodel changed while it was hashed"):
        sealing._digest(str(trained), "MLmodel", seen["MLmodel"])


@pytest.mark.parametrize(
    ("training", "told"),
    [
        ({"weather": "fine"}, "unknown key 'weather'; expected started, ended"),
        ({"nodes": "n1"}, "nodes: expected list, found 'n1'"),
        ({"started": "yesterday"}, "started: expected a time of RFC 3339 with its offset"),
        ({"ended": "2026-01-31T12:00:00"}, "ended: expected a time of RFC 3339"),
        ({"metrics": {"loss": float("nan")}}, "metric loss: expected a number"),
        ({"metrics": {"loss": "low"}}, "metric loss: expected a number"),
        ({"hyper_parameters": {"lr": float("inf")}}, "expected values of JSON"),
        ({"hyper_parameters": {"a": {1, 2}}}, "expected values of JSON"),
    ],
)
def test_provenance_outside_the_schema_is_refused(
    trained: Path, training: dict[str, object], told: str
) -> None:
    with pytest.raises(SealRefused) as refused:
        seal(str(trained), training=training)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("path", "serving"),
    [
        ("MLmodel", True),
        ("model.safetensors", True),
        ("tokenizer/vocab.txt", True),
        ("training_args.bin", False),
        ("trainer_state.json", False),
        ("optimizer.pt", False),
        ("optimizer_rank_3.pt", False),
        ("rng_state_0.pth", False),
        ("rng_state.pt", False),
        ("scheduler.pt", False),
        ("metrics_rank0000.jsonl", False),
        ("logs/rank_0000.log", False),
        ("telemetry/world_size.json", False),
        ("checkpoint-500/model.safetensors", False),
        ("adapter/adapter_model.safetensors", False),
        (".git/config", False),
        (".gitattributes", False),
        ("modeling_evil.py", True),  # listed as served, so that judging refuses it
        ("pytorch_model.bin", True),
    ],
)
def test_the_serving_rule(path: str, serving: bool) -> None:
    assert is_serving(path) is serving


def test_slurm_tells_where_the_job_ran() -> None:
    environment = {
        "SLURM_JOB_ID": "4711",
        "SLURM_JOB_USER": "ada",
        "SLURM_JOB_NODELIST": "n[01-03,7],gpu1",
        "SLURM_JOB_GPUS": "0,1",
        "SLURM_JOB_START_TIME": "1795266000",
        "SLURM_JOB_END_TIME": "1795269600",  # the limit, not the end: not recorded
    }
    assert slurm_facts(environment) == {
        "job_id": "4711",
        "user": "ada",
        "nodes": ["n01", "n02", "n03", "n7", "gpu1"],
        "gpus": ["0", "1"],
        "started": "2026-11-21T13:00:00.000000Z",
    }
    assert slurm_facts({"CUDA_VISIBLE_DEVICES": "0", "SLURM_JOB_USER": "ada"}) == {}


def test_it_runs_alone_as_on_a_compute_node(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "more.json").write_text('{"user": "ada", "seed": 1}')
    (tmp_path / "config.yaml").write_text("lr: 1\n")
    done = _run(
        str(trained), "--json", "--provenance", str(tmp_path / "more.json"), "--seed", "9",
        "--metric", "accuracy=0.97", "--parameter", "lr=0.1", "--parameter", "name=adam",
        "--dataset", "name=digits,licence=CC-BY-4.0", "--started", "2026-11-21T12:00:00Z",
        "--configuration", str(tmp_path / "config.yaml"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    marker = parse_marker((trained / "_COMPLETE.json").read_bytes(), "marker")
    training = marker.training.as_json()
    assert training.pop("configuration_digest").startswith("sha256:")
    assert training == {
        "user": "ada", "seed": 9, "metrics": {"accuracy": 0.97},
        "hyper_parameters": {"lr": 0.1, "name": "adam"},
        "datasets": [{"name": "digits", "licence": "CC-BY-4.0"}],
        "started": "2026-11-21T12:00:00Z",
    }  # fmt: skip
    assert said["changed"] is True
    again = _run(str(trained))
    assert again.stdout.startswith(f"already sealed, unchanged {said['key']}")


def test_code_and_whether_it_was_changed_come_from_git(trained: Path, tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    git = ["git", "-C", str(code), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q"], check=True, timeout=60)
    assert _run(str(trained), "--code", str(code)).returncode == 0
    assert "code" not in json.loads((trained / "_COMPLETE.json").read_bytes())["training"]
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True, timeout=60)
    (code / "new").touch()
    assert _run(str(trained), "--code", str(code)).returncode == 0
    found = json.loads((trained / "_COMPLETE.json").read_bytes())["training"]["code"]
    assert found["dirty"] is True
    assert len(found["commit"]) == 40


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["--colour", "red"], 64, "usage"),
        ([], 64, "DIR"),
        (["{missing}"], 1, "expected a directory"),
        (["{trained}", "--metric", "loss=low"], 1, "metric: expected a number, found 'low'"),
        (["{trained}", "--provenance", "/nowhere.json"], 2, "/nowhere.json: No such file"),
    ],
)
def test_the_exit_code_says_what_happened(
    trained: Path, arguments: list[str], status: int, told: str
) -> None:
    places = {"missing": trained.parent / "second", "trained": trained}
    done = _run(*(argument.format(**places) for argument in arguments))
    assert done.returncode == status
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_it_needs_no_more_than_python_3_8() -> None:
    vermin = Path(sys.executable).with_name("vermin")
    done = subprocess.run(
        [vermin, "--target=3.8-", "--violations", "--no-tips", "--eval-annotations", PROGRAM],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_it_imports_the_standard_library_alone() -> None:
    imported = {
        line.split()[1].split(".")[0]
        for line in PROGRAM.read_text().splitlines()
        if line.startswith(("import ", "from "))
    }
    assert imported <= sys.stdlib_module_names
