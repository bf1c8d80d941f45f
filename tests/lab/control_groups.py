"""The control groups of a lab: one tree of its own name, below which all its processes live.

Whatever the lab starts is born there or inherits it: servers, shims of containers, containers. So
the tree names every process of the lab, also those whose starter is gone, and is how they are
ended. Both versions of control groups are served; version 1 has a root for each controller.
"""

import os
import signal
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

from tests.lab.commands import LabFailed
from tests.lab.place import Place

# Where the lab's own servers live; the kubelet makes `kubepods` beside it.
SERVERS = "servers"
_END_S = 20.0


@cache
def roots() -> tuple[Path, ...]:
    """Return where the trees of control groups are mounted."""
    found = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        # The kubelet asks for its group under every root of version 1, the named ones included.
        # The root of version 2 beside those has no controllers, and nobody asks for it.
        counts = kind == "cgroup"
        if kind == "cgroup2":
            counts = bool(Path(place, "cgroup.controllers").read_text().strip())
        if counts:
            found.append(Path(place))
    if not found:
        message = "/proc/self/mounts: expected control groups with controllers, found none mounted"
        raise LabFailed(message)
    # Processes are counted where their number is limited: one place knows them all.
    return tuple(sorted(found, key=lambda place: (place.name != "pids", place)))


def ensure_groups(place: Place) -> None:
    """Make the lab's tree under every root, with all controllers that there are."""
    for root in roots():
        top = root / place.name
        controllers = root / "cgroup.controllers"
        if controllers.exists():
            wanted = " ".join(f"+{name}" for name in controllers.read_text().split())
            (root / "cgroup.subtree_control").write_text(wanted)
            top.mkdir(exist_ok=True)
            (top / "cgroup.subtree_control").write_text(wanted)
        top.mkdir(exist_ok=True)
    servers_group(place).mkdir(exist_ok=True)


def servers_group(place: Place) -> Path:
    """Return the group that a server of the lab must enter before it starts."""
    return roots()[0] / place.name / SERVERS


def processes_of(place: Place) -> list[int]:
    """Return all living processes of the lab."""
    found: set[int] = set()
    for root in roots():
        for group in _tree(root / place.name):
            with suppress(OSError):  # removed meanwhile
                found.update(map(int, (group / "cgroup.procs").read_text().split()))
    return sorted(found)


def end_processes_of(place: Place, others: list[int]) -> None:
    """Kill every process of the lab and `others`, and wait until none is left.

    Raises:
        LabFailed: some live on.
    """
    deadline = time.monotonic() + _END_S
    seen: set[int] = set()
    while alive := [*processes_of(place), *filter(_lives, others)]:
        if time.monotonic() > deadline:
            message = f"{place.name}: processes {alive} were killed and live on"
            raise LabFailed(message)
        for process in alive:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        seen.update(alive)
        time.sleep(0.02)
    for process in seen:
        # A child of ours would stay until somebody asks how it ended.
        with suppress(ChildProcessError):
            os.waitpid(process, 0)


def remove_groups(place: Place) -> None:
    """Remove the lab's tree under every root; its processes must be gone."""
    for root in roots():
        for group in reversed(_tree(root / place.name)):
            _remove(group)


def _remove(group: Path) -> None:
    deadline = time.monotonic() + _END_S
    while group.exists():
        try:
            group.rmdir()
        except OSError as error:  # the last process is still leaving
            if time.monotonic() > deadline:
                message = f"{group}: cannot be removed: {error}"
                raise LabFailed(message) from error
            time.sleep(0.02)


def _tree(top: Path) -> list[Path]:
    """The group and all below it, outer before inner."""
    return [Path(place) for place, _, _ in os.walk(top)] if top.exists() else []


def _lives(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
