"""One bucket of an S3 object store: what can be asked of it, in S3's words; nothing of ours in it.

Every write carries an `x-amz-checksum-crc64nvme` header that the server verifies before the object
exists. An ETag is no digest of a multipart object. How requests travel is in `s3_http.py`.
Reference: Amazon S3 API, "Checking object integrity" and "Conditional requests".
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from xml.sax.saxutils import escape

from resources.s3_errors import (
    ChecksumRefused,
    ObjectNotFound,
    ObjectStoreError,
    ObjectTooLarge,
    PreconditionFailed,
    StoreRefused,
    StoreUnavailable,
)
from resources.s3_http import MAX_ANSWER_BYTES, Answer, Body, Request, S3Http, text
from resources.s3_signature import Signer

__all__ = [
    "ChecksumRefused",
    "HeldPart",
    "ObjectNotFound",
    "ObjectStore",
    "ObjectStoreError",
    "ObjectTooLarge",
    "OpenUpload",
    "SentPart",
    "StoreRefused",
    "StoreUnavailable",
    "StoredObject",
    "crc64nvme",
    "joined_crc64",
]
REGION = "us-east-1"
CHUNK_BYTES = 2**20
_CHECKSUM = "x-amz-checksum-crc64nvme"
_CHECKSUM_TYPE = "x-amz-checksum-type"
_FULL_OBJECT = "FULL_OBJECT"
_METADATA = "x-amz-meta-"


@dataclass(frozen=True)
class StoredObject:
    """One object as a listing shows it."""

    key: str
    size: int
    etag: str


@dataclass(frozen=True)
class OpenUpload:
    """A multipart upload that was begun and neither completed nor aborted."""

    key: str
    upload_id: str
    initiated: str = ""  # RFC 3339


@dataclass(frozen=True)
class SentPart:
    """One part that the server holds: what completing the upload needs to name it."""

    number: int
    etag: str
    crc64: int
    size: int


@dataclass(frozen=True)
class HeldPart:
    """One part as the server lists it; not every server lists its checksum."""

    number: int
    etag: str
    size: int
    crc64: int | None


def crc64nvme(data: Body, previous: int = 0) -> int:
    """Return the CRC64NVME of `data`, going on from `previous`."""
    from awscrt import checksums

    return int(checksums.crc64nvme(data, previous))


def joined_crc64(parts: Sequence[SentPart]) -> int:
    """Return the CRC64NVME of the whole object, from those of its parts in order."""
    from awscrt import checksums

    whole = 0
    for part in parts:
        whole = int(checksums.combine_crc64nvme(whole, part.crc64, part.size))
    return whole


def _written(crc64: int) -> str:
    return b64encode(crc64.to_bytes(8, "big")).decode("ascii")


def _read(crc64: str | None) -> int | None:
    return int.from_bytes(b64decode(crc64), "big") if crc64 else None


def _metadata_headers(metadata: Mapping[str, str] | None) -> dict[str, str]:
    return {_METADATA + name.lower(): value for name, value in (metadata or {}).items()}


@dataclass(frozen=True)
class ObjectStore:
    """A bucket as one identity sees it. Connections open on first use and serve all threads."""

    endpoint_url: str
    bucket: str
    credentials_file: Path

    @cached_property
    def _http(self) -> S3Http:
        access_key, secret_key = self._credentials()
        return S3Http(self.endpoint_url, self.bucket, Signer(access_key, secret_key, REGION))

    def _credentials(self) -> tuple[str, str]:
        try:
            keys = json.loads(self.credentials_file.read_text(encoding="utf-8"))
            return str(keys["access_key"]), str(keys["secret_key"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            message = (
                f"{self.credentials_file}: expected JSON with access_key and secret_key, "
                f"found {type(error).__name__}; is the platform set up here?"
            )
            raise StoreRefused(message) from None

    def _ask(
        self,
        method: str,
        key: str,
        what: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body = b"",
        limit: int = MAX_ANSWER_BYTES,
    ) -> Answer:
        return self._http.ask(Request(method, key, what, query or {}, headers or {}, body), limit)

    def ensure_bucket(self) -> bool:
        """Make the bucket if it is not there; say whether it was made."""
        try:
            self._ask("HEAD", "", "look for bucket")
        except ObjectNotFound:
            try:
                self._ask("PUT", "", "make bucket")
            except StoreUnavailable as error:
                if "BucketAlready" not in str(error):
                    raise
                return False
            return True
        return False

    def put(
        self,
        key: str,
        body: Body,
        *,
        crc64: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Write one object, the server verifying its checksum; return its ETag."""
        headers = _metadata_headers(metadata)
        headers[_CHECKSUM] = _written(crc64nvme(body) if crc64 is None else crc64)
        return self._ask("PUT", key, "put", headers=headers, body=body).headers.get("etag", "")

    def put_if_absent(
        self, key: str, body: Body, *, metadata: Mapping[str, str] | None = None
    ) -> bool:
        """Write one object unless the key is taken (`If-None-Match: *`); say whether it was.

        Where an answer was lost and the request repeated, the object that is found may be our own.
        """
        headers = _metadata_headers(metadata)
        headers |= {_CHECKSUM: _written(crc64nvme(body)), "if-none-match": "*"}
        try:
            self._ask("PUT", key, "put if absent", headers=headers, body=body)
        except PreconditionFailed:
            return False
        return True

    def get(self, key: str, limit: int) -> bytes:
        """Read a whole object of at most `limit` bytes.

        Raises:
            ObjectNotFound: there is none.
            ObjectTooLarge: it is larger than `limit`.
        """
        return self._ask("GET", key, "get", limit=limit).body

    def stream(self, key: str, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
        """Read an object piece by piece, never holding more than one piece."""
        return self._http.stream(Request("GET", key, "get", {}, {}), chunk_bytes)

    def metadata(self, key: str) -> dict[str, str]:
        """Return the user metadata of an object."""
        headers = self._ask("HEAD", key, "head").headers
        named = ((name.lower(), value) for name, value in headers.items())
        return {n[len(_METADATA) :]: value for n, value in named if n.startswith(_METADATA)}

    def checksum(self, key: str) -> int | None:
        """Return the CRC64NVME of the whole object as the server keeps it, if it keeps one.

        Raises:
            ObjectNotFound: there is no such object.
        """
        asked = {"x-amz-checksum-mode": "ENABLED"}
        headers = self._ask("HEAD", key, "head", headers=asked).headers
        if headers.get(_CHECKSUM_TYPE, _FULL_OBJECT) != _FULL_OBJECT:
            return None
        return _read(headers.get(_CHECKSUM))

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Give every object whose key begins with `prefix`, in the order of keys."""
        query = {"list-type": "2", "prefix": prefix}
        while True:
            page = self._ask("GET", "", f"list {prefix} in", query=query).xml()
            for found in page.iterfind("{*}Contents"):
                size = int(text(found, "Size", "0"))
                yield StoredObject(text(found, "Key"), size, text(found, "ETag"))
            if text(page, "IsTruncated") != "true":
                return
            query["continuation-token"] = text(page, "NextContinuationToken")

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""
        with suppress(ObjectNotFound):
            self._ask("DELETE", key, "delete")

    def create_multipart(self, key: str, metadata: Mapping[str, str] | None = None) -> str:
        """Begin an upload in parts whose whole will have a CRC64NVME; return its id."""
        headers = _metadata_headers(metadata)
        headers |= {"x-amz-checksum-algorithm": "CRC64NVME", _CHECKSUM_TYPE: _FULL_OBJECT}
        answer = self._ask("POST", key, "begin multipart", query={"uploads": ""}, headers=headers)
        return text(answer.xml(), "UploadId")

    def upload_part(
        self, key: str, upload_id: str, number: int, body: Body, *, crc64: int | None = None
    ) -> SentPart:
        """Send part `number` (from 1), the server verifying its checksum."""
        crc64 = crc64nvme(body) if crc64 is None else crc64
        answer = self._ask(
            "PUT",
            key,
            f"put part {number} of",
            query={"partNumber": str(number), "uploadId": upload_id},
            headers={_CHECKSUM: _written(crc64)},
            body=body,
        )
        return SentPart(number, answer.headers.get("etag", ""), crc64, len(body))

    def complete_multipart(self, key: str, upload_id: str, parts: Sequence[SentPart]) -> None:
        """Make the object of its parts, the server verifying the checksum of the whole."""
        ordered = sorted(parts, key=lambda part: part.number)
        whole = joined_crc64(ordered)
        named = "".join(
            f"<Part><PartNumber>{p.number}</PartNumber><ETag>{escape(p.etag)}</ETag>"
            f"<ChecksumCRC64NVME>{_written(p.crc64)}</ChecksumCRC64NVME></Part>"
            for p in ordered
        )
        namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
        body = f'<CompleteMultipartUpload xmlns="{namespace}">{named}</CompleteMultipartUpload>'
        try:
            self._ask(
                "POST",
                key,
                "complete multipart",
                query={"uploadId": upload_id},
                headers={_CHECKSUM: _written(whole), _CHECKSUM_TYPE: _FULL_OBJECT},
                body=body.encode(),
            )
        except ObjectNotFound as gone:
            # The answer to an earlier request may have been lost: is the object what we asked for?
            try:
                made = self.checksum(key)
            except ObjectNotFound:
                raise gone from None
            if made != whole:
                raise

    def abort_multipart(self, key: str, upload_id: str) -> None:
        """Drop an upload and its parts; one that is gone already is no error."""
        with suppress(ObjectNotFound):
            self._ask("DELETE", key, "abort multipart", query={"uploadId": upload_id})

    def open_uploads(self, prefix: str) -> Iterator[OpenUpload]:
        """Give every upload in parts under `prefix` that was begun and never ended."""
        query = {"uploads": "", "prefix": prefix}
        while True:
            page = self._ask("GET", "", f"list uploads of {prefix} in", query=query).xml()
            for found in page.iterfind("{*}Upload"):
                upload_id, initiated = text(found, "UploadId"), text(found, "Initiated")
                yield OpenUpload(text(found, "Key"), upload_id, initiated)
            if text(page, "IsTruncated") != "true":
                return
            query["key-marker"] = text(page, "NextKeyMarker")
            query["upload-id-marker"] = text(page, "NextUploadIdMarker")

    def held_parts(self, key: str, upload_id: str) -> Iterator[HeldPart]:
        """Give the parts of an open upload that the server holds.

        Raises:
            ObjectNotFound: there is no such upload.
        """
        query = {"uploadId": upload_id}
        while True:
            page = self._ask("GET", key, "list parts of", query=query).xml()
            for found in page.iterfind("{*}Part"):
                yield HeldPart(
                    int(text(found, "PartNumber", "0")),
                    text(found, "ETag"),
                    int(text(found, "Size", "0")),
                    _read(text(found, "ChecksumCRC64NVME")),
                )
            if text(page, "IsTruncated") != "true":
                return
            query["part-number-marker"] = text(page, "NextPartNumberMarker")
