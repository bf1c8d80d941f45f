"""A network that fails as told: an HTTP/1.1 relay on a real socket in front of a real server.

Each request is read, judged by the fault in force, and passed on. Requests keep their Host header,
which S3 signatures cover; `Expect: 100-continue` is answered here. Not a test double: what is
behind it is the real server, and what goes wrong is the connection.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus

_HEAD_BYTES = 2**18
_CHUNK = 2**16
_IDLE_S = 120.0
_LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True)
class Request:
    """The head of a request: enough to decide about it."""

    method: str
    path: str
    head: bytes
    length: int

    @property
    def is_upload(self) -> bool:
        """Whether bytes of an object are being sent."""
        return self.method == "PUT" and self.length > 0


def any_request(_request: Request) -> bool:
    """Let the fault meet every request."""
    return True


def uploads(request: Request) -> bool:
    """Let the fault meet whatever carries an object's bytes."""
    return request.is_upload


def downloads(request: Request) -> bool:
    """Let the fault meet reads of single objects."""
    return request.method == "GET" and "list-type" not in request.path and "?" not in request.path


@dataclass
class Fault:
    """What goes wrong, with which requests, and how many times; `met` counts them."""

    kind: str  # refuse, status, slow, drop, drop-received, flip-sent, flip-received
    which: Callable[[Request], bool] = any_request
    times: int | None = None
    status: int = 503
    code: str = "ServiceUnavailable"
    bytes_per_s: int = 200_000
    met: int = 0

    def meets(self, request: Request) -> bool:
        """Tell whether the fault meets this request, and count it."""
        if not self.which(request) or (self.times is not None and self.met >= self.times):
            return False
        self.met += 1
        return True


class FaultyNetwork:
    """Relays `url`'s address from a loopback port of its own."""

    def __init__(self, url: str) -> None:
        """Relay to the server at `url`; nothing listens until `start`."""
        host, _, port = url.removeprefix("http://").rstrip("/").partition(":")
        self._upstream = (host, int(port))
        self._fault: Fault | None = None
        self._listener: socket.socket | None = None
        self._port = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()

    @property
    def url(self) -> str:
        """Where clients find the server now."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen; the port stays the same from the first time on."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        listener.listen(64)
        self._port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections and cut those that are open."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            cut = list(self._open)
        for one in cut:
            _reset(one)

    @contextmanager
    def failing(self, fault: Fault) -> Iterator[Fault]:
        """Have `fault` in force for a while."""
        if fault.kind == "refuse":
            self.stop()
        self._fault = fault
        try:
            yield fault
        finally:
            self._fault = None
            if fault.kind == "refuse":
                self.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            client.settimeout(_IDLE_S)
            with self._lock:
                self._open.add(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            while self._one_request(client):
                pass
        except (OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._open.discard(client)
            with suppress(OSError):
                client.close()

    def _one_request(self, client: socket.socket) -> bool:
        read = _read_head(client)
        if read is None:
            return False
        head, rest = read
        request = _request(head)
        if b"100-continue" in head.lower():
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        fault = self._fault
        fault = fault if fault is not None and fault.meets(request) else None
        with socket.create_connection(self._upstream, timeout=_IDLE_S) as server:
            body = _body(client, request.length, rest)
            if fault is not None and fault.kind == "status":
                for _ in body:
                    pass
                client.sendall(_refusal(fault))
                return True
            server.sendall(_without_expect(head))
            sent = 0
            for piece in body:
                if fault is not None and fault.kind == "drop" and sent >= request.length // 2:
                    _reset(client)
                    _reset(server)
                    return False
                whole = sent + len(piece) >= request.length
                if fault is not None and fault.kind == "flip-sent" and whole:
                    piece = piece[:-1] + bytes([piece[-1] ^ 1])  # noqa: PLW2901 - the bit flips
                server.sendall(piece)
                sent += len(piece)
                if fault is not None and fault.kind == "slow":
                    time.sleep(len(piece) / fault.bytes_per_s)
            return _relay_answer(server, client, request, fault)


def _reset(one: socket.socket) -> None:
    with suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        one.close()


def _read_head(one: socket.socket) -> tuple[bytes, bytes] | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = one.recv(_CHUNK)
        if not piece:
            return None
        data += piece
        if len(data) > _HEAD_BYTES and b"\r\n\r\n" not in data:
            raise ValueError("a head without end")
    head, _, rest = data.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", rest


def _header(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return None


def _request(head: bytes) -> Request:
    method, path, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
    return Request(method, path, head, int(_header(head, b"content-length") or 0))


def _without_expect(head: bytes) -> bytes:
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"expect:")]
    return b"\r\n".join(lines)


def _body(one: socket.socket, length: int, rest: bytes) -> Iterator[bytes]:
    left = length
    if rest and left:
        yield rest[:left]
        left -= len(rest[:left])
    while left > 0:
        piece = one.recv(min(_CHUNK, left))
        if not piece:
            raise ValueError("the client went away")
        left -= len(piece)
        yield piece


def _refusal(fault: Fault) -> bytes:
    text = (
        f'<?xml version="1.0"?><Error><Code>{fault.code}</Code>'
        "<Message>as the test wishes</Message></Error>"
    ).encode()
    words = HTTPStatus(fault.status).phrase
    head = f"HTTP/1.1 {fault.status} {words}\r\nContent-Type: application/xml\r\n"
    return f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text


def _relay_answer(
    server: socket.socket, client: socket.socket, request: Request, fault: Fault | None
) -> bool:
    read = _read_head(server)
    if read is None:
        return False
    head, rest = read
    length = _header(head, b"content-length")
    status = head.split(b" ", 2)[1]
    client.sendall(head)
    if request.method == "HEAD" or status in (b"204", b"304"):
        return True
    if length is not None:
        left = int(length)
        for piece in _body(server, left, rest):
            left -= len(piece)
            if fault is not None and fault.kind == "drop-received" and left <= int(length) // 2:
                client.sendall(piece[: len(piece) - int(length) // 2 + left])
                _reset(client)
                _reset(server)
                return False
            if fault is not None and fault.kind == "flip-received" and left == 0:
                piece = piece[:-1] + bytes([piece[-1] ^ 1])  # noqa: PLW2901 - the bit flips
            client.sendall(piece)
            if fault is not None and fault.kind == "slow":
                time.sleep(len(piece) / fault.bytes_per_s)
        return True
    data = rest
    while True:
        client.sendall(data)
        if (_header(head, b"transfer-encoding") or b"") == b"chunked" and data.endswith(
            _LAST_CHUNK
        ):
            return True
        data = server.recv(_CHUNK)
        if not data:
            return False
