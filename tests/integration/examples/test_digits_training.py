"""The digits example trains for real, records its run in MLflow, and leaves a sealed checkpoint."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from platform_assets.models.checkpoint_directory import JudgedCheckpoint, judge_checkpoint

PROJECT = Path(__file__).parents[3]


def _train(root: Path, run: str, **environment: str) -> str:
    done = subprocess.run(
        [
            sys.executable, "examples/digits/train.py", "--checkpoints", str(root),
            "--model", "digits", "--run", run, "--seed", "5", "--c", "0.5",
        ],
        cwd=PROJECT,
        env={k: v for k, v in os.environ.items() if not k.startswith("MLFLOW")} | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def _judge(root: Path, run: str) -> JudgedCheckpoint:
    return judge_checkpoint(root / "digits" / run, root, None, datetime.now(UTC))


def test_training_is_sealed_recorded_and_repeatable(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    tracking = f"sqlite:///{tmp_path}/mlflow.db"
    root = tmp_path / "checkpoints"
    assert "sealed as digits.first." in _train(root, "first", MLFLOW_TRACKING_URI=tracking)
    judged = _judge(root, "first")
    training = judged.marker.training
    assert training.seed == 5
    assert training.metrics is not None
    assert training.metrics["accuracy"] > 0.9
    assert training.datasets is not None
    assert (training.datasets[0].digest or "").startswith("sha256:")
    assert training.mlflow_run_id is not None
    run = MlflowClient(tracking).get_run(training.mlflow_run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["accuracy"] == training.metrics["accuracy"]
    assert run.data.params["C"] == "0.5"

    assert "already trained and sealed" in _train(root, "first")
    assert _judge(root, "first").key == judged.key

    _train(root, "second")
    again = _judge(root, "second").marker.training
    assert again.metrics == training.metrics
    assert again.mlflow_run_id is None


def test_a_training_killed_before_sealing_is_sealed_by_the_next_call(tmp_path: Path) -> None:
    _train(tmp_path, "first")
    (tmp_path / "digits" / "first" / "_COMPLETE.json").unlink()
    (tmp_path / "digits" / ".second.unfinished").mkdir()
    assert "sealed as digits.first." in _train(tmp_path, "first")
    assert _judge(tmp_path, "first").marker.training.seed == 5
