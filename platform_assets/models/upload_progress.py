"""What is said while a copy is made: how far it is, how fast, and how long it will take."""

import time
from collections.abc import Callable
from threading import Lock

MIB = 2**20
SAY_EVERY_S = 5.0


class Progress:
    """Says every few seconds how far a transfer is, how fast, and how long it will take."""

    def __init__(
        self, total: int, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin at zero of `total` bytes."""
        self._total, self._say, self._clock = total, say, clock
        self._sent = self._kept = 0
        self._begun = self._said = clock()
        self._lock = Lock()

    @property
    def sent(self) -> int:
        """How many bytes were sent."""
        return self._sent

    @property
    def kept(self) -> int:
        """How many bytes were found in the store as they had been read."""
        return self._kept

    def add(self, count: int) -> None:
        """Count `count` more bytes as sent."""
        self._count(count, 0)

    def keep(self, count: int) -> None:
        """Count `count` more bytes as read and found to be there."""
        self._count(0, count)

    def _count(self, sent: int, kept: int) -> None:
        with self._lock:
            self._sent += sent
            self._kept += kept
            now = self._clock()
            if now - self._said < SAY_EVERY_S:
                return
            self._said = now
            self._say(self._words(now - self._begun))

    def _words(self, seconds: float) -> str:
        done = self._sent + self._kept
        rate = done / seconds
        left = (self._total - done) / rate if rate else 0.0
        there = f" ({self._kept / MIB:,.0f} MiB were there already)" if self._kept else ""
        return (
            f"sent {done / MIB:,.0f} of {self._total / MIB:,.0f} MiB{there}, "
            f"{rate / MIB:,.0f} MiB/s, {left:,.0f} s left"
        )
