"""The main job, from a fresh clone to an answered request: `make demo`.

Starts the platform, trains a real model and seals its checkpoint, then only watches: the platform
itself finds, copies, registers and deploys it. A second run finds everything done.
"""

import json
import os
import subprocess
import sys
import time
import warnings
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.panel import Panel
from rich.status import Status

from platform_assets.lineage.ledger import Fact, Ledger
from platform_assets.spec.applied import AppliedEstate, read_applied, state_dir

HERE = Path(__file__).resolve().parent
AI_HOW = Path(sys.executable).parent / "ai-how"
MODEL, RUN, ENDPOINT = "digits", "demo", "digits"
DEADLINE_S = 300
# What becomes durable, in order: kind of fact, and what it means.
STEPS = (
    ("checkpoint/1", "checkpoint found and judged"),
    ("copy/1", "copied to the object store"),
    ("version/1", "registered in MLflow"),
    ("deployment/1", "deployed on the model server"),
)
console = Console(highlight=False, soft_wrap=True)


def train(estate: AppliedEstate) -> None:
    """Train and seal the checkpoint, with MLflow's login in the environment of the training."""
    login = ConfigParser()
    login.read(estate.secrets / "mlflow-credentials.ini")
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": estate.addresses.mlflow_url,
        "MLFLOW_TRACKING_USERNAME": login["mlflow"]["mlflow_tracking_username"],
        "MLFLOW_TRACKING_PASSWORD": login["mlflow"]["mlflow_tracking_password"],
    }
    root = str(estate.checkpoint_root)
    command = [sys.executable, str(HERE / "train.py"), "--checkpoints", root]
    subprocess.run(
        [*command, "--model", MODEL, "--run", RUN, "--seed", "7"],
        env=environment,
        check=True,
        timeout=DEADLINE_S,
    )


def fact_of(ledger: Ledger, kind: str) -> Fact | None:
    """Return the newest fact of `kind` about the demo's checkpoint, if there is one."""
    prefix = f"{MODEL}.{RUN}."
    facts = [
        fact
        for fact in ledger.facts(kind=kind)
        if fact.subject.startswith(prefix)
        or str(fact.body.get("checkpoint", "")).startswith(prefix)
    ]
    return facts[-1] if facts else None


def watch(ledger: Ledger, status: Status) -> None:
    """Wait until the platform has carried the checkpoint to its endpoint, telling each step."""
    deadline = time.monotonic() + DEADLINE_S
    for kind, meaning in STEPS:
        status.update(f"waiting: {meaning}")
        while (fact := fact_of(ledger, kind)) is None:
            if time.monotonic() > deadline:
                sys.exit(
                    f"demo: not {meaning} within {DEADLINE_S} s; see `ai-how checkpoint list`, "
                    "`ai-how logs daemon` and the runs in the Dagster UI"
                )
            time.sleep(0.3)
        console.print(f"  [green]✓[/] {meaning}  [dim]{fact.recorded_at}[/]")


def predict(url: str) -> str:
    """Send the example request; return the prediction beside the true label."""
    request: dict[str, Any] = json.loads((HERE / "request.json").read_text(encoding="utf-8"))
    answer = httpx.post(url, json=request, timeout=30).raise_for_status().json()
    predicted = answer["outputs"][0]["data"][0]
    return f"predicted {predicted}, true label {request['id'].removeprefix('true-label-')}"


def main() -> None:
    """Run the demo from the project's folder."""
    warnings.filterwarnings("ignore", message=".* is currently in (beta|preview)")
    from ai_how.build import connections

    subprocess.run([AI_HOW, "up"], check=True, timeout=2 * DEADLINE_S)
    estate = read_applied(state_dir())
    with console.status("training a scikit-learn pipeline on the digits data"):
        train(estate)
    ledger = connections(estate).ledger
    with console.status("waiting for the platform") as status:
        watch(ledger, status)
    url = f"{estate.addresses.model_server_url}/v2/models/{ENDPOINT}/infer"
    prediction = predict(url)
    subprocess.run([AI_HOW, "lineage", "endpoint", ENDPOINT], check=True, timeout=60)
    request_file = os.path.relpath(HERE / "request.json")
    console.print(
        Panel.fit(
            f"Endpoint    {url}\n"
            f"Prediction  {prediction}\n"
            f"Dagster UI  {estate.addresses.dagster_url}\n"
            f"Stop it     {os.path.relpath(AI_HOW)} down",
            title="served",
        )
    )
    console.print(f"curl -s {url} -H 'Content-Type: application/json' -d @{request_file}")


if __name__ == "__main__":
    main()
