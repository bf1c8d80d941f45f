"""The platform that the faults are played against, its checkpoints, and the watch on its answers.

It is a platform of its own in a directory of its own, brought up by `ai-how up`. Between its runs
and the object store stands a network that can fail. What is expected of it is in
`fault_judgement.py`, what is done to it in `fault_players.py`.
"""

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from ai_how.embedded.layout import MARK
from ai_how.runs import Dagster, DagsterUnreachable, Run
from platform_assets.keys import CHECKPOINT_TAG
from platform_assets.models.seal import seal
from platform_assets.spec.applied import AppliedEstate, write_applied
from resources.process import marked_processes, processes_in
from resources.supervisor import Supervisor
from tests.integration.conftest import Installation
from tests.integration.faults.faulty_network import FaultyNetwork
from tests.integration.faults.outside import Outside, key_of, tree_digest_of
from tests.telling_checkpoints import told_number

MODEL = "digits"
LARGE = 17 * 2**20
WATCH_S = 0.15


class PlatformLost(Exception):
    """The platform does not come up any more; nothing further can be played."""


@dataclass(frozen=True)
class Sealed:
    """A checkpoint that was dropped: what it answers, and whether it is to be delivered."""

    number: int
    directory: Path
    key: str
    digest: str
    good: bool = True


@dataclass
class World:
    """One platform under fire."""

    installation: Installation
    say: Callable[..., None]
    network: FaultyNetwork | None = None
    applied: AppliedEstate | None = None
    sealed: list[Sealed] = field(default_factory=list)  # in the order of sealing
    numbers: int = 0
    committed_before: set[str] = field(default_factory=set)  # when the last round was judged
    stored: dict[str, bytes] = field(default_factory=dict)  # flipped objects, as they were

    def up(self) -> None:
        """Bring the platform up, and put the network between its runs and the object store."""
        answer = self.installation.run("up")
        if answer.returncode != 0:
            raise PlatformLost(answer.stdout[-2000:] + answer.stderr[-4000:])
        self.applied = self.installation.applied
        if self.network is None:
            self.network = FaultyNetwork(self.applied.addresses.s3_url)
            self.network.start()
        through = self.applied.addresses.model_copy(update={"s3_url": self.network.url})
        # Every run reads the applied estate anew when its process starts.
        write_applied(self.applied.model_copy(update={"addresses": through}))

    @property
    def estate(self) -> AppliedEstate:
        """The estate with the true addresses."""
        if self.applied is None:
            raise PlatformLost("it was never brought up")
        return self.applied

    @property
    def outside(self) -> Outside:
        """What a stranger sees."""
        return Outside(self.estate)

    @property
    def dagster(self) -> Dagster:
        """Dagster's webserver."""
        return Dagster(self.estate.addresses.dagster_url)

    @property
    def supervisor(self) -> Supervisor:
        """Who starts killed parts again."""
        return Supervisor(self.installation.layout.supervisor_socket)

    def processes(self) -> list[psutil.Process]:
        """Return every process of the platform."""
        one = self.installation
        found = marked_processes(MARK, str(one.state))
        return found + [p for p in processes_in(one.layout.cluster) if p not in found]

    def cut_power(self) -> None:
        """End everything at once, without a word."""
        for end in (signal.SIGSTOP, signal.SIGKILL):
            for process in self.processes():
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(end)
        psutil.wait_procs(self.processes(), timeout=30)

    def runs_of(self, key: str) -> list[Run]:
        """Return the runs of a checkpoint, newest first."""
        return self.dagster.runs({"tags": [{"key": CHECKPOINT_TAG, "value": key}]})

    def open_runs(self) -> list[Run] | None:
        """Return the runs that are not over; None where Dagster does not answer."""
        statuses = ["QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING"]
        try:
            return self.dagster.runs({"statuses": statuses})
        except DagsterUnreachable:
            return None

    def next_number(self) -> int:
        """Return a number that no model answers yet."""
        self.numbers += 1
        return 1000 + self.numbers

    def made(self, *, padding: int = 0) -> tuple[int, Path]:
        """Make a checkpoint that is not sealed yet."""
        # Imported late: it takes scikit-learn and MLflow along.
        from tests.telling_checkpoints import telling_checkpoint

        number = self.next_number()
        hidden = self.installation.home / "training"
        directory = telling_checkpoint(
            hidden, MODEL, f"run-{number}", number, padding=padding, seal=False
        )
        return number, directory

    def place(self, directory: Path) -> Path:
        """Move a directory into the checkpoint root."""
        root = self.installation.checkpoint_root / MODEL
        root.mkdir(exist_ok=True)
        return Path(shutil.move(directory, root / directory.name))

    def seal(self, number: int, directory: Path, *, good: bool = True) -> Sealed:
        """Seal what lies in the checkpoint root."""
        seal(str(directory))
        one = Sealed(number, directory, key_of(directory), tree_digest_of(directory), good)
        self.sealed.append(one)
        return one

    def again(self, old: Sealed, *, good: bool = True) -> Sealed:
        """Seal the content of `old` once more under another name."""
        name = f"run-{self.next_number()}"
        hidden = self.installation.home / "training" / name
        shutil.copytree(old.directory, hidden, ignore=shutil.ignore_patterns("_COMPLETE.json"))
        return self.seal(old.number, self.place(hidden), good=good)

    def spoil(self, one: Sealed) -> Sealed:
        """Note that `one` must not be delivered, because of what was done to it."""
        spoilt = replace(one, good=False)
        self.sealed[self.sealed.index(one)] = spoilt
        return spoilt

    def good(self) -> list[Sealed]:
        """Return what must be delivered, in the order of sealing."""
        return [one for one in self.sealed if one.good]


class Watch(threading.Thread):
    """A client that asks the endpoint all the time and keeps every change of its answers."""

    def __init__(self, url: Callable[[], str]) -> None:
        """Watch the server whose URL `url` gives."""
        super().__init__(daemon=True)
        self._url = url
        self._over = threading.Event()
        self.told: list[int] = []
        self.asked = 0
        self.unanswered = 0

    def run(self) -> None:
        """Ask until `end`."""
        while not self._over.wait(WATCH_S):
            number = told_number(self._url(), MODEL)
            self.asked += 1
            if number is None:
                self.unanswered += 1
            elif not self.told or self.told[-1] != number:
                self.told.append(number)

    def end(self) -> None:
        """Stop asking."""
        self._over.set()
        self.join(30)


def flip(file: Path, offset: int = -1) -> bytes:
    """Flip one bit of a file, its times as they were; return what it held."""
    status = file.stat()
    before = file.read_bytes()
    data = bytearray(before)
    data[offset] ^= 1
    with file.open("r+b") as opened:
        opened.write(data)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    return before


def flip_marker(directory: Path) -> None:
    """Flip one bit in the first SHA-256 of a marker."""
    marker = directory / "_COMPLETE.json"
    first: str = json.loads(marker.read_text())["files"][0]["sha256"]
    flip(marker, marker.read_bytes().index(first.encode()) + 5)


def until(question: Callable[[], bool], seconds: float, every_s: float = 0.5) -> bool:
    """Ask until the answer is yes; tell whether it was in time."""
    deadline = time.monotonic() + seconds
    while not question():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True
