"""One file on its way: spans are written where they belong, and hashed in the order of the file.

Whoever has received the span that comes next hashes it, and all that wait behind it. How far the
hash has come is noted beside the file, so that a container that was killed goes on from there.
"""

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from storage_container.errors import WrongCopy
from storage_container.manifest import FileEntry
from storage_container.room import SPAN_BYTES

_NOTE_EVERY = 8  # spans
TRIES = 2  # the bytes may have changed on the way: what the store holds, a second read tells


class Transfer:
    """A file that is being downloaded, seen by all threads."""

    def __init__(self, entry: FileEntry, where: str, part: Path, final: Path) -> None:
        self.entry, self.where, self._part, self._final = entry, where, part, final
        self._note = part.with_suffix(".hashed")
        self._lock = threading.Lock()
        self._founds: list[str] = []
        self._descriptor = -1
        self._begin(0)

    def _begin(self, at: int) -> None:
        self.asked = at  # the first byte that nobody has been sent for
        self._hashed = at
        self._digest = hashlib.sha256(usedforsecurity=False)
        self._ready: dict[int, tuple[memoryview, int]] = {}
        self._draining = False
        self._resumed = at > 0

    @property
    def is_left(self) -> bool:
        """Whether an earlier life of this container has begun or finished this file."""
        return self._final.exists() or self._note.exists()

    def take_up(self, buffer: memoryview) -> bool:
        """Hash what an earlier life has left; say whether the file is whole already."""
        if self._final.exists():
            digest = hashlib.sha256(usedforsecurity=False)
            if self._final.stat().st_size == self.entry.size:
                with self._final.open("rb") as opened:
                    _hash(opened.fileno(), self.entry.size, digest.update, buffer)
                if digest.hexdigest() == self.entry.sha256:
                    return True
            self._final.unlink()
        elif self._note.exists():
            self._go_on(buffer)
        return False

    def _go_on(self, buffer: memoryview) -> None:
        text = self._note.read_text(encoding="ascii", errors="replace").strip()
        at = int(text) if text.isdigit() else 0
        if at % SPAN_BYTES or at >= self.entry.size or not self._part.exists():
            at = 0
        self._begin(at)
        if at and not _hash(self._open(), at, self._digest.update, buffer):
            self._begin(0)

    def next_span(self) -> tuple[int, int]:
        """Return the span to be downloaded next; the caller sees to it that one thread asks."""
        start = self.asked
        self.asked = min(start + SPAN_BYTES, self.entry.size)
        return start, self.asked

    @property
    def is_asked(self) -> bool:
        """Whether every span has been given out."""
        return self.asked >= self.entry.size

    def _open(self) -> int:
        with self._lock:
            if self._descriptor < 0:
                self._descriptor = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            return self._descriptor

    def write(self, start: int, piece: memoryview) -> None:
        """Write a span where it belongs."""
        descriptor = self._open()
        written = 0
        while written < len(piece):
            written += os.pwrite(descriptor, piece[written:], start + written)

    def deposit(
        self, start: int, buffer: memoryview, count: int, release: Callable[[memoryview], None]
    ) -> bool | None:
        """Hash a span that was written, when its turn has come, and all that wait behind it.

        Each buffer is released when it has been hashed. Returns whether the file is whole, False
        if it must be downloaded again, None while spans are missing.

        Raises:
            WrongCopy: it was downloaded twice, and is not what the manifest names.
        """
        with self._lock:
            self._ready[start] = (buffer, count)
            if self._draining:
                return None
            self._draining = True
        while True:
            with self._lock:
                ready = self._ready.pop(self._hashed, None)
                if ready is None:
                    self._draining = False
                    return None
            piece, length = ready
            self._digest.update(piece[:length])
            self._hashed += length
            release(piece)
            if self._hashed == self.entry.size:
                return self._finished()
            if self._hashed // SPAN_BYTES % _NOTE_EVERY == 0:
                self._note.write_text(f"{self._hashed}\n", encoding="ascii")

    def _finished(self) -> bool:
        found = self._digest.hexdigest()
        if found == self.entry.sha256:
            os.close(self._descriptor)
            self._part.replace(self._final)
            return True
        self._note.unlink(missing_ok=True)
        if not self._resumed:
            self._founds.append(found)
        if len(self._founds) >= TRIES:
            raise WrongCopy(self._difference())
        self._begin(0)
        return False

    def _difference(self) -> str:
        expected = f"{self.where}: expected SHA-256 {self.entry.sha256}"
        first, second = self._founds
        if first != second:
            return (
                f"{expected}, found {first}, then {second}: the bytes change on their way; test "
                "the network and the memory of this node and of the object store"
            )
        return (
            f"{expected}, found {first}, twice: someone changed the object store; nothing is "
            "served from it; find out who, then publish the model anew"
        )


def _hash(
    descriptor: int, size: int, update: Callable[[memoryview], None], buffer: memoryview
) -> bool:
    """Hash the first `size` bytes of a file; say whether there were so many."""
    at = 0
    while at < size:
        count = os.preadv(descriptor, [buffer[: min(len(buffer), size - at)]], at)
        if not count:
            return False
        update(buffer[:count])
        at += count
    return True
