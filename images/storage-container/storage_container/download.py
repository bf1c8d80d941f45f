"""The download of a copy: exactly the objects of its manifest, each byte compared.

Threads take one span of a file each, with one of a fixed number of buffers: that bounds the memory.
Spans are given out in the order of the files, so the span that a hash waits for always has its
buffer, and nothing can wait in a circle.
"""

import hashlib
import mmap
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from storage_container.errors import WrongCopy
from storage_container.manifest import (
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    FileEntry,
    Manifest,
    read_manifest,
)
from storage_container.room import (
    SPAN_BYTES,
    Budget,
    budget,
    check_room,
    memory_limit,
    told_if_full,
)
from storage_container.s3 import MissingObject, Reader, Span, Stopped, Store
from storage_container.settings import Source
from storage_container.transfer import Transfer
from storage_container.tree import Tree, prepared_tree

_TELL_EVERY_S = 10.0
_NAMED = 5  # objects that an error names
_EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Downloaded:
    """What stands in the destination now."""

    tree_digest: str
    files: int
    bytes: int
    seconds: float


def download(store: Store, source: Source, destination: Path) -> Downloaded:
    """Make `destination` hold exactly the copy at `source`, every byte of it verified.

    Raises:
        StorageContainerError: it cannot be had, or is not what its digest names.
    """
    begun = time.monotonic()
    reader = store.reader()
    manifest = _manifest(reader, source)
    _check_listing(reader, source, manifest)
    reader.connection.close()
    tree = prepared_tree(destination, manifest, source.tree_digest)
    limit = memory_limit()
    with told_if_full(destination, manifest.total_bytes):
        check_room(destination, max(manifest.total_bytes - tree.present_bytes(), 0), limit)
        _Run(store, source, manifest, tree, budget(limit)).play()
        tree.finish(manifest)
    seconds = time.monotonic() - begun
    return Downloaded(source.tree_digest, len(manifest.files), manifest.total_bytes, seconds)


def _manifest(reader: Reader, source: Source) -> Manifest:
    where, key = source.url(MANIFEST_NAME), source.prefix + MANIFEST_NAME
    try:
        try:
            return read_manifest(reader.get(key, MAX_MANIFEST_BYTES), where, source.tree_digest)
        except MissingObject:
            raise
        except WrongCopy:
            # It may have changed on the way: what the store holds, a second read tells.
            return read_manifest(reader.get(key, MAX_MANIFEST_BYTES), where, source.tree_digest)
    except MissingObject as error:
        message = (
            f"{where}: expected a manifest, found none: no model was published there, or it was "
            f"removed; is storageUri right? publish the model anew ({error})"
        )
        raise WrongCopy(message) from error


def _check_listing(reader: Reader, source: Source, manifest: Manifest) -> None:
    """Compare names and sizes with what lies under the prefix, before a byte is downloaded."""
    sizes = {source.prefix + entry.path: entry.size for entry in manifest.files}
    sizes[source.prefix + MANIFEST_NAME] = len(manifest.data)
    for entry in manifest.files:
        if not entry.size and entry.sha256 != _EMPTY:
            message = f"{source.url(entry.path)}: no empty file has SHA-256 {entry.sha256}"
            raise WrongCopy(message)
    extra: list[str] = []
    for key, size in reader.list(source.prefix):
        expected = sizes.pop(key, None)
        if expected is None:
            extra.append(key)
        elif expected != size:
            message = (
                f"s3://{source.bucket}/{key}: expected {expected} bytes, found {size}: someone "
                "changed the object store; find out who, then publish the model anew"
            )
            raise WrongCopy(message)
    if sizes:
        message = (
            f"{source.url()}: the manifest names {_some(source, sizes)}, which the object store "
            "does not hold; nothing was downloaded; publish the model anew"
        )
        raise WrongCopy(message)
    if extra:
        message = (
            f"{source.url()}: the object store holds {_some(source, extra)}, which the manifest "
            "does not name; nothing was downloaded; find out who put it there, then remove it"
        )
        raise WrongCopy(message)


def _some(source: Source, keys: Iterable[str]) -> str:
    paths = sorted(f"{key.removeprefix(source.prefix)!a}" for key in keys)
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(paths[:_NAMED]) + more


class _Run:
    """The threads of one download and what they share."""

    def __init__(
        self, store: Store, source: Source, manifest: Manifest, tree: Tree, means: Budget
    ) -> None:
        self._store, self._source, self._tree, self._means = store, source, tree, means
        self._changed = threading.Condition()
        self._waiting: deque[Transfer] = deque()  # begun, with spans that nobody was sent for
        self._coming = self._transfers(manifest.files)
        # Not a bytearray, which would touch memory that a small model never needs.
        memory = memoryview(mmap.mmap(-1, means.buffers * SPAN_BYTES))
        self._free = [memory[at : at + SPAN_BYTES] for at in range(0, len(memory), SPAN_BYTES)]
        self._busy = 0
        self._failure: BaseException | None = None
        self._again = bool(tree.there) or any(tree.incoming.iterdir())
        self._total = manifest.total_bytes
        self._done = 0

    def _transfers(self, files: Iterable[FileEntry]) -> Iterator[Transfer]:
        """Give each file, the longest first, when its turn has come; empty ones are just made."""
        numbered = sorted(enumerate(files), key=lambda one: -one[1].size)
        for number, entry in numbered:
            final = self._tree.directory / entry.path
            if entry.size:
                yield Transfer(entry, self._source.url(entry.path), self._tree.part(number), final)
            else:
                final.write_bytes(b"")

    def play(self) -> None:
        threads = [
            threading.Thread(target=self._work, name=f"download-{number}", daemon=True)
            for number in range(self._means.connections)
        ]
        for thread in threads:
            thread.start()
        tell = time.monotonic() + _TELL_EVERY_S
        for thread in threads:
            while thread.is_alive():
                thread.join(max(tell - time.monotonic(), 0))
                if thread.is_alive() and time.monotonic() >= tell:
                    tell = time.monotonic() + _TELL_EVERY_S
                    done, total = self._done / 2**20, self._total / 2**20
                    self._store.say(f"{done:,.0f} of {total:,.0f} MiB")
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        reader = self._store.reader()
        try:
            while (taken := self._take()) is not None:
                transfer, span, buffer = taken
                if span is None:
                    self._take_up(transfer, buffer)
                else:
                    self._fetch(reader, transfer, span, buffer)
                with self._changed:
                    self._busy -= 1
                    if not self._busy:
                        self._changed.notify_all()
        except BaseException as error:  # noqa: BLE001 - whatever it is, all must stop and it be told
            self._fail(error)
        finally:
            reader.connection.close()

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            if self._failure is None or isinstance(self._failure, Stopped):
                self._failure = error
            self._changed.notify_all()
        self._store.stop()

    def _take(self) -> tuple[Transfer, tuple[int, int] | None, memoryview] | None:
        """Return the next thing to do and a buffer for it; None when there is nothing more."""
        with self._changed:
            while True:
                if self._failure is not None:
                    raise Stopped
                if self._free:
                    begun = bool(self._waiting)
                    transfer = self._waiting[0] if begun else next(self._coming, None)
                    if transfer is not None:
                        break
                    if not self._busy:
                        return None
                self._changed.wait()
            self._busy += 1
            buffer = self._free.pop()
            if not begun and self._again and transfer.is_left:
                return transfer, None, buffer
            if not begun:
                self._waiting.append(transfer)
            span = transfer.next_span()
            if transfer.is_asked:
                self._waiting.popleft()
            return transfer, span, buffer

    def _take_up(self, transfer: Transfer, buffer: memoryview) -> None:
        whole = transfer.take_up(buffer)
        with self._changed:
            self._free.append(buffer)
            self._done += transfer.entry.size if whole else transfer.asked
            if not whole:
                self._waiting.append(transfer)
            self._changed.notify_all()

    def _fetch(
        self, reader: Reader, transfer: Transfer, span: tuple[int, int], buffer: memoryview
    ) -> None:
        start, stop = span
        entry = transfer.entry
        piece = buffer[: stop - start]
        reader.fill(Span(self._source.prefix + entry.path, start, stop, entry.size), piece)
        transfer.write(start, piece)
        whole = transfer.deposit(start, buffer, stop - start, self._release)
        with self._changed:
            self._done += stop - start
            if whole is False:
                self._store.say(f"{transfer.where}: other bytes than expected; reading once more")
                self._waiting.append(transfer)
                self._changed.notify_all()

    def _release(self, buffer: memoryview) -> None:
        with self._changed:
            self._free.append(buffer)
            self._changed.notify()
