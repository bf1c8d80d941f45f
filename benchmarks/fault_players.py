"""What is done to the platform: deliveries dropped, and each kind of fault carried out for real."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import psutil

from ai_how.runs import DagsterUnreachable, RunRefused
from benchmarks.fault_schedule import BURST, Fault
from benchmarks.fault_world import LARGE, MODEL, Sealed, World, flip, flip_marker, until
from platform_assets.keys import ATTEMPT_TAG, CHECKPOINT_TAG, PROCESS_TAG
from platform_assets.serving.delivery_job import JOB_NAME
from resources.supervisor import SupervisorError
from tests.integration.faults import faulty_network
from tests.integration.faults.faulty_network import any_request, downloads, uploads
from tests.integration.faults.outside import key_of

RUN_APPEARS_S = 45.0
REFUSED_S = 240.0
NETWORK = {
    "refuse": faulty_network.Fault("refuse"),
    "500": faulty_network.Fault("status", any_request, status=500, code="InternalError"),
    "503": faulty_network.Fault("status", any_request, status=503, code="SlowDown"),
    "slow": faulty_network.Fault("slow", any_request, bytes_per_s=1_000_000),
    "drop": faulty_network.Fault("drop", uploads),
    "flip-sent": faulty_network.Fault("flip-sent", uploads),
    "flip-received": faulty_network.Fault("flip-received", downloads, times=1),
    "bad-digest": faulty_network.Fault("status", uploads, status=400, code="BadDigest"),
}


def deliver(world: World, kind: str) -> None:
    """Drop one delivery of `kind`."""
    if kind == "burst":
        made = [world.made() for _ in range(BURST)]
        placed = [(number, world.place(directory)) for number, directory in made]
        for number, directory in placed:
            world.seal(number, directory)
    elif kind == "equal" and world.good():
        world.again(world.good()[-1])
    else:
        number, directory = world.made(padding=LARGE if kind == "large" else 0)
        world.seal(number, world.place(directory))


def play(world: World, fault: Fault) -> bool:
    """Carry out one fault; say whether there was anything that it could meet."""
    return _PLAYERS[fault.kind](world, fault)


def _kill(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def _kill_run(world: World, fault: Fault) -> bool:
    """Kill the process of some run, a while after it has named itself."""
    killed: list[bool] = []

    def found() -> bool:
        for run in world.open_runs() or []:
            pid, _, rest = run.tags.get(PROCESS_TAG, "").partition(":")
            if run.status == "STARTED" and rest.endswith(run.run_id[:8]):
                time.sleep(fault.seconds)
                with suppress(psutil.NoSuchProcess):
                    if psutil.Process(int(pid)).environ().get("AI_HOW_STATE"):
                        killed.append(_kill(int(pid)))
                return True
        return False

    until(found, RUN_APPEARS_S, 0.4)
    return any(killed)


def _pid_of(world: World, part: str) -> int | None:
    with suppress(SupervisorError):
        return world.supervisor.states()[part].pid or None
    return None


def _kill_part(world: World, fault: Fault) -> bool:
    pid = _pid_of(world, fault.target)
    return pid is not None and _kill(pid)


def _stop_part(world: World, fault: Fault) -> bool:
    """Suspend a part with all its processes: it accepts connections and answers nothing."""
    pid = _pid_of(world, fault.target)
    if pid is None:
        return False
    try:
        one = psutil.Process(pid)
        family = [one, *one.children(recursive=True)]
    except psutil.NoSuchProcess:
        return False
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.suspend()
    time.sleep(fault.seconds)
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.resume()
    return True


def _network(world: World, fault: Fault) -> bool:
    if world.network is None:
        return False
    told = NETWORK[fault.target]
    in_force = faulty_network.Fault(
        told.kind, told.which, told.times, told.status, told.code, told.bytes_per_s
    )
    with world.network.failing(in_force):
        time.sleep(fault.seconds)
    return True


def _twice(world: World, _fault: Fault) -> bool:
    """Report the last checkpoint again, two runs at once, as two persons in the UI would."""
    one = world.good()[-1]
    tags = {CHECKPOINT_TAG: one.key, ATTEMPT_TAG: "1", "dagster/partition": one.key}
    launched: list[str] = []

    def launch() -> None:
        with suppress(DagsterUnreachable, RunRefused):
            launched.append(world.dagster.launch(JOB_NAME, tags))

    def known() -> bool:
        with suppress(DagsterUnreachable):
            return bool(world.runs_of(one.key))
        return False

    if not until(known, RUN_APPEARS_S):
        return False
    threads = [threading.Thread(target=launch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return bool(launched)


def _two_daemons(world: World, fault: Fault) -> bool:
    """Start a second daemon beside the first, for a while."""
    launch = world.installation.layout.launches / "daemon.json"
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    with (world.installation.home / "second-daemon.log").open("ab") as log:
        second = subprocess.Popen(
            [sys.executable, "-m", "ai_how.embedded.launch", str(launch)],
            env=environment,
            stdout=log,
            stderr=log,
        )
        time.sleep(fault.seconds)
        second.terminate()
        try:
            second.wait(30)
        except subprocess.TimeoutExpired:
            second.kill()
            second.wait(30)
    return True


def _power_cut(world: World, _fault: Fault) -> bool:
    world.cut_power()
    world.up()
    return True


def _flip_source(world: World, _fault: Fault) -> bool:
    """Flip a bit of a weight after sealing; size and times are as the marker says."""
    number, directory = world.made(padding=LARGE)
    one = world.spoil(world.seal(number, world.place(directory)))
    flip(one.directory / "README.md")
    return True


def _flip_marker(world: World, _fault: Fault) -> bool:
    number, directory = world.made()
    one = world.spoil(world.seal(number, world.place(directory)))
    flip_marker(one.directory)
    return True


def _flip_stored(world: World, _fault: Fault) -> bool:
    """Flip a bit in the store, in a copy that no disk holds any more; ask for it once more."""
    served = world.estate.served / MODEL
    # An earlier one, delivered for sure, and not on this machine's disk.
    retired = [
        one
        for one in world.good()[:-4]
        if served.is_dir() and not (served / one.digest).exists()
        if one.digest in world.committed_before
    ]
    if not retired:
        return False
    old = retired[-1]
    key = f"models/{MODEL}/sha256-{old.digest}/model.skops"
    store = world.outside.store
    whole = store.get(key, 2**30)
    store.put(key, whole[:-1] + bytes([whole[-1] ^ 1]))
    world.stored[key] = whole
    # In peace: had a later checkpoint come, nobody would read these bytes, nor serve them.
    refused_with_reason(world, world.again(old, good=False))
    return True


def _flip_fetched(world: World, _fault: Fault) -> bool:
    """Flip a bit of the copy that is served, and kill the server: it must not load that again."""
    digest = world.outside.served_digest(MODEL)
    file = world.estate.served / MODEL / str(digest) / "model.skops"
    if not file.is_file():
        return False
    flip(file)
    pid = _pid_of(world, "model-server")
    return pid is not None and _kill(pid)


_PLAYERS: dict[str, Callable[[World, Fault], bool]] = {
    "kill-run": _kill_run,
    "kill-part": _kill_part,
    "stop-part": _stop_part,
    "network": _network,
    "twice": _twice,
    "two-daemons": _two_daemons,
    "power-cut": _power_cut,
    "flip-source": _flip_source,
    "flip-marker": _flip_marker,
    "flip-stored": _flip_stored,
    "flip-fetched": _flip_fetched,
}


def refused_with_reason(world: World, one: Sealed) -> str | None:
    """Wait until a spoilt checkpoint shows why it is not delivered; None: it never said so."""
    reasons: list[str] = []

    def told() -> bool:
        with suppress(DagsterUnreachable):
            # A flipped marker is another checkpoint's, as far as keys tell.
            for key in {one.key, key_of(one.directory)}:
                for run in world.runs_of(key):
                    if run.status == "FAILURE":
                        reasons.extend(world.dagster.failures(run.run_id))
        if not any(_names_a_file(reason) for reason in reasons):
            reasons.extend(_listed_reason(world, one))
        return any(_names_a_file(reason) for reason in reasons)

    until(told, REFUSED_S, 2.0)
    return next((reason for reason in reasons if _names_a_file(reason)), None)


def _names_a_file(reason: str) -> bool:
    return any(name in reason for name in ("README.md", "_COMPLETE.json", "model.skops", "MLmodel",
                                           "was sealed anew", "SHA-256"))  # fmt: skip


def _listed_reason(world: World, one: Sealed) -> list[str]:
    """Judge the directory as `ai-how checkpoint list` does."""
    from platform_assets.models.checkpoint_directory import CheckpointRefused, judge_checkpoint

    try:
        judge_checkpoint(one.directory, world.estate.checkpoint_root, None, datetime.now(UTC))
    except CheckpointRefused as refusal:
        return [str(refusal)]
    return []
