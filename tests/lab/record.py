"""The record of each lab on this machine, and how a lab is removed, however much of it there is.

A record is written before the first thing that it names, and goes last. Nothing here asks a lab's
servers to end in an orderly way: nothing of it is to be kept, and one way for all cases is the one
that works after a kill, too.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil

from tests.lab.commands import LabFailed, run
from tests.lab.control_groups import end_processes_of, remove_groups
from tests.lab.mounts import left_mounts
from tests.lab.network import processes_inside, remove_network, taken_by
from tests.lab.place import LABS, MOST, Place
from tests.lab.processes import Servers


@dataclass(frozen=True)
class Record:
    """Who started which lab where. Without an owner a lab lives until it is taken down."""

    number: int
    directory: str
    owner: int = 0
    owner_started: float = 0.0
    up: bool = False

    @property
    def place(self) -> Place:
        return Place(self.number)

    @property
    def servers(self) -> Servers:
        return Servers(self.place, Path(self.directory) / "logs")

    @property
    def abandoned(self) -> bool:
        """Whether nobody will ever take this lab down: its owner, or all its servers, are gone."""
        if self.owner:
            return not _lives(self.owner, self.owner_started)
        return not self.servers.living()


def records() -> list[Record]:
    """Return the records of all labs of this machine."""
    found = []
    for directory in sorted(LABS.glob("[0-9]*")):
        try:
            found.append(Record(**json.loads((directory / "record.json").read_text())))
        except FileNotFoundError:  # killed before it wrote; the directory is empty
            found.append(Record(int(directory.name), directory="", owner=-1))
    return found


def record_of(directory: Path) -> Record | None:
    """Return the record of the lab that has this directory."""
    wanted = str(directory.resolve())
    return next((record for record in records() if record.directory == wanted), None)


def claim(directory: Path) -> Record:
    """Remove abandoned labs, then take a number whose addresses are free, for this process.

    Raises:
        LabFailed: the directory has a lab already, or no number is free.
    """
    wanted = str(directory.resolve())
    with _one_at_a_time():
        present = records()
        for record in [record for record in present if record.abandoned]:
            remove(record)
        kept = [record for record in present if not record.abandoned]
        for record in kept:
            if record.directory == wanted:
                message = f"{wanted}: has a lab already ({record.place.name}); take it down first"
                raise LabFailed(message)
        used = {record.number for record in kept}
        objection = "all are labs"
        for number in range(MOST):
            if number in used:
                continue
            objection = taken_by(Place(number))
            if not objection:
                return _write(_owned(Record(number, wanted)))
        message = f"no free addresses for a lab among 10.213.0.0/24 and 10.214.0.0/16: {objection}"
        raise LabFailed(message)


def hand_over(record: Record, *, keep: bool) -> Record:
    """Note that the lab is up; with `keep` it outlives this process."""
    owner = {"owner": 0, "owner_started": 0.0} if keep else {}
    return _write(replace(record, up=True, **owner))  # type: ignore[arg-type]


def remove(record: Record, *, keep_logs: bool = False) -> None:
    """Remove all of a lab: processes, network, control groups, mounts, files; its record last.

    Raises:
        LabFailed: something would not go; a new attempt goes on from there.
    """
    place = record.place
    end_processes_of(place, processes_inside(place))
    remove_network(place)
    remove_groups(place)
    directories = [Path(record.directory)] if record.directory else []
    for mounted in left_mounts(place.run, *directories):
        run("umount", "--lazy", mounted)
    for directory in directories:
        _remove_files(directory, keep_logs=keep_logs)
    shutil.rmtree(place.run, ignore_errors=True)


def _remove_files(directory: Path, *, keep_logs: bool) -> None:
    for entry in directory.iterdir() if directory.exists() else ():
        if entry.name == "logs" and keep_logs:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    if not keep_logs and directory.exists():
        directory.rmdir()


def _owned(record: Record) -> Record:
    own = psutil.Process()
    return replace(record, owner=own.pid, owner_started=own.create_time())


def _write(record: Record) -> Record:
    record.place.run.mkdir(parents=True, exist_ok=True)
    unfinished = record.place.run / ".record"
    unfinished.write_text(json.dumps(asdict(record)))
    unfinished.replace(record.place.run / "record.json")
    return record


def _lives(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        return process.create_time() == started and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ValueError):
        return False


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    LABS.mkdir(mode=0o755, exist_ok=True)
    descriptor = os.open(LABS / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
