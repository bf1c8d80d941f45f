"""Sending sealed files to the object store: every byte is read once, hashed and sent from there.

A file's bytes are read in order into a buffer of a small pool, checksummed, fed to SHA-256, and
sent from that buffer while the next ones are read; a large file goes in parts, several at a time.
What an earlier attempt left is kept where the server's checksum of it equals that of the bytes now
read. A file that differs from its marker becomes no object: a whole one is compared before it is
sent, one in parts before it is completed. Which files are sent, and when a copy counts as made, is
decided in `published_copy.py`; how files are opened in `upload_source.py`.
"""

import hashlib
import mmap
import queue
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from platform_assets.lineage.manifest import FileEntry
from platform_assets.models.upload_progress import MIB, Progress
from platform_assets.models.upload_source import (
    SourceUnreadable,
    WrongBytes,
    fill,
    open_sealed,
    wrong_bytes,
)
from platform_assets.spec.errors import AiHowError
from resources.object_store import (
    ChecksumRefused,
    HeldPart,
    ObjectNotFound,
    ObjectStore,
    ObjectStoreError,
    SentPart,
    StoreRefused,
    StoreUnavailable,
    crc64nvme,
)

__all__ = [
    "MIB",
    "FileTooLarge",
    "Leftovers",
    "Progress",
    "SourceUnreadable",
    "Upload",
    "WrongBytes",
    "open_sealed",
    "part_bytes",
]
READERS = 4  # files at a time, which keeps two processors hashing
READERS_OF_SMALL = 8  # where all go whole, the store's answers are what is waited for
SENDERS = 4  # parts at a time
PART_BYTES = 8 * MIB  # also the largest file that goes whole
PIECE_BYTES = MIB // 4  # read and hashed at a time: fits the processor's cache
MAX_PARTS = 10_000
BUFFERED_BYTES = 64 * MIB
MAX_PART_BYTES = 48 * MIB  # two of them fit what a copy may add to the process
MAX_FILE_BYTES = MAX_PARTS * MAX_PART_BYTES


class FileTooLarge(AiHowError):
    """A file does not fit into the parts that are sent from bounded memory."""


class _Stopped(Exception):
    """Another file failed; that failure is the one to tell."""


@dataclass(frozen=True)
class Leftovers:
    """What an earlier attempt left under the prefix, by key."""

    objects: Mapping[str, int] = field(default_factory=dict)  # size of each
    uploads: Mapping[str, str] = field(default_factory=dict)  # the open upload to go on with
    aborted: int = 0  # open uploads that were removed


def part_bytes(size: int) -> int:
    """Return the size of the parts of a file, so that their number stays within S3's limit."""
    mib_needed = -(-size // (MAX_PARTS * MIB))
    return max(PART_BYTES, mib_needed * MIB)


class Buffers:
    """A few buffers of equal size, made when first needed; the last one used is used next."""

    def __init__(self, size: int) -> None:
        """Hold as many as fit into the budget, and at least two."""
        self._size = size
        self._free: queue.LifoQueue[mmap.mmap | None] = queue.LifoQueue()
        for _ in range(max(2, BUFFERED_BYTES // size)):
            self._free.put(None)

    def take(self) -> mmap.mmap:
        """Wait for a free buffer."""
        return self._free.get() or mmap.mmap(-1, self._size)

    def give_back(self, buffer: mmap.mmap) -> None:
        """Let others use it."""
        self._free.put(buffer)

    @contextmanager
    def one(self) -> Iterator[mmap.mmap]:
        """Take a buffer for a while."""
        buffer = self.take()
        try:
            yield buffer
        finally:
            self.give_back(buffer)


@dataclass(frozen=True)
class _Opened:
    """A file that is being read, and the SHA-256 of what was read of it."""

    entry: FileEntry
    descriptor: int
    digest: "hashlib._Hash"


@dataclass(frozen=True)
class _Target:
    """A file on its way into an upload in parts."""

    entry: FileEntry
    key: str
    upload_id: str
    held: Mapping[int, HeldPart]


class Upload:
    """One transfer of files from `directory` to keys under `prefix`."""

    def __init__(
        self,
        store: ObjectStore,
        prefix: str,
        directory: Path,
        *,
        metadata: Mapping[str, str],
        progress: Progress,
        leftovers: Leftovers | None = None,
    ) -> None:
        """Prepare; nothing is read or sent yet."""
        self._store, self._prefix, self._directory = store, prefix, directory
        self._metadata, self._progress = metadata, progress
        self._leftovers = leftovers or Leftovers()
        self._failures: list[BaseException] = []
        self._buffers = Buffers(PART_BYTES)

    def send(self, files: Sequence[FileEntry]) -> None:
        """Send every file; the first failure stops the rest and is raised.

        Raises:
            WrongBytes, SourceUnreadable, FileTooLarge: a file cannot become an object.
            ObjectStoreError: the store refused or failed.
        """
        large = [entry for entry in files if entry.size > PART_BYTES]
        small = [entry for entry in files if entry.size <= PART_BYTES]
        self._buffers = Buffers(max((part_bytes(e.size) for e in large), default=PART_BYTES))
        for entry in large:
            if entry.size > MAX_FILE_BYTES:
                message = (
                    f"{self._directory / entry.path}: expected at most {MAX_FILE_BYTES} bytes in "
                    f"one file, found {entry.size}; save the model in shards"
                )
                raise FileTooLarge(message)
        at_a_time = READERS if large else READERS_OF_SMALL
        # Readers wait for buffers and hand them to senders; senders wait for nobody.
        with (
            ThreadPoolExecutor(SENDERS, thread_name_prefix="send") as senders,
            ThreadPoolExecutor(at_a_time, thread_name_prefix="read") as readers,
        ):
            try:
                reading = [readers.submit(self._file, entry, senders) for entry in large + small]
                wait(reading)
            except BaseException as error:
                self._failures.append(error)
                raise
        if self._failures:
            raise self._failures[0]

    def _file(self, entry: FileEntry, senders: ThreadPoolExecutor) -> None:
        if self._failures:
            return
        try:
            if entry.size <= PART_BYTES:
                self._whole(entry)
            else:
                self._in_parts(entry, senders)
        except _Stopped:
            return
        except BaseException as error:  # noqa: BLE001 - told by `send`
            self._failures.append(error)

    def _whole(self, entry: FileEntry) -> None:
        key = self._prefix + entry.path
        with self._buffers.one() as buffer, memoryview(buffer)[: entry.size] as view:
            with self._opened(entry) as opened:
                crc64 = self._take_in(opened, view, 0)
            if self._stored_crc64(key, entry) == crc64:
                self._progress.keep(entry.size)
                return
            self._store.put(key, view, crc64=crc64, metadata=self._metadata)
            self._progress.add(entry.size)

    def _stored_crc64(self, key: str, entry: FileEntry) -> int | None:
        """Return the server's checksum of an object left there with the right size."""
        if self._leftovers.objects.get(key) != entry.size:
            return None
        try:
            return self._store.checksum(key)
        except ObjectNotFound:
            return None

    def _in_parts(self, entry: FileEntry, senders: ThreadPoolExecutor) -> None:
        key = self._prefix + entry.path
        stored = self._stored_crc64(key, entry)
        if stored is not None and stored == self._checksum_of(entry):
            self._progress.keep(entry.size)
            return
        upload_id, held = self._begun(key, entry)
        target = _Target(entry, key, upload_id, held)
        try:
            parts = self._send_parts(target, senders)
            self._store.complete_multipart(key, upload_id, parts)
        except (WrongBytes, ChecksumRefused, StoreRefused):
            # Nothing to go on with. What failed is the error to tell.
            with suppress(ObjectStoreError):
                self._store.abort_multipart(key, upload_id)
            raise

    def _begun(self, key: str, entry: FileEntry) -> tuple[str, dict[int, HeldPart]]:
        """Return the upload to go on with and what it holds, or a new one."""
        upload_id = self._leftovers.uploads.get(key)
        if upload_id is not None:
            with suppress(ObjectNotFound):
                held = {part.number: part for part in self._store.held_parts(key, upload_id)}
                count = -(-entry.size // part_bytes(entry.size))
                if all(1 <= number <= count for number in held):
                    return upload_id, held
                self._store.abort_multipart(key, upload_id)
        return self._store.create_multipart(key, self._metadata), {}

    def _checksum_of(self, entry: FileEntry) -> int:
        """Read a file without sending it; it must be as sealed."""
        crc64, size = 0, part_bytes(entry.size)
        with self._buffers.one() as buffer, self._opened(entry) as opened:
            for offset in range(0, entry.size, size):
                self._stop_if_failed()
                with memoryview(buffer)[: min(size, entry.size - offset)] as view:
                    crc64 = self._take_in(opened, view, offset, crc64)
        return crc64

    def _send_parts(self, target: _Target, senders: ThreadPoolExecutor) -> list[SentPart]:
        """Read in order and hash here, send from the same buffers in the pool."""
        entry, size = target.entry, part_bytes(target.entry.size)
        sent: list[SentPart | Future[SentPart]] = []
        try:
            with self._opened(entry) as opened:
                for number, offset in enumerate(range(0, entry.size, size), start=1):
                    buffer = self._buffers.take()
                    view = memoryview(buffer)[: min(size, entry.size - offset)]
                    handed_on = False
                    try:
                        self._stop_if_failed()
                        crc64 = self._take_in(opened, view, offset)
                        part = _kept(target.held.get(number), view, crc64)
                        if part is None:
                            arguments = (target, number, buffer, view, crc64)
                            sent.append(senders.submit(self._send_part, *arguments))
                            handed_on = True
                        else:
                            sent.append(part)
                            self._progress.keep(len(view))
                    finally:
                        if not handed_on:
                            view.release()
                            self._buffers.give_back(buffer)
        finally:
            wait([part for part in sent if isinstance(part, Future)])
        return [part.result() if isinstance(part, Future) else part for part in sent]

    def _send_part(
        self, target: _Target, number: int, buffer: mmap.mmap, view: memoryview, crc64: int
    ) -> SentPart:
        try:
            self._stop_if_failed()
            part = self._store.upload_part(target.key, target.upload_id, number, view, crc64=crc64)
            self._progress.add(len(view))
        except ObjectNotFound as error:
            gone = StoreUnavailable(f"{error}; a new attempt begins this file anew")
            self._failures.append(gone)
            raise gone from error
        except BaseException as error:
            if not isinstance(error, _Stopped):
                self._failures.append(error)
            raise
        finally:
            view.release()
            self._buffers.give_back(buffer)
        return part

    def _stop_if_failed(self) -> None:
        if self._failures:
            raise _Stopped

    def _take_in(self, opened: "_Opened", view: memoryview, offset: int, crc64: int = 0) -> int:
        """Fill `view` from `offset`, feed it to SHA-256, and return its CRC64NVME.

        Piece by piece, while each is in the processor's cache; the checksum first: what changes in
        memory from there on, either SHA-256 or the server will find.
        """
        for at in range(0, len(view), PIECE_BYTES):
            piece = view[at : at + PIECE_BYTES]
            read = fill(opened.descriptor, piece, offset + at)
            if read != len(piece):
                expected, found = f"{opened.entry.size} bytes", f"{offset + at + read}"
                raise wrong_bytes(self._directory, opened.entry, expected, found)
            crc64 = crc64nvme(piece, crc64)
            opened.digest.update(piece)
        return crc64

    @contextmanager
    def _opened(self, entry: FileEntry) -> Iterator["_Opened"]:
        """Open a file; when all of it was taken in, compare its digest with the marker's."""
        with open_sealed(self._directory, entry) as descriptor:
            opened = _Opened(entry, descriptor, hashlib.sha256())
            yield opened
        found = opened.digest.hexdigest()
        if found != entry.sha256:
            raise wrong_bytes(self._directory, entry, f"SHA-256 {entry.sha256}", found)


def _kept(held: HeldPart | None, view: memoryview, crc64: int) -> SentPart | None:
    """Return the part that the server holds if its checksum is that of the bytes in `view`."""
    if held is None or held.size != len(view):
        return None
    if held.crc64 is None:
        # A server that lists no checksums names a part by the MD5 of what it received.
        digest = hashlib.md5(view, usedforsecurity=False).hexdigest()
        equal = held.etag.strip('"') == digest
    else:
        equal = held.crc64 == crc64
    return SentPart(held.number, held.etag, crc64, held.size) if equal else None
