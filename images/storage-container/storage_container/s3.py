"""What is asked of the object store: a small object, a listing, a span of an object; with patience.

Redirects are not followed: whoever signs a request says to whom. Reference: Amazon S3 API, "Error
responses", GetObject, ListObjectsV2.
"""

import random
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar
from xml.etree import ElementTree

from storage_container.errors import AccessRefused, StoreUnreachable, WrongCopy
from storage_container.settings import Endpoint
from storage_container.signature import Signer, encoded_path, encoded_query
from storage_container.wire import Connection, Head, NoAnswer

_T = TypeVar("_T")
MAX_TRIES = 30
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
_MAX_ERROR_BYTES = 2**16
_MAX_LISTING_BYTES = 16 * 2**20
_CODE = re.compile(rb"<Code>([^<]{1,100})</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]{1,300})")
_PASSING = {"SlowDown", "RequestTimeout", "OperationAborted"}


class Stopped(Exception):
    """Another thread has failed; this one's work is no longer wanted."""


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `start` to `stop` of an object of `size` bytes."""

    key: str
    start: int
    stop: int
    size: int


class Store:
    """One bucket as one identity sees it; gives connections to threads."""

    def __init__(self, endpoint: Endpoint, bucket: str, say: Callable[[str], None]) -> None:
        self.endpoint, self.bucket, self.say = endpoint, bucket, say
        self.stopped = threading.Event()
        self._readers: list[Reader] = []
        self._context = _context(endpoint) if endpoint.tls else None
        keys = (endpoint.access_key, endpoint.secret_key, endpoint.region, endpoint.session_token)
        self.signer = Signer(*keys) if endpoint.access_key else None

    def reader(self) -> "Reader":
        """Return a new connection, for one thread."""
        bucket = f"{self.bucket}." if self.endpoint.virtual_bucket else ""
        reader = Reader(
            self, Connection(bucket + self.endpoint.host, self.endpoint.port, self._context)
        )
        self._readers.append(reader)
        return reader

    def stop(self) -> None:
        """Let all readers end at once."""
        self.stopped.set()
        for reader in list(self._readers):
            reader.connection.cut()


class Reader:
    """Reads from the store over one connection; for one thread."""

    def __init__(self, store: Store, connection: Connection) -> None:
        self._store, self.connection = store, connection
        endpoint = store.endpoint
        self._host = (
            f"{store.bucket}.{endpoint.netloc}" if endpoint.virtual_bucket else endpoint.netloc
        )
        self._root = "/" if endpoint.virtual_bucket else f"/{store.bucket}/"

    def get(self, key: str, limit: int) -> bytes:
        """Read a whole small object.

        Raises:
            StorageContainerError: it is not there, larger than `limit`, or cannot be had.
        """
        return self._patiently(lambda: self._ask(key, {}, limit))

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Give key and size of every object whose key begins with `prefix`."""
        query = {"list-type": "2", "prefix": prefix, "max-keys": "1000"}
        while True:
            page = self._patiently(lambda: self._page(query))
            for found in page.iterfind("{*}Contents"):
                yield found.findtext("{*}Key") or "", int(found.findtext("{*}Size") or 0)
            token = page.findtext("{*}NextContinuationToken")
            if page.findtext("{*}IsTruncated") != "true" or not token:
                return
            query["continuation-token"] = token

    def fill(self, span: Span, target: memoryview) -> None:
        """Fill `target` with the bytes of the span; a dropped answer goes on where it stopped.

        Raises:
            StorageContainerError: the object is not there, has another size, or cannot be had.
            Stopped: another thread has failed.
        """
        patience = Patience(self._store)
        got = 0
        while True:
            try:
                for count in self._receive(span, got, target):
                    got += count
            except StoreUnreachable as failure:
                self.connection.close()
                patience.wait(failure, got)
            except BaseException:
                self.connection.close()
                raise
            else:
                return

    def _receive(self, span: Span, got: int, target: memoryview) -> Iterator[int]:
        begin = span.start + got
        part = begin > 0 or span.stop < span.size
        headers = {"range": f"bytes={begin}-{span.stop - 1}"} if part else {}
        head = self._begin(span.key, {}, headers)
        if head.status == 416:
            message = f"expected {span.size} bytes, found fewer"
            raise self._wrong(span.key, message)
        if head.status not in {200, 206}:
            raise self._refusal(span.key, head)
        found = head.total if head.status == 206 else head.length
        if found is not None and found != span.size:
            raise self._wrong(span.key, f"expected {span.size} bytes, found {found}")
        if head.status != (206 if part else 200) or head.length != span.stop - begin:
            message = f"asked for bytes {begin} to {span.stop - 1}, got status {head.status} with "
            raise self._unreachable(span.key, f"{message}{head.length} bytes")
        try:
            yield from self.connection.receive(target[got:])
        except NoAnswer as error:
            raise self._unreachable(span.key, error) from error
        if head.closes:
            self.connection.close()

    def _patiently(self, ask: Callable[[], _T]) -> _T:
        patience = Patience(self._store)
        while True:
            try:
                return ask()
            except StoreUnreachable as failure:
                self.connection.close()
                patience.wait(failure)

    def _page(self, query: Mapping[str, str]) -> ElementTree.Element:
        data = self._ask("", query, _MAX_LISTING_BYTES)
        try:
            return ElementTree.fromstring(data)  # noqa: S314 - expat bounds what entities may grow to
        except ElementTree.ParseError as error:
            what = f"the listing of {query['prefix']} is not XML: {error}"
            raise self._unreachable("", what) from error

    def _ask(self, key: str, query: Mapping[str, str], limit: int) -> bytes:
        head = self._begin(key, query, {})
        if head.status != 200:
            raise self._refusal(key, head)
        try:
            body = self.connection.body(head, limit)
        except NoAnswer as error:
            raise self._unreachable(key, error) from error
        if head.closes or body is None:
            self.connection.close()
        if body is None:
            raise self._wrong(key, f"expected at most {limit} bytes, found more")
        return body

    def _begin(self, key: str, query: Mapping[str, str], more: Mapping[str, str]) -> Head:
        if self._store.stopped.is_set():
            raise Stopped
        path = encoded_path(self._root + key) if key else self._root
        text = encoded_query(query)
        headers = {"host": self._host, **more}
        if self._store.signer:
            headers = self._store.signer.signed("GET", path, text, headers, datetime.now(UTC))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        target = f"{path}?{text}" if text else path
        try:
            return self.connection.ask(f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1"))
        except NoAnswer as error:
            raise self._unreachable(key, error) from error
        except ssl.SSLCertVerificationError as error:
            message = (
                f"{self._store.endpoint.url}: its certificate is not trusted: "
                f"{error.verify_message}; give its authority by the annotation "
                "serving.kserve.io/s3-cabundle-configmap of the Secret"
            )
            raise AccessRefused(message) from error

    def _where(self, key: str) -> str:
        return f"s3://{self._store.bucket}/{key}"

    def _wrong(self, key: str, what: str) -> WrongCopy:
        why = "someone changed the object store; find out who, then publish the model anew"
        return WrongCopy(f"{self._where(key)}: {what}: {why}")

    def _unreachable(self, key: str, why: object) -> StoreUnreachable:
        return StoreUnreachable(f"{self._where(key)} at {self._store.endpoint.url}: {why}")

    def _refusal(self, key: str, head: Head) -> Exception:
        """Return the error that this answer means; its body is read for the words."""
        try:
            body = self.connection.body(head, _MAX_ERROR_BYTES) or b""
        except NoAnswer:
            body = b""
        self.connection.close()
        code, message = _said(_CODE, body), _said(_MESSAGE, body)
        words = f"{head.status} {code}".rstrip() + (f" ({message})" if message else "")
        where, at = self._where(key), self._store.endpoint.url
        if head.status >= 500 or head.status in {408, 409, 429} or code in _PASSING:
            return self._unreachable(key, f"the store answers {words}")
        if 300 <= head.status < 400:
            to = head.headers.get(b"location", b"").decode("latin-1")[:200]
            hint = "redirects are not followed; name the store's own address and region"
            return AccessRefused(f"{where} at {at}: {words}, sent on to {to!a}: {hint}")
        if code == "NoSuchBucket":
            hint = "is SOURCE right, and the annotation serving.kserve.io/s3-endpoint?"
            return WrongCopy(
                f"bucket {self._store.bucket} at {at}: there is none ({words}); {hint}"
            )
        if head.status == 404:
            return MissingObject(f"{where}: there is no such object at {at} ({words})")
        if head.status in {401, 403}:
            return AccessRefused(f"{where} at {at}: {words}; {_remedy(code)}")
        return AccessRefused(f"{where} at {at}: {words}; expected it to be readable")


class MissingObject(WrongCopy):
    """There is no such object."""


class Patience:
    """How long failures of one request are borne: so many seconds without a byte."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._begun = self._last = time.monotonic()
        self._got = self._tries = self._row = 0

    def wait(self, failure: StoreUnreachable, got: int = 0) -> None:
        """Wait before the next try.

        Raises:
            StoreUnreachable: it has lasted too long; the words say how long.
            Stopped: another thread has failed.
        """
        if self._store.stopped.is_set():
            raise Stopped from failure
        now = time.monotonic()
        if got > self._got:
            self._got, self._last, self._row = got, now, 0
        self._tries += 1
        left = self._last + self._store.endpoint.patience_s - now
        if left <= 0 or self._tries >= MAX_TRIES:
            message = (
                f"{failure}; gave up after {self._tries} tries in {now - self._begun:.0f} s; is "
                f"the object store at {self._store.endpoint.url} up, and reachable from this pod?"
            )
            raise StoreUnreachable(message) from failure
        pause = min(FIRST_PAUSE_S * 2**self._row, LONGEST_PAUSE_S) * random.uniform(0.5, 1)  # noqa: S311
        self._row += 1
        self._store.say(f"{failure}; trying again")
        if self._store.stopped.wait(min(pause, left)):
            raise Stopped


def _said(pattern: re.Pattern[bytes], body: bytes) -> str:
    found = pattern.search(body)
    text = found[1].decode("utf-8", "replace") if found else ""
    return "".join(character for character in text if character.isprintable())


def _remedy(code: str) -> str:
    if code in {"InvalidAccessKeyId", "SignatureDoesNotMatch"}:
        return "the keys are wrong: correct the Secret that the predictor's service account names"
    if code in {"RequestTimeTooSkewed", "ExpiredToken"}:
        return "the clock of this node or the token is out of date"
    return (
        "the store refuses these keys: they must be allowed to get and list the objects under "
        "this prefix; correct the Secret that the predictor's service account names"
    )


def _context(endpoint: Endpoint) -> ssl.SSLContext:
    authority = str(endpoint.authority) if endpoint.authority else None
    context = ssl.create_default_context(cafile=authority)
    if not endpoint.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
