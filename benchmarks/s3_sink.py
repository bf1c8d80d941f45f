"""An S3 server that discards what it is sent: what is left to measure is the client.

It keeps names, sizes and times of objects (and the bytes of small ones), so that clients which list
or look before they send find what they sent. It checks no signature and no checksum. Bodies are
dropped by the kernel (`MSG_TRUNC`), over TLS after decryption:

    .venv/bin/python -m benchmarks.s3_sink --port 9000 [--certificate FILE --key FILE]
"""

import argparse
import itertools
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from email.utils import formatdate
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

KEPT_BYTES = 2**20  # of objects named *.json, which clients read back
PIECE = 2**20
_uploads = itertools.count(1)


@dataclass
class Stored:
    """One object."""

    size: int
    when: float
    metadata: dict[str, str]
    body: bytes | None = None


class Sink:
    """The objects of all buckets; serves connections on threads of their own."""

    def __init__(self) -> None:
        self.objects: dict[str, Stored] = {}
        self.uploads: dict[str, tuple[str, dict[int, int], dict[str, str]]] = {}

    def serve(self, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        """Accept until the listener is closed."""
        while True:
            plain, _ = listener.accept()
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._converse, args=(plain, context), daemon=True).start()

    def _converse(self, plain: socket.socket, context: ssl.SSLContext | None) -> None:
        try:
            with context.wrap_socket(plain, server_side=True) if context else plain as connection:
                conversation = Conversation(self, connection, tls=context is not None)
                while conversation.exchange():
                    pass
        except OSError:
            return  # the client has gone


class Conversation:
    """One connection: requests in, answers out."""

    def __init__(self, sink: Sink, connection: socket.socket, *, tls: bool) -> None:
        self._sink, self._connection, self._tls = sink, connection, tls
        self._pending = b""
        self._buffer = bytearray(PIECE)

    def exchange(self) -> bool:
        """Answer one request; say whether there may be another."""
        head = self._until(b"\r\n\r\n")
        if head is None:
            return False
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("expect", "").lower() == "100-continue":
            self._connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        url = urlsplit(target)
        keep = url.path.endswith(".json") or method == "POST"
        sent = self._take(headers, keep=keep)
        query = {k: v[0] for k, v in parse_qs(url.query, keep_blank_values=True).items()}
        answer = self._answer(method, unquote(url.path), query, headers, sent)
        self._connection.sendall(answer)
        return headers.get("connection", "").lower() != "close"

    # Bodies

    def _until(self, end: bytes) -> bytes | None:
        while end not in self._pending:
            piece = self._connection.recv(65536)
            if not piece:
                return None
            self._pending += piece
        found, _, self._pending = self._pending.partition(end)
        return found

    def _take(self, headers: dict[str, str], *, keep: bool) -> tuple[int, bytes | None]:
        """Read the body; return the size of what it says, and that if it is to be kept."""
        chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        length = int(headers.get("content-length", "0"))
        decoded = headers.get("x-amz-decoded-content-length")
        if chunked:
            raw, length = [], 0
            while True:
                size = int((self._until(b"\r\n") or b"0").split(b";")[0], 16)
                if size == 0:
                    while self._until(b"\r\n"):
                        pass
                    break
                raw.append(self._read(size) if keep and size <= KEPT_BYTES else self._drop(size))
                length += size
                self._until(b"\r\n")
            body = b"".join(raw)
        elif keep and length <= KEPT_BYTES:
            body = self._read(length)
        else:
            body = self._drop(length)
        if decoded is not None:
            length = int(decoded)
            body = _unchunked(body) if keep else b""
        return length, body if keep else None

    def _read(self, length: int) -> bytes:
        while len(self._pending) < length:
            piece = self._connection.recv(65536)
            if not piece:
                raise ConnectionResetError
            self._pending += piece
        body, self._pending = self._pending[:length], self._pending[length:]
        return body

    def _drop(self, length: int) -> bytes:
        there = min(length, len(self._pending))
        self._pending, length = self._pending[there:], length - there
        flags = 0 if self._tls else socket.MSG_TRUNC
        while length:
            count = self._connection.recv_into(self._buffer, min(length, PIECE), flags)
            if count == 0:
                raise ConnectionResetError
            length -= count
        return b""

    # Answers

    def _answer(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        headers: dict[str, str],
        sent: tuple[int, bytes | None],
    ) -> bytes:
        sink, (size, body) = self._sink, sent
        bucket, _, key = path.lstrip("/").partition("/")
        name = f"{bucket}/{key}"
        meta = {n: v for n, v in headers.items() if n.startswith("x-amz-meta-")}
        if not key:
            return self._of_bucket(method, bucket, query)
        if method == "POST" and "uploads" in query:
            upload_id = f"upload-{next(_uploads)}"
            sink.uploads[upload_id] = (name, {}, meta)
            return _xml(
                f"<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{escape(key)}</Key>"
                f"<UploadId>{upload_id}</UploadId></InitiateMultipartUploadResult>"
            )
        if method == "PUT" and "partNumber" in query:
            sink.uploads[query["uploadId"]][1][int(query["partNumber"])] = size
            return _head(200, {"etag": f'"sink-part-{query["partNumber"]}"'})
        if method == "POST" and "uploadId" in query:
            _, parts, meta = sink.uploads.pop(query["uploadId"])
            sink.objects[name] = Stored(sum(parts.values()), time.time(), meta)
            return _xml(
                f"<CompleteMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{escape(key)}</Key>"
                f'<ETag>"sink-{len(parts)}"</ETag></CompleteMultipartUploadResult>'
            )
        if method == "PUT":
            if headers.get("if-none-match") == "*" and name in sink.objects:
                return _error(412, "PreconditionFailed")
            sink.objects[name] = Stored(size, time.time(), meta, body)
            return _head(200, {"etag": '"sink-1"'})
        if method == "DELETE":
            sink.objects.pop(name, None)
            return _head(204, {})
        found = sink.objects.get(name)
        if found is None:
            return _head(404, {}) if method == "HEAD" else _error(404, "NoSuchKey")
        told = {"etag": '"sink-1"', "last-modified": formatdate(found.when, usegmt=True)}
        told |= found.metadata
        if method == "HEAD":
            return _head(200, told, length=found.size)
        content = found.body if found.body is not None else bytes(found.size)
        return _head(200, told, length=len(content)) + content

    def _of_bucket(self, method: str, bucket: str, query: dict[str, str]) -> bytes:
        if method != "GET":
            return _head(200, {})
        if "location" in query:
            return _xml("<LocationConstraint/>")
        if "uploads" in query:
            return _xml(
                "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>"
                "</ListMultipartUploadsResult>"
            )
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = query.get("continuation-token") or query.get("marker") or ""
        start = f"{bucket}/{prefix}"
        names = sorted(n for n in list(self._sink.objects) if n.startswith(start))
        keys = [n.partition("/")[2] for n in names]
        keys = [k for k in keys if k > after and not (delimiter and delimiter in k[len(prefix) :])]
        page, rest = keys[:1000], keys[1000:]
        contents = "".join(self._listed(bucket, key) for key in page)
        following = ""
        if rest:
            last = escape(page[-1])
            following = (
                f"<NextContinuationToken>{last}</NextContinuationToken>"
                f"<NextMarker>{last}</NextMarker>"
            )
        return _xml(
            f"<ListBucketResult><Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix>"
            f"<KeyCount>{len(page)}</KeyCount><MaxKeys>1000</MaxKeys>"
            f"<IsTruncated>{'true' if rest else 'false'}</IsTruncated>{following}{contents}"
            "</ListBucketResult>"
        )

    def _listed(self, bucket: str, key: str) -> str:
        found = self._sink.objects[f"{bucket}/{key}"]
        when = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(found.when))
        return (
            f"<Contents><Key>{escape(key)}</Key><LastModified>{when}</LastModified>"
            f'<ETag>"sink-1"</ETag><Size>{found.size}</Size>'
            "<StorageClass>STANDARD</StorageClass></Contents>"
        )


def _unchunked(body: bytes) -> bytes:
    """Take the chunk heads of `aws-chunked` out of a small body."""
    pieces, at = [], 0
    while at < len(body):
        end = body.index(b"\r\n", at)
        size = int(body[at:end].split(b";")[0], 16)
        if size == 0:
            break
        pieces.append(body[end + 2 : end + 2 + size])
        at = end + 2 + size + 2
    return b"".join(pieces)


def _head(status: int, headers: dict[str, str], length: int = 0) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    date = formatdate(usegmt=True)
    length_line = "" if status == 204 else f"content-length: {length}\r\n"
    return f"HTTP/1.1 {status} -\r\ndate: {date}\r\n{lines}{length_line}\r\n".encode("latin-1")


def _xml(content: str, status: int = 200) -> bytes:
    body = f'<?xml version="1.0" encoding="UTF-8"?>{content}'.encode()
    return _head(status, {"content-type": "application/xml"}, length=len(body)) + body


def _error(status: int, code: str) -> bytes:
    return _xml(f"<Error><Code>{code}</Code><Message>{code}</Message></Error>", status)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--certificate", help="serve TLS with this certificate")
    parser.add_argument("--key")
    options = parser.parse_args()
    context = None
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate, options.key)
    with socket.create_server(("127.0.0.1", options.port), backlog=128) as listener:
        Sink().serve(listener, context)


if __name__ == "__main__":
    main()
