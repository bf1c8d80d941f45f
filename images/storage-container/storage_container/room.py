"""Whether there is room: memory for buffers, disk for the files, memory for a volume in memory."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from storage_container.errors import NoRoom

MIB = 2**20
SPAN_BYTES = 8 * MIB
MAX_BUFFERS = 10
MAX_CONNECTIONS = 8
MIN_BUFFERS = 2
OWN_BYTES = 40 * MIB  # the interpreter, the manifest of some thousand files, threads
_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class Budget:
    """How much memory may be used at a time: so many buffers of `SPAN_BYTES`."""

    buffers: int
    connections: int


def memory_limit() -> int | None:
    """Return the memory limit of this container in bytes, if there is one."""
    for file in _LIMITS:
        try:
            text = file.read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit() and int(text) < 2**60:
            return int(text)
    return None


def budget(limit: int | None) -> Budget:
    """Return what a container with this memory limit can afford; half of it is for the kernel."""
    room = MAX_BUFFERS if limit is None else max(limit - OWN_BYTES, 0) // 2 // SPAN_BYTES
    buffers = min(max(room, MIN_BUFFERS), MAX_BUFFERS)
    return Budget(buffers, min(buffers, MAX_CONNECTIONS))


def check_room(directory: Path, needed: int, limit: int | None) -> None:
    """Check that `needed` more bytes fit below `directory`.

    Raises:
        NoRoom: they do not.
    """
    found = os.statvfs(directory)
    free = found.f_bavail * found.f_frsize
    if found.f_blocks and needed > free:
        message = (
            f"{directory}: the model needs {needed} more bytes, {free} are free; free space on "
            "this node's disk, or enlarge the volume"
        )
        raise NoRoom(message)
    if limit is not None and needed + OWN_BYTES > limit and in_memory(directory):
        message = (
            f"{directory} is a volume in memory: the model needs {needed} bytes of it, the "
            f"memory limit of this container is {limit}; raise the limit, or use a volume on disk"
        )
        raise NoRoom(message)


def in_memory(directory: Path, mounts: Path = Path("/proc/self/mountinfo")) -> bool:
    """Say whether `directory` lies on a file system in memory."""
    best, kind = "", ""
    real = os.path.realpath(directory)
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        mount, _, source = line.partition(" - ")
        place = mount.split(" ")[4].encode().decode("unicode_escape")
        below = place in {"/", real} or real.startswith(place + "/")
        if below and len(place) >= len(best):
            best, kind = place, source.split(" ")[0]
    return kind in {"tmpfs", "ramfs"}


@contextmanager
def told_if_full(directory: Path, needed: int) -> Iterator[None]:
    """Turn a disk that is full, or that cannot be written, into our own error.

    Raises:
        NoRoom: a write below `directory` failed.
    """
    try:
        yield
    except OSError as error:
        why = "free space on this node's disk" if error.errno in _FULL else "look at the volume"
        message = f"{directory}: {needed} bytes are to be written: {error.strerror}; {why}"
        raise NoRoom(message) from error
