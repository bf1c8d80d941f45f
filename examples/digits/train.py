"""Train a classifier of handwritten digits for real, and leave a sealed checkpoint.

    python examples/digits/train.py --checkpoints ROOT --model digits --run first --seed 1

Parameters and metrics go to MLflow when MLFLOW_TRACKING_URI names a server (its login comes from
MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or from MLflow's credentials file); the model
itself stays a directory: it is delivered from there. Run again: an existing run is left as it is.
Equal arguments give an equal classifier; its bytes differ, for MLflow gives each model an id.
"""

import argparse
import getpass
import hashlib
import json
import logging
import os
import shutil
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from platform_assets.models.seal import MARKER, SealRefused, git_facts, rfc3339, seal

# Left in the directory before it gets its name: a killed run is sealed by the next call.
PROVENANCE = "training_args.json"
TEST_SHARE = 0.25
# Every tenth image is never trained on, whatever the seed: `held_out.py` gives them to the gates.
HELD_OUT_EVERY = 10
MAX_ITERATIONS = 500


def train(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Train, save into `directory` as an MLflow model, and return where it comes from."""
    import sklearn
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, log_loss
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    started = datetime.now(UTC)
    images, labels = load_digits(return_X_y=True)
    seen = [row for row in range(len(labels)) if row % HELD_OUT_EVERY]
    images, labels = images[seen], labels[seen]
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, labels, test_size=TEST_SHARE, random_state=options.seed, stratify=labels
    )
    pipeline = make_pipeline(
        StandardScaler(),
        LogisticRegression(C=options.c, max_iter=MAX_ITERATIONS, random_state=options.seed),
    ).fit(train_images, train_labels)
    parameters = {
        "C": options.c,
        "max_iter": MAX_ITERATIONS,
        "test_share": TEST_SHARE,
        "held_out_every": HELD_OUT_EVERY,
    }
    metrics = {
        "accuracy": float(accuracy_score(test_labels, pipeline.predict(test_images))),
        "log_loss": float(log_loss(test_labels, pipeline.predict_proba(test_images))),
    }
    save(pipeline, train_images, directory)
    ended = datetime.now(UTC)
    data = Path(sklearn.__file__).parent / "datasets" / "data" / "digits.csv.gz"
    training: dict[str, Any] = {
        "started": rfc3339(started),
        "ended": rfc3339(ended),
        "host": socket.gethostname(),
        "user": getpass.getuser(),
        "command": [Path(sys.executable).name, *sys.argv],
        "hyper_parameters": parameters,
        "seed": options.seed,
        "metrics": metrics,
        "datasets": [
            {
                "name": "Optical Recognition of Handwritten Digits, as scikit-learn ships it",
                "digest": "sha256:" + hashlib.sha256(data.read_bytes()).hexdigest(),
                "licence": "CC-BY-4.0",
                "uri": "https://archive.ics.uci.edu/dataset/80",
            }
        ],
    }
    code = git_facts(str(Path(__file__).parent))
    if code:
        training["code"] = code
    if os.environ.get("MLFLOW_TRACKING_URI"):
        training["mlflow_run_id"] = log_to_mlflow(options, training, started, ended)
    return training


def save(pipeline: Any, images: Any, directory: Path) -> None:  # noqa: ANN401 - heavy types
    """Save as skops, which holds no code, with the signature that the server needs."""
    logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)
    import mlflow.sklearn
    from mlflow.models import infer_signature

    mlflow.sklearn.save_model(
        pipeline,
        directory,
        serialization_format="skops",
        signature=infer_signature(images, pipeline.predict(images)),
        pip_requirements=["scikit-learn", "skops"],
    )


def log_to_mlflow(
    options: argparse.Namespace, training: dict[str, Any], started: datetime, ended: datetime
) -> str:
    """Record the run in MLflow, parameters and metrics but no artifact, and return its id."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    client = MlflowClient()
    experiment = client.get_experiment_by_name(options.model)
    identity = experiment.experiment_id if experiment else client.create_experiment(options.model)
    first, last = int(started.timestamp() * 1000), int(ended.timestamp() * 1000)
    run = client.create_run(identity, start_time=first, run_name=options.run)
    parameters = training["hyper_parameters"] | {"seed": options.seed}
    client.log_batch(
        run.info.run_id,
        metrics=[Metric(name, value, last, 0) for name, value in training["metrics"].items()],
        params=[Param(name, str(value)) for name, value in parameters.items()],
    )
    client.set_terminated(run.info.run_id, end_time=last)
    return str(run.info.run_id)


def main() -> int:
    """Train unless the run is there already; seal; say what was done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoints", type=Path, required=True, metavar="ROOT")
    parser.add_argument("--model", default="digits")
    parser.add_argument("--run", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--c", type=float, default=1.0, help="inverse strength of regularisation")
    options = parser.parse_args()
    directory = options.checkpoints.absolute() / options.model / options.run
    if (directory / MARKER).exists():
        sys.stdout.write(f"{directory}: already trained and sealed\n")
        return 0
    if not directory.exists():
        unfinished = directory.with_name(f".{options.run}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        training = train(options, unfinished)
        (unfinished / PROVENANCE).write_text(json.dumps(training, indent=1))
        unfinished.rename(directory)
    try:
        training = json.loads((directory / PROVENANCE).read_text())
        sealed = seal(str(directory), training=training)
    except FileNotFoundError:
        sys.stderr.write(f"{directory}: it is there, but not from this program; choose another\n")
        return 1
    except SealRefused as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    accuracy = training["metrics"]["accuracy"]
    sys.stdout.write(f"{sealed.directory}: accuracy {accuracy:.4f}, sealed as {sealed.key}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
