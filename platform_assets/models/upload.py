"""Sending sealed files to the object store: every byte is read once, hashed and sent from there.

Small files go whole, several at a time; larger ones in parts in parallel. What is held in memory is
bounded whatever the sizes. A file that differs from its marker becomes no object: a whole one is
compared before it is sent, one in parts before it is completed. Which files are sent, and when a
copy counts as made, is decided in `published_copy.py`.
"""

import errno
import hashlib
import os
import queue
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TypeVar

from platform_assets.lineage.manifest import FileEntry
from platform_assets.spec.errors import AiHowError
from resources.object_store import ObjectStore, ObjectStoreError, SentPart

MIB = 2**20
WORKERS = 4
PART_BYTES = 8 * MIB  # also the largest file that goes whole
MAX_PARTS = 10_000
BUFFERED_BYTES = WORKERS * PART_BYTES
SAY_EVERY_S = 5.0
_Sent = TypeVar("_Sent")


class WrongBytes(AiHowError):
    """A file of a checkpoint is not what its marker says."""


class SourceUnreadable(AiHowError):
    """A file of a checkpoint cannot be read just now."""


def _wrong(directory: Path, entry: FileEntry, expected: str, found: str) -> WrongBytes:
    return WrongBytes(
        f"{directory / entry.path}: expected {expected} as its marker says, found {found}; "
        "if the change was meant, seal the checkpoint anew, else restore the file"
    )


class Progress:
    """Says every few seconds how far a transfer is, how fast, and how long it will take."""

    def __init__(
        self, total: int, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin at zero of `total` bytes."""
        self._total, self._say, self._clock = total, say, clock
        self._done = 0
        self._begun = self._said = clock()
        self._lock = Lock()

    def add(self, count: int) -> None:
        """Count `count` more bytes as sent."""
        with self._lock:
            self._done += count
            now = self._clock()
            if now - self._said < SAY_EVERY_S:
                return
            self._said = now
            rate = self._done / (now - self._begun)
            left = (self._total - self._done) / rate if rate else 0.0
            self._say(
                f"sent {self._done / MIB:,.0f} of {self._total / MIB:,.0f} MiB, "
                f"{rate / MIB:,.0f} MiB/s, {left:,.0f} s left"
            )


@contextmanager
def open_sealed(directory: Path, entry: FileEntry) -> Iterator[int]:
    """Open a listed file without following any link below `directory`, and check its size.

    Raises:
        WrongBytes: it is missing, no plain file, of another size, or changed while it was open.
        SourceUnreadable: the file system failed.
    """
    *parents, name = entry.path.split("/")
    folder = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    plain = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    opened: list[int] = []
    try:
        opened.append(os.open(directory, folder))
        for parent in parents:
            opened.append(os.open(parent, folder | os.O_NOFOLLOW, dir_fd=opened[-1]))
        opened.append(os.open(name, plain, dir_fd=opened[-1]))
        before = os.fstat(opened[-1])
        if not stat.S_ISREG(before.st_mode):
            raise _wrong(directory, entry, "a plain file", "something else")
        if before.st_size != entry.size:
            raise _wrong(directory, entry, f"{entry.size} bytes", f"{before.st_size}")
        yield opened[-1]
        after = os.fstat(opened[-1])
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise _wrong(directory, entry, "a file at rest", "one that changed while it was read")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _wrong(directory, entry, f"{entry.size} bytes", "no such file") from error
    except OSError as error:
        if error.errno == errno.ELOOP:  # O_NOFOLLOW met a link
            raise _wrong(directory, entry, "a plain file", "a symbolic link") from error
        message = (
            f"{directory / entry.path}: cannot be read: {error}; look at the file system of the "
            "checkpoint root"
        )
        raise SourceUnreadable(message) from error
    finally:
        for descriptor in reversed(opened):
            os.close(descriptor)


def _fill(descriptor: int, view: memoryview) -> int:
    """Read until `view` is full or the file ends; return how much was read."""
    filled = 0
    while filled < len(view):
        count = os.readv(descriptor, [view[filled:]])
        if count == 0:
            break
        filled += count
    return filled


def _compare(directory: Path, entry: FileEntry, found: str) -> None:
    if found != entry.sha256:
        raise _wrong(directory, entry, f"SHA-256 {entry.sha256}", found)


def part_bytes(size: int) -> int:
    """Return the size of the parts of a file, so that their number stays within S3's limit."""
    mib_needed = -(-size // (MAX_PARTS * MIB))
    return max(PART_BYTES, mib_needed * MIB)


@dataclass(frozen=True)
class _Part:
    """The first `size` bytes of `buffer`, which goes back to the free ones when they are sent."""

    key: str
    upload_id: str
    number: int
    buffer: bytearray
    size: int


class Upload:
    """One transfer of files from `directory` to keys under `prefix`."""

    def __init__(
        self,
        store: ObjectStore,
        prefix: str,
        directory: Path,
        metadata: Mapping[str, str],
        progress: Progress,
    ) -> None:
        """Prepare; nothing is read or sent yet."""
        self._store, self._prefix, self._directory = store, prefix, directory
        self._metadata, self._progress = metadata, progress

    def send(self, files: Sequence[FileEntry]) -> None:
        """Send every file; the first failure stops the rest and is raised.

        Raises:
            WrongBytes, SourceUnreadable: a file cannot become an object.
            ObjectStoreError: the store refused or failed.
        """
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="upload") as pool:
            try:
                for entry in files:
                    if entry.size > PART_BYTES:
                        self._send_in_parts(pool, entry)
                small = [e for e in files if e.size <= PART_BYTES]
                _first_failure([pool.submit(self._send_whole, entry) for entry in small])
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _send_whole(self, entry: FileEntry) -> None:
        body = bytearray(entry.size)
        with open_sealed(self._directory, entry) as descriptor:
            read = _fill(descriptor, memoryview(body))
            if read != entry.size:
                raise _wrong(self._directory, entry, f"{entry.size} bytes", f"{read}")
        _compare(self._directory, entry, hashlib.sha256(body).hexdigest())
        self._store.put(self._prefix + entry.path, body, metadata=self._metadata)
        self._progress.add(entry.size)

    def _send_in_parts(self, pool: ThreadPoolExecutor, entry: FileEntry) -> None:
        key = self._prefix + entry.path
        upload_id = self._store.create_multipart(key, self._metadata)
        complete = False
        try:
            parts = self._send_parts(pool, entry, upload_id)
            self._store.complete_multipart(key, upload_id, parts)
            complete = True
        finally:
            if not complete:
                # What failed is the error to tell; a new attempt aborts what stays behind here.
                with suppress(ObjectStoreError):
                    self._store.abort_multipart(key, upload_id)

    def _send_parts(
        self, pool: ThreadPoolExecutor, entry: FileEntry, upload_id: str
    ) -> list[SentPart]:
        """Read in order, hash here, send from the same buffers in the pool."""
        size = part_bytes(entry.size)
        free: queue.SimpleQueue[bytearray | None] = queue.SimpleQueue()
        for _ in range(max(2, BUFFERED_BYTES // size)):
            free.put(None)  # a buffer that nobody needed yet
        sent: list[Future[SentPart]] = []
        digest = hashlib.sha256()
        try:
            with open_sealed(self._directory, entry) as descriptor:
                for number in range(1, -(-entry.size // size) + 1):
                    buffer = free.get()
                    _raise_failed(sent)
                    buffer = bytearray(size) if buffer is None else buffer
                    expected = min(size, entry.size - (number - 1) * size)
                    if _fill(descriptor, memoryview(buffer)[:expected]) != expected:
                        raise _wrong(self._directory, entry, f"{entry.size} bytes", "fewer")
                    part = _Part(self._prefix + entry.path, upload_id, number, buffer, expected)
                    sent.append(pool.submit(self._send_part, part, free))
                    digest.update(memoryview(buffer)[:expected])
            _compare(self._directory, entry, digest.hexdigest())
            return _first_failure(sent)
        finally:
            for future in sent:
                future.cancel()
            wait(sent)

    def _send_part(self, part: _Part, free: "queue.SimpleQueue[bytearray | None]") -> SentPart:
        try:
            whole = part.size == len(part.buffer)
            body = part.buffer if whole else part.buffer[: part.size]
            sent = self._store.upload_part(part.key, part.upload_id, part.number, body)
        finally:
            free.put(part.buffer)
        self._progress.add(part.size)
        return sent


def _raise_failed(futures: Sequence["Future[SentPart]"]) -> None:
    for future in futures:
        if future.done():
            future.result()


def _first_failure(futures: Sequence["Future[_Sent]"]) -> list[_Sent]:
    """Wait for all; on a failure cancel what has not begun, wait for the rest, and raise it."""
    done, pending = wait(futures, return_when=FIRST_EXCEPTION)
    failures = [failure for future in done if (failure := future.exception())]
    if failures:
        for future in pending:
            future.cancel()
        wait(pending)
        raise failures[0]
    return [future.result() for future in futures]
