"""Where the time goes from sealing a checkpoint to the first answer of the new version.

Needs a running platform (`ai-how up`; AI_HOW_STATE names it) whose serving file has the model.
Trains N small variants, seals one after the other, asks the endpoint until the new version answers,
and reads the rest from Dagster's event log:

    .venv/bin/python -m benchmarks.checkpoint_to_endpoint --rounds 5
"""

import argparse
import hashlib
import statistics
import sys
import time
from datetime import UTC, datetime

import dagster as dg
from rich.console import Console
from rich.table import Table

from platform_assets import keys
from platform_assets.lineage import ids
from platform_assets.models.seal import seal
from platform_assets.serving.smoke_request import smoke_request
from platform_assets.spec.applied import AppliedEstate, read_applied, state_dir
from platform_assets.spec.serving import read_serving
from resources.model_server import ModelNotFound, ModelServer
from tests.sample_checkpoints import mlflow_checkpoint

DEADLINE_S = 180.0
AIM_TOTAL_S, AIM_START_S = 15.0, 2.5
POLL_S = 0.05
RUN_EVENTS = {
    dg.DagsterEventType.RUN_STARTING: "starting",
    dg.DagsterEventType.RUN_START: "start",
    dg.DagsterEventType.RUN_SUCCESS: "success",
}
UNAVOIDABLE = ("wait for a tick", "request to first step", "load the model")


def first_answer(server: ModelServer, endpoint: str, key: str) -> tuple[float, float]:
    """Return when the server tells of checkpoint `key`, and when its first answer was there."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            metadata = server.metadata(endpoint)
        except ModelNotFound:
            metadata = {}
        if (metadata.get("parameters") or {}).get(ids.CHECKPOINT) == key:
            told = time.time()
            request = smoke_request(metadata)
            if request is None:
                sys.exit(f"endpoint {endpoint}: its inputs do not tell how to ask")
            server.infer(endpoint, request)
            return told, time.time()
        time.sleep(POLL_S)
    sys.exit(f"endpoint {endpoint} did not answer with {key} within {DEADLINE_S:.0f} s")


def finished_run(instance: dg.DagsterInstance, key: str) -> dg.RunRecord:
    """Return the record of the successful run that delivered `key`."""
    tags = {keys.CHECKPOINT_TAG: key}
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        for record in instance.get_run_records(dg.RunsFilter(tags=tags)):
            if record.dagster_run.status is dg.DagsterRunStatus.SUCCESS:
                return record
            if record.dagster_run.is_finished:
                sys.exit(f"run {record.dagster_run.run_id} ended {record.dagster_run.status}")
        time.sleep(POLL_S)
    sys.exit(f"no run delivered {key} within {DEADLINE_S:.0f} s")


def log_of(instance: dg.DagsterInstance, run_id: str) -> tuple[dict[str, float], dict[str, float]]:
    """Return the times of what happened in a run, and the seconds that the endpoint step told."""
    at: dict[str, float] = {}
    told: dict[str, float] = {}
    for entry in instance.all_logs(run_id):
        event = entry.dagster_event
        if event is None:
            continue
        if event.event_type in RUN_EVENTS:
            at[RUN_EVENTS[event.event_type]] = entry.timestamp
        elif event.event_type in (dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_SUCCESS):
            at[f"{event.step_key} {event.event_type.value}"] = entry.timestamp
        elif event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
            metadata = event.step_materialization_data.materialization.metadata
            told |= {
                name: float(metadata[name].value)  # type: ignore[arg-type]
                for name in ("candidate_seconds", "swap_seconds", "fetch_seconds")
                if name in metadata
            }
    return at, told


def one_round(
    applied: AppliedEstate, instance: dg.DagsterInstance, model: str, endpoint: str, number: int
) -> dict[str, float]:
    """Seal one variant and return the seconds of every part, in order."""
    run = f"bench-{int(time.time())}-{number}"
    seed = int(time.time()) % 100_000 + number
    directory = mlflow_checkpoint(applied.checkpoint_root, model, run, seed=seed, seal=False)
    begun = time.time()
    seal(str(directory))
    sealed = time.time()
    digest = hashlib.sha256((directory / "_COMPLETE.json").read_bytes()).hexdigest()
    key = f"{model}.{run}.{digest[:12]}"
    told_at, answered = first_answer(ModelServer(applied.addresses.model_server_url), endpoint, key)
    record = finished_run(instance, key)
    at, told = log_of(instance, record.dagster_run.run_id)
    created = record.create_timestamp
    requested = (created if created.tzinfo else created.replace(tzinfo=UTC)).timestamp()
    steps = ["models__published_copy", "models__registered_version", "serving__endpoint"]
    begins = [at[f"{step} STEP_START"] for step in steps]
    ends = [at[f"{step} STEP_SUCCESS"] for step in steps]
    return {
        "seal": sealed - begun,
        "wait for a tick": requested - sealed,
        "  queue": at["starting"] - requested,
        "  process, imports": at["start"] - at["starting"],
        "  run start to first step": begins[0] - at["start"],
        "request to first step": begins[0] - requested,
        "copy": ends[0] - begins[0],
        "register": ends[1] - ends[0],
        "endpoint, until it tells the new version": told_at - ends[1],
        "  fetch and verify": told.get("fetch_seconds", 0.0),
        "  try the candidate": told.get("candidate_seconds", 0.0),
        "load the model": told.get("swap_seconds", 0.0),
        "first answer": answered - told_at,
        "seal to first answer": answered - sealed,
    }


def shown(rounds: list[dict[str, float]]) -> Table:
    """Return the table of medians and extremes."""
    table = Table(title=f"From seal to first answer, {len(rounds)} rounds, seconds")
    for column in ("part", "median", "least", "most"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for part in rounds[0]:
        values = [one[part] for one in rounds]
        numbers = (statistics.median(values), min(values), max(values))
        table.add_row(part, *(f"{number:.2f}" for number in numbers))
    return table


def main() -> None:
    """Run the rounds and print where the time went."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="digits")
    options = parser.parse_args()
    applied = read_applied(state_dir())
    served = read_serving(applied.serving_file).for_model(options.model)
    if served is None:
        sys.exit(f"{applied.serving_file}: model {options.model} has no endpoint")
    console = Console()
    rounds = []
    with dg.DagsterInstance.from_config(str(applied.state / "dagster")) as instance:
        for number in range(options.rounds):
            rounds.append(one_round(applied, instance, options.model, served.endpoint, number))
            total = rounds[-1]["seal to first answer"]
            console.print(f"{datetime.now(UTC):%H:%M:%SZ} round {number + 1}: {total:.2f} s")
    console.print(shown(rounds))
    unavoidable = statistics.median(sum(one[part] for part in UNAVOIDABLE) for one in rounds)
    total = statistics.median(one["seal to first answer"] for one in rounds)
    start = statistics.median(one["request to first step"] for one in rounds)
    console.print(f"unavoidable ({' + '.join(UNAVOIDABLE)}): {unavoidable:.2f} s of {total:.2f} s")
    console.print(
        f"aims: at most {AIM_TOTAL_S:.0f} s to the first answer: {_verdict(total, AIM_TOTAL_S)}; "
        f"at most {AIM_START_S} s to the first step: {_verdict(start, AIM_START_S)}"
    )


def _verdict(found: float, aim: float) -> str:
    return f"{'met' if found <= aim else 'MISSED'} ({found:.2f} s)"


if __name__ == "__main__":
    main()
