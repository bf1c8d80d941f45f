"""One HTTP/1.1 connection that reads: heads, bodies into the caller's memory, nothing kept.

`http.client` spends more on one answer than a small object costs, and copies its bytes once more.
What is asked and what answers mean is in `s3.py`. Reference: RFC 9112.
"""

import socket
import ssl
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

CONNECT_TIMEOUT_S = 5.0
SILENCE_TIMEOUT_S = 20.0  # without a byte received
_HEAD_BYTES = 2**16
_STEP = 2**20


class NoAnswer(Exception):
    """The connection failed, or what came over it is not HTTP; the request may be sent again."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an answer."""

    status: int
    headers: Mapping[bytes, bytes]  # names in lower case

    @property
    def length(self) -> int | None:
        """How many bytes follow, where the head says it."""
        text = self.headers.get(b"content-length", b"")
        return int(text) if text.isdigit() else None

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks of its own framing."""
        return b"chunked" in self.headers.get(b"transfer-encoding", b"").lower()

    @property
    def closes(self) -> bool:
        """Whether the server hangs up after this answer."""
        return self.headers.get(b"connection", b"").lower() == b"close"

    @property
    def total(self) -> int | None:
        """The size of the whole object, where this is the answer to a request for a range."""
        text = self.headers.get(b"content-range", b"").rpartition(b"/")[2]
        return int(text) if text.isdigit() else None


class Connection:
    """A connection to one host, opened on first use; for one thread at a time."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        self._host, self._port, self._context = host, port, context
        self._socket: socket.socket | None = None
        self._buffer = bytearray(_HEAD_BYTES)
        self._view = memoryview(self._buffer)
        self._begin = self._end = 0  # what was received with the head and is not yet read
        self._cut = False

    def ask(self, request: bytes) -> Head:
        """Send a request and read the head of its answer.

        Raises:
            NoAnswer: none came, or none that HTTP knows.
            ssl.SSLCertVerificationError: the server is not the one it should be.
        """
        if self._socket is not None:
            with suppress(OSError, NoAnswer):  # it may have been closed while it was idle
                return self._talk(self._socket, request)
            self.close()
        try:
            return self._talk(self._connected(), request)
        except ssl.SSLCertVerificationError:
            raise
        except OSError as error:
            self.close()
            raise NoAnswer(_words(error)) from error

    def _connected(self) -> socket.socket:
        if self._cut:
            raise NoAnswer("stopped")
        opened = socket.create_connection((self._host, self._port), CONNECT_TIMEOUT_S)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is not None:
            opened = self._context.wrap_socket(opened, server_hostname=self._host)
            opened.settimeout(SILENCE_TIMEOUT_S)
        else:
            # The kernel keeps the time, so that one call can wait for many bytes.
            opened.settimeout(None)
            silence = struct.pack("ll", int(SILENCE_TIMEOUT_S), 0)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, silence)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, silence)
        self._socket = opened
        return opened

    def _talk(self, connection: socket.socket, request: bytes) -> Head:
        self._begin = self._end = 0
        connection.sendall(request)
        received = 0
        while True:
            count = connection.recv_into(self._view[received:])
            if not count:
                raise NoAnswer("the connection ended before the answer began")
            searched, received = max(received - 3, 0), received + count
            end = self._buffer.find(b"\r\n\r\n", searched, received)
            if end >= 0:
                self._begin, self._end = end + 4, received
                return _head(bytes(self._view[:end]))
            if received == _HEAD_BYTES:
                raise NoAnswer(f"the head of the answer has more than {_HEAD_BYTES} bytes")

    def receive(self, target: memoryview) -> Iterator[int]:
        """Fill `target` with the bytes that follow; give how many came, as they come.

        Raises:
            NoAnswer: the connection ended or fell silent before it was full.
        """
        have = min(self._end - self._begin, len(target))
        if have:
            target[:have] = self._view[self._begin : self._begin + have]
            self._begin += have
            yield have
        flags = 0 if self._context else socket.MSG_WAITALL
        while have < len(target):
            try:
                if self._socket is None:
                    raise NoAnswer("stopped")
                wanted = min(len(target) - have, _STEP)
                count = self._socket.recv_into(target[have : have + wanted], wanted, flags)
            except OSError as error:
                raise NoAnswer(_words(error)) from error
            if not count:
                message = f"the connection ended {len(target) - have} bytes too early"
                raise NoAnswer(message)
            have += count
            yield count

    def body(self, head: Head, limit: int) -> bytes | None:
        """Read a whole body; None if it has more than `limit` bytes.

        Raises:
            NoAnswer: it ended too early.
        """
        if head.chunked:
            return self._chunks(limit)
        if head.length is None:
            return self._until_closed(limit)
        if head.length > limit:
            return None
        data = bytearray(head.length)
        for _ in self.receive(memoryview(data)):
            pass
        return bytes(data)

    def _chunks(self, limit: int) -> bytes | None:
        body = bytearray()
        while True:
            text = self._line().partition(b";")[0].strip()
            try:
                size = int(text, 16)
            except ValueError:
                message = f"expected the size of a chunk, found {text[:20]!a}"
                raise NoAnswer(message) from None
            if size == 0:
                while self._line():
                    pass
                return bytes(body)
            if len(body) + size > limit:
                return None
            piece = bytearray(size + 2)
            for _ in self.receive(memoryview(piece)):
                pass
            body += piece[:-2]

    def _line(self) -> bytes:
        line = bytearray()
        byte = bytearray(1)
        while not line.endswith(b"\r\n"):
            if len(line) > _HEAD_BYTES:
                raise NoAnswer("a line without end")
            for _ in self.receive(memoryview(byte)):
                line += byte
        return bytes(line[:-2])

    def _until_closed(self, limit: int) -> bytes | None:
        body = bytearray()
        piece = bytearray(_HEAD_BYTES)
        while len(body) <= limit:
            try:
                for count in self.receive(memoryview(piece)):
                    body += piece[:count]
                    break
            except NoAnswer:
                self.close()
                return bytes(body)
        return None

    def close(self) -> None:
        """Hang up; the next request opens a new connection."""
        opened, self._socket = self._socket, None
        self._begin = self._end = 0
        if opened is not None:
            opened.close()

    def cut(self) -> None:
        """Let whoever waits on this connection fail at once, and open no other."""
        self._cut = True
        opened = self._socket
        if opened is not None:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)


def _head(data: bytes) -> Head:
    lines = data.split(b"\r\n")
    words = lines[0].split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        message = f"expected an answer of HTTP/1.1, found {lines[0][:40]!a}"
        raise NoAnswer(message)
    headers: dict[bytes, bytes] = {}
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        headers[name.strip().lower()] = value.strip()
    return Head(int(words[1]), headers)


def _words(error: OSError) -> str:
    if isinstance(error, TimeoutError | BlockingIOError):
        return "it was silent for too long"
    return error.strerror or str(error) or type(error).__name__
