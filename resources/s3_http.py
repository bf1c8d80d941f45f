"""S3 requests over HTTP/1.1: connections kept open, signing, bounded retries, errors in our words.

A body is sent from the caller's buffer without being copied. Bodies are not signed over TLS or
loopback, since every write carries a checksum that the server verifies; elsewhere they are. What is
asked, and what the answers mean, is in `object_store.py`. References: RFC 9112; Amazon S3 API,
"Error responses".
"""

import hashlib
import ssl
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from http.client import HTTPException, HTTPMessage, HTTPResponse
from socket import IPPROTO_TCP, SO_KEEPALIVE, SOL_SOCKET, TCP_NODELAY, create_connection, socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from xml.etree import ElementTree

from resources.s3_errors import (
    ChecksumRefused,
    ObjectStoreError,
    ObjectTooLarge,
    StoreUnavailable,
    error_of,
)
from resources.s3_signature import UNSIGNED, Signer, encoded_path, encoded_query

if TYPE_CHECKING:
    from tenacity import Retrying

Body = bytes | bytearray | memoryview
CONNECT_TIMEOUT_S = 5.0
SILENCE_TIMEOUT_S = 60.0  # without a byte sent or received
MAX_ATTEMPTS = 4
MAX_ANSWER_BYTES = 64 * 2**20
_IDLE_CONNECTIONS = 16
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@dataclass(frozen=True)
class Answer:
    """A successful answer, its body read."""

    status: int
    headers: HTTPMessage
    body: bytes

    def xml(self) -> ElementTree.Element:
        """Parse the body; find elements as `{*}Name`."""
        return _xml(self.body)


def _xml(body: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(body)  # noqa: S314 - from the store that holds our data


def text(element: ElementTree.Element, name: str, default: str = "") -> str:
    """Return the text of a child, whatever its namespace."""
    return element.findtext(f"{{*}}{name}") or default


@dataclass(frozen=True)
class Request:
    """One request about a key of a bucket (or, with an empty key, about the bucket)."""

    method: str
    key: str
    what: str  # in words, for errors
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Body = b""


class S3Http:
    """Speaks to one endpoint about one bucket; serves all threads."""

    def __init__(self, endpoint_url: str, bucket: str, signer: Signer) -> None:
        """Prepare; nothing is connected yet."""
        url = urlsplit(endpoint_url)
        self._endpoint_url, self._bucket, self._signer = endpoint_url, bucket, signer
        self._tls = url.scheme == "https"
        self._host = url.hostname or ""
        self._port = url.port or (443 if self._tls else 80)
        self._netloc = url.netloc.rpartition("@")[2]
        self._unsigned = self._tls or self._host in _LOOPBACK
        self._idle: deque[socket] = deque(maxlen=_IDLE_CONNECTIONS)

    @cached_property
    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context()

    @cached_property
    def _retrying(self) -> "Retrying":
        import tenacity

        return tenacity.Retrying(
            stop=tenacity.stop_after_attempt(MAX_ATTEMPTS),
            wait=tenacity.wait_random_exponential(multiplier=0.25, max=4),
            retry=tenacity.retry_if_exception(_may_pass),
            reraise=True,
        )

    def ask(self, request: Request, limit: int = MAX_ANSWER_BYTES) -> Answer:
        """Send a request, again where that may help, and return its answer.

        Raises:
            ObjectTooLarge: the answer is longer than `limit`.
            ObjectStoreError: the store refused, or failed to the end.
        """
        return self._retrying(self._ask_once, request, limit)

    def _ask_once(self, request: Request, limit: int) -> Answer:
        response, connection = self._begin(request)
        try:
            body = self._body(request, response, limit)
        except (OSError, HTTPException) as error:
            connection.close()
            raise self._no_answer(request, error) from error
        except BaseException:
            connection.close()
            raise
        self._keep(response, connection)
        if response.status >= 300 or _is_late_error(request, body):
            raise self._error(request, response.status, body)
        return Answer(response.status, response.headers, body)

    def _body(self, request: Request, response: HTTPResponse, limit: int) -> bytes:
        limit = MAX_ANSWER_BYTES if response.status >= 300 else limit
        length = response.length
        if request.method != "HEAD" and length is not None and length > limit:
            message = f"{self._where(request)}: expected at most {limit} bytes, found {length}"
            raise ObjectTooLarge(message)
        return response.read()

    def stream(self, request: Request, chunk_bytes: int) -> Iterator[bytes]:
        """Send a request and give the body of its answer piece by piece.

        Raises:
            ObjectStoreError: the store refused or failed, or the body ended too early.
        """
        response, connection = self._retrying(self._begin_stream, request)
        try:
            while piece := response.read(chunk_bytes):
                yield piece
            if response.length:
                message = f"the answer ended {response.length} bytes too early"
                raise self._no_answer(request, message)
        except (OSError, HTTPException) as error:
            raise self._no_answer(request, error) from error
        finally:
            connection.close()

    def _begin_stream(self, request: Request) -> tuple[HTTPResponse, socket]:
        response, connection = self._begin(request)
        if response.status >= 300:
            with connection:
                body = b""
                with suppress(OSError, HTTPException):
                    body = response.read()
                raise self._error(request, response.status, body)
        return response, connection

    def _begin(self, request: Request) -> tuple[HTTPResponse, socket]:
        """Send the request and read the head of its answer."""
        idle = self._take_idle()
        if idle is not None:
            try:
                return self._talk(idle, request), idle
            except TimeoutError as error:
                raise self._no_answer(request, error) from error
            except (OSError, HTTPException):
                pass  # it may have been closed while it was idle: say it on a new one
        try:
            connection = self._connect()
            return self._talk(connection, request), connection
        except (OSError, HTTPException) as error:
            raise self._no_answer(request, error) from error

    def _take_idle(self) -> socket | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _connect(self) -> socket:
        plain = create_connection((self._host, self._port), CONNECT_TIMEOUT_S)
        plain.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        plain.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)
        plain.settimeout(SILENCE_TIMEOUT_S)
        return self._context.wrap_socket(plain, server_hostname=self._host) if self._tls else plain

    def _talk(self, connection: socket, request: Request) -> HTTPResponse:
        """Send the request; an error of the way is raised only if there is no answer either."""
        failure: OSError | None = None
        try:
            _send(connection, self._head(request), request.body, whole=not self._tls)
        except TimeoutError:
            connection.close()
            raise
        except OSError as error:
            failure = error  # a server that refuses may answer before it has read everything
        response = HTTPResponse(connection, method=request.method)
        try:
            response.begin()
        except (OSError, HTTPException) as error:
            connection.close()
            raise failure or error from None
        except BaseException:
            connection.close()
            raise
        if failure:
            response.will_close = True
        return response

    def _head(self, request: Request) -> bytes:
        path, query = encoded_path(self._bucket, request.key), encoded_query(request.query)
        payload = UNSIGNED if self._unsigned else hashlib.sha256(request.body).hexdigest()
        headers = self._signer.signed(
            request.method,
            path,
            query,
            {**request.headers, "host": self._netloc},
            payload=payload,
            now=datetime.now(UTC),
        )
        target = f"{path}?{query}" if query else path
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        length = len(request.body)
        head = f"{request.method} {target} HTTP/1.1\r\n{lines}content-length: {length}\r\n\r\n"
        return head.encode("latin-1")

    def _keep(self, response: HTTPResponse, connection: socket) -> None:
        if response.will_close or len(self._idle) >= _IDLE_CONNECTIONS:
            connection.close()
        else:
            self._idle.append(connection)

    def _where(self, request: Request) -> str:
        return f"{request.what} s3://{self._bucket}/{request.key} at {self._endpoint_url}"

    def _no_answer(self, request: Request, why: object) -> StoreUnavailable:
        message = f"{self._where(request)}: no answer: {why}; is the object store running?"
        return StoreUnavailable(message)

    def _error(self, request: Request, status: int, body: bytes) -> ObjectStoreError:
        code = message = ""
        with suppress(ElementTree.ParseError):
            root = _xml(body)
            code, message = text(root, "Code"), text(root, "Message")
        # An answer to HEAD has no body: only its status says what is wrong.
        status = 500 if status < 300 else status
        return error_of(status, code, message, self._where(request))


def _may_pass(error: BaseException) -> bool:
    """Say whether sending the same bytes again may help: never if they arrived as others."""
    return isinstance(error, StoreUnavailable) and not isinstance(error, ChecksumRefused)


def _is_late_error(request: Request, body: bytes) -> bool:
    """Say whether an answer that began as a success turned out to be none (only to POST)."""
    return request.method == "POST" and b"<Error" in body[:300]


def _send(connection: socket, head: bytes, body: Body, *, whole: bool) -> None:
    """Send head and body; the time-out counts from the last byte that was taken."""
    view = memoryview(body)
    if whole:
        sent = connection.sendmsg([head, view]) if view else connection.send(head)
        if sent < len(head):
            connection.sendall(head[sent:])
            sent = len(head)
        view = view[sent - len(head) :]
    else:
        connection.sendall(head)
    while view:
        view = view[connection.send(view) :]
