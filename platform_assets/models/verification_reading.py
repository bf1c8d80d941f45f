"""How bytes are read for verification: each once, at a bounded rate, remembered for some days.

What was read and found right is remembered with what the file looked like then (its identity: the
ETag of an object; inode, size and times of a file). Until the memory is older than the policy
allows, or the identity changes, the bytes are not read again; a wrong file is never remembered. So
a verification that was killed goes on where it stopped. What is compared with what stands in
`verification.py`. Clocks are arguments.
"""

import errno
import hashlib
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from platform_assets.lineage.manifest import FileEntry
from platform_assets.spec.errors import AiHowError

MIB = 2**20
CHUNK_BYTES = MIB
_BUSY_S = 30.0
_TABLE = """CREATE TABLE IF NOT EXISTS right_files (
    place TEXT, path TEXT, identity TEXT, size INTEGER, sha256 TEXT, read_at REAL,
    PRIMARY KEY (place, path)) WITHOUT ROWID"""


class FileUnreadable(AiHowError):
    """A file cannot be read just now; nothing is known of it."""


class NoPlainFile(AiHowError):
    """What stands under a file's name is no plain file, or is gone."""


@dataclass(frozen=True)
class Remembered:
    """A file that was read and found right."""

    identity: str
    entry: FileEntry
    read_at: datetime


def may_be_reused(
    known: Remembered | None, identity: str, expected: FileEntry, now: datetime, policy: timedelta
) -> bool:
    """Say whether `known` spares reading a file that looks like `identity` now.

    A memory from the future (the clock was set back) spares nothing.
    """
    return (
        known is not None
        and known.identity == identity
        and known.entry == expected
        and timedelta(0) <= now - known.read_at < policy
    )


def pause_s(read_bytes: int, elapsed_s: float, bytes_per_s: float | None) -> float:
    """Return how long to wait after `read_bytes` in `elapsed_s`, to stay below the rate."""
    if not bytes_per_s:
        return 0.0
    return max(0.0, read_bytes / bytes_per_s - elapsed_s)


class Memory:
    """The files that were found right, in one SQLite file; safe to kill and to share."""

    def __init__(self, file: Path) -> None:
        """Name the file; it is made on first use."""
        self._file = file

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with (
                closing(sqlite3.connect(self._file, timeout=_BUSY_S)) as connection,
                connection,
            ):
                connection.execute(_TABLE)
                yield connection
        except sqlite3.DatabaseError as error:
            message = (
                f"{self._file}: the memory of verified files cannot be used: {error}; remove the "
                "file: everything is then read again"
            )
            raise FileUnreadable(message) from error

    def recall(self, place: str, path: str) -> Remembered | None:
        """Return what is remembered of a file, or None."""
        query = "SELECT identity, size, sha256, read_at FROM right_files WHERE place=? AND path=?"
        with self._open() as connection:
            row = connection.execute(query, (place, path)).fetchone()
        if row is None:
            return None
        read_at = datetime.fromtimestamp(row[3], UTC)
        return Remembered(row[0], FileEntry(path, row[1], row[2]), read_at)

    def keep(self, place: str, known: Remembered) -> None:
        """Remember a file that was read and found right."""
        entry = known.entry
        row = (place, entry.path, known.identity, entry.size, entry.sha256)
        with self._open() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO right_files VALUES (?, ?, ?, ?, ?, ?)",
                (*row, known.read_at.timestamp()),
            )

    def forget_before(self, moment: datetime) -> None:
        """Forget what was read before `moment`: too old to spare anything."""
        with self._open() as connection:
            connection.execute("DELETE FROM right_files WHERE read_at < ?", (moment.timestamp(),))


@dataclass
class Tally:
    """What reading one hop came to."""

    read_bytes: int = 0
    oldest: datetime | None = None

    def saw(self, when: datetime) -> None:
        """Count a file that was read at `when`."""
        self.oldest = when if self.oldest is None else min(self.oldest, when)


@dataclass
class Reading:
    """Reads files for verification. Without a memory everything is read now.

    `policy` says how old a memory may be, `bytes_per_s` how fast to read at most, `said` hears of
    every piece: the place, and the bytes that are dealt with.
    """

    memory: Memory | None = None
    policy: timedelta = timedelta(0)
    bytes_per_s: float | None = None
    said: Callable[[str, int], None] = lambda _place, _count: None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _begun: float | None = field(default=None, init=False)
    _read: int = field(default=0, init=False)

    def entry(
        self,
        place: str,
        expected: FileEntry,
        identity: str,
        pieces: Callable[[], Iterable[bytes]],
        tally: Tally,
    ) -> FileEntry:
        """Return what the file `expected.path` at `place` holds, read now or remembered."""
        known = self.memory.recall(place, expected.path) if self.memory else None
        if known is not None and may_be_reused(known, identity, expected, self.now(), self.policy):
            tally.saw(known.read_at)
            self.said(place, expected.size)
            return known.entry
        begun_at = self.now()
        digest, size = hashlib.sha256(), 0
        for piece in pieces():
            digest.update(piece)
            size += len(piece)
            tally.read_bytes += len(piece)
            self.said(place, len(piece))
            self._keep_pace(len(piece))
        found = FileEntry(expected.path, size, digest.hexdigest())
        tally.saw(begun_at)
        if self.memory is not None and found == expected:
            self.memory.keep(place, Remembered(identity, found, begun_at))
        return found

    def _keep_pace(self, count: int) -> None:
        if self._begun is None:
            self._begun = self.clock()
        self._read += count
        pause = pause_s(self._read, self.clock() - self._begun, self.bytes_per_s)
        if pause > 0:
            self.sleep(pause)
        else:  # reading was slow meanwhile: no credit for a burst afterwards
            self._begun, self._read = self.clock(), 0


def identity_of(status: os.stat_result) -> str:
    """Return what tells whether a file is still the one that was read; nobody sets ctime back."""
    times = f"{status.st_mtime_ns}:{status.st_ctime_ns}"
    return f"{status.st_dev}:{status.st_ino}:{status.st_size}:{times}"


@contextmanager
def open_plain(directory: Path, path: str) -> Iterator[tuple[int, os.stat_result]]:
    """Open `directory/path` without following a link below `directory`.

    Raises:
        NoPlainFile: there is none, or it is a link or something else.
        FileUnreadable: the file system failed.
    """
    *parents, name = path.split("/")
    folder = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    opened: list[int] = []
    try:
        try:
            opened.append(os.open(directory, folder))
            for parent in parents:
                opened.append(os.open(parent, folder | os.O_NOFOLLOW, dir_fd=opened[-1]))
            plain = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            opened.append(os.open(name, plain, dir_fd=opened[-1]))
            status = os.fstat(opened[-1])
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NoPlainFile("no such file") from error
        except OSError as error:
            raise _failed(directory / path, error) from error
        if not stat.S_ISREG(status.st_mode):
            raise NoPlainFile("no plain file")
        yield opened[-1], status
    finally:
        for descriptor in reversed(opened):
            os.close(descriptor)


def _failed(file: Path, error: OSError) -> AiHowError:
    if error.errno == errno.ELOOP:  # O_NOFOLLOW met a link
        return NoPlainFile("a symbolic link")
    return FileUnreadable(f"{file}: cannot be read: {error.strerror or error}")


def pieces_of(descriptor: int, file: Path) -> Iterator[bytes]:
    """Give the bytes of an open file, a bounded piece at a time."""
    while True:
        try:
            piece = os.read(descriptor, CHUNK_BYTES)
        except OSError as error:
            raise _failed(file, error) from error
        if not piece:
            return
        yield piece


def files_below(directory: Path) -> set[str]:
    """Return every path below `directory` that is no folder.

    Raises:
        FileUnreadable: a folder cannot be listed.
    """
    found: set[str] = set()
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(directory / folder) as entries:
                for entry in entries:
                    path = folder + entry.name
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(path + "/")
                    else:
                        found.add(path)
        except OSError as error:
            message = f"{directory / folder}: cannot be listed: {error.strerror}"
            raise FileUnreadable(message) from error
    return found
