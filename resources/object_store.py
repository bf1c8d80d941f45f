"""One bucket of an S3 object store, over botocore's low-level client; nothing of ours in it.

Every write carries an `x-amz-checksum-*` header that the server verifies before the object exists:
CRC64NVME where nothing else is given. (Bodies go unsigned; the checksum is the proof, and some
servers accept a wrong signed payload hash.) An ETag is no digest of a multipart object.
Reference: Amazon S3 API, "Checking object integrity" and "Conditional requests".
"""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from resources.errors import ResourceError

REGION = "us-east-1"
CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 60
MAX_ATTEMPTS = 4
CONNECTIONS = 16
CHUNK_BYTES = 2**20
_ABSENT = {"404", "NoSuchKey", "NotFound", "NoSuchUpload"}
_TAKEN = {"PreconditionFailed", "412"}
_WRONG_CHECKSUM = {"BadDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"}


class ObjectStoreError(ResourceError):
    """The root of what can go wrong with an object store."""


class ObjectNotFound(ObjectStoreError):
    """There is no such object or upload."""


class ObjectTooLarge(ObjectStoreError):
    """An object is larger than the caller is willing to hold."""


class StoreUnavailable(ObjectStoreError):
    """The store cannot be reached or is failing; the same request may succeed later."""


class StoreRefused(ObjectStoreError):
    """The store answered and said no; the same request will be refused again."""


class ChecksumRefused(StoreUnavailable):
    """The store received other bytes than were sent; sending them again may succeed."""


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


@dataclass(frozen=True)
class SentPart:
    """One part that the server holds: what completing the upload needs to name it."""

    number: int
    etag: str
    crc64: int
    size: int


def crc64nvme(data: bytes | bytearray | memoryview, previous: int = 0) -> int:
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


def _header(crc64: int) -> str:
    return b64encode(crc64.to_bytes(8, "big")).decode("ascii")


@dataclass(frozen=True)
class ObjectStore:
    """A bucket as one identity sees it. The client opens on first use and serves all threads."""

    endpoint_url: str
    bucket: str
    credentials_file: Path

    @cached_property
    def _client(self) -> Any:  # noqa: ANN401 - botocore has no types
        import botocore.session
        from botocore.config import Config

        access_key, secret_key = self._credentials()
        session = botocore.session.Session()
        # Nothing of the user's own AWS set-up may leak in.
        session.set_config_variable("config_file", "/dev/null")
        session.set_config_variable("credentials_file", "/dev/null")
        return session.create_client(
            "s3",
            region_name=REGION,
            endpoint_url=self.endpoint_url,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=Config(
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUT_S,
                retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
                max_pool_connections=CONNECTIONS,
                tcp_keepalive=True,
                proxies={},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path", "payload_signing_enabled": False},
            ),
        )

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

    @contextmanager
    def _asking(self, what: str, key: str = "") -> Iterator[None]:
        """Turn botocore's errors into ours; each names the request, the object and the store."""
        from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError
        from botocore.exceptions import ConnectionError as NoConnection

        where = f"{what} s3://{self.bucket}/{key} at {self.endpoint_url}"
        try:
            yield
        except ClientError as error:
            raise _client_error(error, where) from error
        except (HTTPClientError, NoConnection, IncompleteReadError, OSError) as error:
            message = f"{where}: no answer: {error}; is the object store running?"
            raise StoreUnavailable(message) from error

    def ensure_bucket(self) -> bool:
        """Make the bucket if it is not there; say whether it was made."""
        with self._asking("make bucket"):
            try:
                self._client.head_bucket(Bucket=self.bucket)
            except self._client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] not in _ABSENT | {"NoSuchBucket"}:
                    raise
            else:
                return False
            with suppress(
                self._client.exceptions.BucketAlreadyOwnedByYou,
                self._client.exceptions.BucketAlreadyExists,
            ):
                self._client.create_bucket(Bucket=self.bucket)
            return True

    def put(
        self,
        key: str,
        body: bytes | bytearray,
        *,
        crc64: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Write one object, the server verifying its checksum; return its ETag."""
        with self._asking("put", key):
            return self._put(key, body, crc64, metadata)

    def put_if_absent(
        self, key: str, body: bytes, *, metadata: Mapping[str, str] | None = None
    ) -> bool:
        """Write one object unless the key is taken (`If-None-Match: *`); say whether it was."""
        with self._asking("put if absent", key):
            try:
                self._put(key, body, None, metadata, IfNoneMatch="*")
            except self._client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] in _TAKEN:
                    return False
                raise
            return True

    def _put(
        self,
        key: str,
        body: bytes | bytearray,
        crc64: int | None,
        metadata: Mapping[str, str] | None,
        **conditions: str,
    ) -> str:
        answer = self._client.put_object(
            Bucket=self.bucket,
            Key=key,
            Body=body,
            ChecksumCRC64NVME=_header(crc64nvme(body) if crc64 is None else crc64),
            Metadata=dict(metadata or {}),
            **conditions,
        )
        return str(answer["ETag"])

    def get(self, key: str, limit: int) -> bytes:
        """Read a whole object of at most `limit` bytes.

        Raises:
            ObjectNotFound: there is none.
            ObjectTooLarge: it is larger than `limit`.
        """
        with self._asking("get", key):
            answer = self._client.get_object(Bucket=self.bucket, Key=key)
            with closing(answer["Body"]) as stream:
                size = int(answer["ContentLength"])
                if size > limit:
                    message = (
                        f"get s3://{self.bucket}/{key}: expected at most {limit} bytes, "
                        f"found {size}"
                    )
                    raise ObjectTooLarge(message)
                return bytes(stream.read())

    def stream(self, key: str, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
        """Read an object piece by piece, never holding more than one piece."""
        with self._asking("get", key):
            answer = self._client.get_object(Bucket=self.bucket, Key=key)
            with closing(answer["Body"]) as stream:
                yield from stream.iter_chunks(chunk_bytes)

    def metadata(self, key: str) -> dict[str, str]:
        """Return the user metadata of an object."""
        with self._asking("head", key):
            return dict(self._client.head_object(Bucket=self.bucket, Key=key)["Metadata"])

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Give every object whose key begins with `prefix`, in the order of keys."""
        with self._asking("list", prefix):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix):
                for found in page.get("Contents", ()):
                    yield StoredObject(found["Key"], int(found["Size"]), found["ETag"])

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""
        with self._asking("delete", key):
            self._client.delete_object(Bucket=self.bucket, Key=key)

    def create_multipart(self, key: str, metadata: Mapping[str, str] | None = None) -> str:
        """Begin an upload in parts whose whole will have a CRC64NVME; return its id."""
        with self._asking("begin multipart", key):
            answer = self._client.create_multipart_upload(
                Bucket=self.bucket,
                Key=key,
                ChecksumAlgorithm="CRC64NVME",
                ChecksumType="FULL_OBJECT",
                Metadata=dict(metadata or {}),
            )
            return str(answer["UploadId"])

    def upload_part(
        self, key: str, upload_id: str, number: int, body: bytes | bytearray
    ) -> SentPart:
        """Send part `number` (from 1), the server verifying its checksum."""
        with self._asking(f"put part {number} of", key):
            crc64 = crc64nvme(body)
            answer = self._client.upload_part(
                Bucket=self.bucket,
                Key=key,
                UploadId=upload_id,
                PartNumber=number,
                Body=body,
                ChecksumCRC64NVME=_header(crc64),
            )
            return SentPart(number, str(answer["ETag"]), crc64, len(body))

    def complete_multipart(self, key: str, upload_id: str, parts: Sequence[SentPart]) -> None:
        """Make the object of its parts, the server verifying the checksum of the whole."""
        ordered = sorted(parts, key=lambda part: part.number)
        named = [
            {"PartNumber": p.number, "ETag": p.etag, "ChecksumCRC64NVME": _header(p.crc64)}
            for p in ordered
        ]
        with self._asking("complete multipart", key):
            self._client.complete_multipart_upload(
                Bucket=self.bucket,
                Key=key,
                UploadId=upload_id,
                MultipartUpload={"Parts": named},
                ChecksumCRC64NVME=_header(joined_crc64(ordered)),
                ChecksumType="FULL_OBJECT",
            )

    def abort_multipart(self, key: str, upload_id: str) -> None:
        """Drop an upload and its parts; one that is gone already is no error."""
        with suppress(ObjectNotFound), self._asking("abort multipart", key):
            self._client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload_id)

    def open_uploads(self, prefix: str) -> Iterator[OpenUpload]:
        """Give every upload in parts under `prefix` that was begun and never ended."""
        with self._asking("list uploads", prefix):
            pages = self._client.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix):
                for found in page.get("Uploads", ()):
                    yield OpenUpload(found["Key"], found["UploadId"])


def _client_error(error: Any, where: str) -> ObjectStoreError:  # noqa: ANN401 - no types
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    words = f"{where}: {code}: {error.response.get('Error', {}).get('Message', '')}"
    if code == "NoSuchBucket":
        return StoreRefused(f"{words}; the bucket is missing; was the platform set up with it?")
    if code in _ABSENT:
        return ObjectNotFound(f"{words}; it was never written, or was removed")
    if code in _WRONG_CHECKSUM:
        return ChecksumRefused(f"{words}; bytes changed on the way; send them again")
    if status >= 500 or status == 409 or code in {"SlowDown", "RequestTimeout"}:
        return StoreUnavailable(f"{words}; the store is failing; try again later, read its log")
    return StoreRefused(f"{words}; expected it to be allowed for the identity in use")
