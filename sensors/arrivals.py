"""The sensor that sees sealed checkpoints and asks for their delivery.

A tick lists `<checkpoint root>/<model>/<run>/`, stats each marker once, judges only what is new or
changed, and asks Dagster for at most `MAX_REQUESTS` runs. What to do about a directory is decided in
`sensors.arrival_decision`, what was done is kept in `sensors.arrival_memory`; the cursor holds the
last tick's id and the directory at which it stopped, however many checkpoints there are.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from platform_assets.keys import TRAINED_CHECKPOINT
from platform_assets.models.checkpoint_directory import (
    CheckpointRefused,
    JudgedCheckpoint,
    judge_checkpoint,
)
from platform_assets.partitions import CHECKPOINTS
from platform_assets.serving.delivery_job import deliver_checkpoint, delivery_request
from platform_assets.spec.applied import AppliedEstate
from platform_assets.spec.serving import ServedModel, ServingConfig, ServingRefused, read_serving
from sensors.arrival_decision import (
    Remembered,
    Step,
    in_turn,
    is_repeat,
    marker_identity,
    step_for,
    vanished,
)
from sensors.arrival_memory import ArrivalMemory
from sensors.readiness import part_that_is_down

MARKER_NAME = "_COMPLETE.json"
MAX_REQUESTS = 25
BUDGET_S = 15.0
# A directory that could not be read is looked at again after this long.
_UNREADABLE_AGAIN_S = 60.0


@dataclass(frozen=True)
class Cursor:
    """Where the last committed tick stopped."""

    tick: str | None = None
    after: str = ""

    @classmethod
    def parsed(cls, text: str | None) -> "Cursor":
        """Return the cursor that Dagster kept; none, or a foreign one, is the beginning."""
        try:
            found = json.loads(text or "{}")
            return cls(found["tick"], found["after"])
        except (ValueError, KeyError, TypeError):
            return cls()

    def text(self) -> str:
        """Return what Dagster keeps."""
        return json.dumps({"tick": self.tick, "after": self.after})


@dataclass
class Sweep:
    """What one tick saw and found out."""

    to_judge: list[tuple[str, str]] = field(default_factory=list)
    taken: list[JudgedCheckpoint] = field(default_factory=list)
    rows: list[tuple[str, Remembered, str | None]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    waiting: int = 0
    stopped_at: str = ""


def listed_directories(root: Path) -> tuple[list[str], list[str]]:
    """Return `<model>/<run>` of every directory, and the models that cannot be listed.

    Raises:
        OSError: the root itself cannot be listed.
    """
    names: list[str] = []
    unreadable: list[str] = []
    with os.scandir(root) as models:
        folders = [m for m in models if m.is_dir(follow_symlinks=False)]
    for model in folders:
        try:
            with os.scandir(model) as runs:
                names += [f"{model.name}/{r.name}" for r in runs if r.is_dir(follow_symlinks=False)]
        except OSError:
            unreadable.append(model.name)
    return [name for name in names if name.isprintable()], unreadable


def observed_marker(directory: Path) -> str | None:
    """Return the identity of the marker in `directory` by one stat; None when it has none."""
    try:
        return marker_identity(os.stat(f"{directory}/{MARKER_NAME}", follow_symlinks=False))  # noqa: PTH116 - thousands of them
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return f"unreadable: {error.strerror}"


def _rules(served: ServedModel | None) -> str:
    text = "not served" if served is None else served.model_dump_json()
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _model(name: str) -> str:
    return name.partition("/")[0]


def look(
    root: Path,
    names: Iterable[str],
    remembered: dict[str, Remembered],
    serving: ServingConfig,
    deadline: float,
) -> Sweep:
    """Stat the markers of `names` in turn until `deadline`; note which are to be judged."""
    sweep = Sweep()
    now = time.time()
    rules: dict[str, str] = {}
    for name in names:
        if time.monotonic() > deadline:
            return sweep
        model = _model(name)
        if model not in rules:
            rules[model] = _rules(serving.models.get(model))
        marker = observed_marker(root / name)
        step = step_for(marker, remembered.get(name), rules[model], now)
        if step is Step.JUDGE and marker is not None:
            sweep.to_judge.append((name, marker))
        sweep.waiting += step is Step.WAIT
        sweep.stopped_at = name
    sweep.stopped_at = ""
    return sweep


def judge(
    sweep: Sweep,
    root: Path,
    remembered: dict[str, Remembered],
    serving: ServingConfig,
    tick: str,
    deadline: float,
) -> None:
    """Judge what the sweep noted, in turn, until `MAX_REQUESTS` are taken or time is up."""
    previous = ""
    for name, marker in sweep.to_judge:
        if len(sweep.taken) >= MAX_REQUESTS or time.monotonic() > deadline:
            sweep.stopped_at = previous
            return
        previous = name
        served = serving.models.get(_model(name))
        rules = _rules(served)
        key, reason, again_at = None, None, None
        try:
            checkpoint = judge_checkpoint(root / name, root, served, datetime.now(UTC))
            key = checkpoint.key
        except CheckpointRefused as refusal:
            reason = str(refusal)
        except OSError as error:
            reason = f"it cannot be read: {error}"
            again_at = time.time() + _UNREADABLE_AGAIN_S
        repeated = key is not None and is_repeat(key, remembered.get(name))
        if key is not None and not repeated:
            sweep.taken.append(checkpoint)
        if reason is not None:
            sweep.refused.append((name, reason))
        unconfirmed = key is not None and not repeated
        row = Remembered(marker, rules, key, reason, again_at)
        sweep.rows.append((name, row, tick if unconfirmed else None))


def observation(checkpoint: JudgedCheckpoint) -> dg.AssetObservation:
    """Return what Dagster is told about a checkpoint that it has not seen before."""
    return dg.AssetObservation(
        asset_key=TRAINED_CHECKPOINT,
        partition=checkpoint.key,
        description=f"Sealed by {checkpoint.model}, run {checkpoint.run}.",
        metadata={
            "directory": dg.MetadataValue.path(str(checkpoint.directory)),
            "format": checkpoint.marker.format,
            "sealed_at": str(checkpoint.marker.sealed_at),
            "serving_files": len(checkpoint.manifest.files),
            "serving_bytes": checkpoint.manifest.total_bytes,
            "tree_digest": checkpoint.manifest.tree_digest,
        },
        tags={"dagster/data_version": checkpoint.marker_sha256},
    )


def result(
    sweep: Sweep, instance: dg.DagsterInstance, serving: ServingConfig, cursor: Cursor
) -> dg.SensorResult:
    """Return what Dagster is asked for: partitions, observations of the new, runs for the taken."""
    if not sweep.taken:
        words = f"nothing new; {sweep.waiting} directories have no marker yet"
        return dg.SensorResult(skip_reason=words, cursor=cursor.text())
    taken = sorted(sweep.taken, key=lambda c: (c.marker.sealed_at, c.key))
    # A tick writes its observations before its partitions: a key that exists was observed.
    partitions = CHECKPOINTS.name or ""
    new = [c for c in taken if not instance.has_dynamic_partition(partitions, c.key)]
    requests = []
    for checkpoint in taken:
        served = serving.models.get(checkpoint.model)
        requests.append(delivery_request(checkpoint.key, 1, served.endpoint if served else None))
    return dg.SensorResult(
        run_requests=requests,
        asset_events=[observation(c) for c in new],
        dynamic_partitions_requests=[CHECKPOINTS.build_add_request([c.key for c in new])],
        cursor=cursor.text(),
    )


@dg.sensor(
    job=deliver_checkpoint,
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sees sealed checkpoints under the checkpoint root and asks for their delivery.",
)
def arrivals(
    context: dg.SensorEvaluationContext, estate: dg.ResourceParam[AppliedEstate]
) -> dg.SensorResult | dg.SkipReason:
    """Look at the checkpoint root once."""
    deadline = time.monotonic() + BUDGET_S
    root = estate.checkpoint_root
    try:
        names, unreadable = listed_directories(root)
        serving = read_serving(estate.serving_file)
    except OSError as error:
        return dg.SkipReason(f"the checkpoint root {root} cannot be listed: {error}")
    except ServingRefused as refusal:
        return dg.SkipReason(str(refusal))
    cursor = Cursor.parsed(context.cursor)
    memory = ArrivalMemory(estate.state / "sensors" / "arrivals.sqlite")
    remembered = memory.recall(cursor.tick)
    sweep = look(root, in_turn(names, cursor.after), remembered, serving, deadline)
    down = part_that_is_down(estate.addresses) if sweep.to_judge else None
    if down is not None:
        return dg.SkipReason(f"{len(sweep.to_judge)} checkpoints wait: {down}")
    tick = f"{time.time_ns():x}"
    judge(sweep, root, remembered, serving, tick, deadline)
    memory.remember(sweep.rows)
    memory.forget(n for n in vanished(remembered, names) if _model(n) not in unreadable)
    for name, reason in sweep.refused:
        context.log.warning("%s is not taken: %s", name, reason)
    for model in unreadable:
        context.log.warning("%s cannot be listed; its mode or owner shuts us out", root / model)
    return result(sweep, context.instance, serving, Cursor(tick, sweep.stopped_at))
