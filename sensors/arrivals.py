"""The sensor that sees sealed checkpoints and asks for their delivery.

A tick lists `<checkpoint root>/<model>/<run>/`, stats each marker once, judges only what is new or
changed, and asks Dagster for at most `MAX_REQUESTS` runs. What to do about a directory is decided
in `sensors.arrival_decision`, what was done is kept in `sensors.arrival_memory`; the cursor holds
the last tick's id and the directory at which it stopped, however many checkpoints there are.
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

from platform_assets.models.checkpoint_directory import (
    MARKER_NAME,
    CheckpointRefused,
    JudgedCheckpoint,
    checkpoint_directories,
    judge_checkpoint,
)
from platform_assets.models.trained_checkpoint import checkpoint_observation
from platform_assets.partitions import CHECKPOINTS
from platform_assets.serving.delivery_job import deliver_checkpoint, delivery_request
from platform_assets.spec.applied import AppliedEstate
from platform_assets.spec.serving import ServedModel, ServingConfig, ServingRefused, read_serving
from sensors.arrival_decision import (
    Remembered,
    Step,
    in_turn,
    is_news,
    is_repeat,
    marker_identity,
    step_for,
    vanished,
)
from sensors.arrival_memory import ArrivalMemory
from sensors.readiness import part_that_is_down

MAX_REQUESTS = 25
BUDGET_S = 15.0
# A refused checkpoint is looked at again this often, in silence unless it is taken then.
REFUSED_AGAIN_S = 60.0


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


@dataclass(frozen=True)
class World:
    """What a tick judges by: where checkpoints lie, what is served, what earlier ticks found."""

    root: Path
    serving: ServingConfig
    remembered: dict[str, Remembered]
    deadline: float

    def served(self, name: str) -> ServedModel | None:
        """Return the entry of the model that directory `name` belongs to."""
        return self.serving.models.get(name.partition("/")[0])

    def is_over(self) -> bool:
        """Tell whether the tick has used up its time."""
        return time.monotonic() > self.deadline


@dataclass
class Sweep:
    """What one tick saw and found out."""

    to_judge: list[tuple[str, str]] = field(default_factory=list)
    taken: list[JudgedCheckpoint] = field(default_factory=list)
    rows: list[tuple[str, Remembered, str | None]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    waiting: int = 0
    stopped_at: str = ""


def listed_directories(root: Path) -> list[str]:
    """Return `<model>/<run>` of every directory; of a model that cannot be listed, its name.

    Raises:
        OSError: the root itself cannot be listed.
    """
    prefix = len(str(root)) + 1
    return [str(directory)[prefix:] for directory in checkpoint_directories(root)]


def observed_marker(directory: str) -> str | None:
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


def look(world: World, names: Iterable[str]) -> Sweep:
    """Stat the markers of `names` in turn while there is time; note which are to be judged."""
    sweep = Sweep()
    now = time.time()
    by_model = {model: _rules(served) for model, served in world.serving.models.items()}
    not_served = _rules(None)
    for name in names:
        if world.is_over():
            return sweep
        rules = by_model.get(name.partition("/")[0], not_served)
        marker = observed_marker(f"{world.root}/{name}")
        step = step_for(marker, world.remembered.get(name), rules, now)
        if step is Step.JUDGE and marker is not None:
            sweep.to_judge.append((name, marker))
        sweep.waiting += step is Step.WAIT
        sweep.stopped_at = name
    sweep.stopped_at = ""
    return sweep


def judge(world: World, sweep: Sweep, tick: str) -> None:
    """Judge what the sweep noted, in turn, while there is time and room for requests."""
    previous = ""
    for name, marker in sweep.to_judge:
        if len(sweep.taken) >= MAX_REQUESTS or world.is_over():
            sweep.stopped_at = previous
            return
        previous = name
        remembered = world.remembered.get(name)
        served = world.served(name)
        rules = _rules(served)
        try:
            found = judge_checkpoint(world.root / name, world.root, served, datetime.now(UTC))
        except (CheckpointRefused, OSError) as refusal:
            if is_news(marker, rules, remembered):
                sweep.refused.append((name, str(refusal)))
            row = Remembered(marker, rules, None, str(refusal), time.time() + REFUSED_AGAIN_S)
            sweep.rows.append((name, row, None))
            continue
        row = Remembered(marker, rules, found.key, None)
        if is_repeat(found.key, remembered):
            sweep.rows.append((name, row, None))
        else:
            sweep.taken.append(found)
            sweep.rows.append((name, row, tick))


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
        asset_events=[checkpoint_observation(c) for c in new],
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
        names = listed_directories(root)
        serving = read_serving(estate.serving_file)
    except OSError as error:
        return dg.SkipReason(f"the checkpoint root {root} cannot be listed: {error}")
    except ServingRefused as refusal:
        return dg.SkipReason(str(refusal))
    cursor = Cursor.parsed(context.cursor)
    memory = ArrivalMemory(estate.state / "sensors" / "arrivals.sqlite")
    world = World(root, serving, memory.recall(cursor.tick), deadline)
    sweep = look(world, in_turn(names, cursor.after))
    down = part_that_is_down(estate.addresses) if sweep.to_judge else None
    if down is not None:
        return dg.SkipReason(f"{len(sweep.to_judge)} directories wait to be judged: {down}")
    tick = f"{time.time_ns():x}"
    judge(world, sweep, tick)
    memory.remember(sweep.rows)
    memory.forget(vanished(world.remembered, names))
    for name, reason in sweep.refused:
        context.log.warning("%s is not taken: %s", ascii(name)[1:-1], reason)
    return result(sweep, context.instance, serving, Cursor(tick, sweep.stopped_at))
