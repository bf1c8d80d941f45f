"""The object store as an asset: it answers, keeps what it is given and honours preconditions.

Its process belongs to `ai-how up`, its connection to `resources/object_store.py`.
"""

import secrets
import time
from contextlib import suppress
from dataclasses import dataclass

import dagster as dg

from platform_assets import keys
from resources.errors import ResourceError
from resources.object_store import ChecksumRefused, ObjectStore, ObjectStoreError, StoreRefused

PROBE_PREFIX = "models/.probe/"  # inside what the publisher may write


@dataclass(frozen=True)
class StoreProbe:
    """What a working store was seen to do."""

    key: str
    seconds: float


class StoreUnsound(ResourceError):
    """The store answers, but not as the platform's commits and proofs need it."""


def probe_object_store(store: ObjectStore) -> StoreProbe:
    """Put an object, be refused to put it again, be refused a wrong checksum, read it back.

    Raises:
        StoreUnsound: it ignored a precondition or a checksum, or gave other bytes back.
        ObjectStoreError: it refused or failed.
    """
    begun = time.monotonic()
    key = f"{PROBE_PREFIX}{secrets.token_hex(8)}"
    body = secrets.token_bytes(1024)
    try:
        if not store.put_if_absent(key, body):
            raise StoreUnsound(_unsound(store, "to take a new object", "it said that it was there"))
        if store.put_if_absent(key, body[::-1]):
            raise StoreUnsound(_unsound(store, "to refuse `If-None-Match: *`", "it overwrote"))
        if _takes_wrong_checksum(store, key + "-wrong", body):
            raise StoreUnsound(_unsound(store, "to refuse a wrong CRC64NVME", "it took the bytes"))
        if store.get(key, len(body)) != body:
            raise StoreUnsound(_unsound(store, "to give back what was put", "it gave other bytes"))
    finally:
        for probe in (key, key + "-wrong"):
            with suppress(ObjectStoreError):
                store.delete(probe)
    return StoreProbe(key, time.monotonic() - begun)


def _takes_wrong_checksum(store: ObjectStore, key: str, body: bytes) -> bool:
    try:
        store.put(key, body, crc64=1)
    except (ChecksumRefused, StoreRefused):
        return False
    return True


def _unsound(store: ObjectStore, expected: str, found: str) -> str:
    return (
        f"object store at {store.endpoint_url}: expected {expected}, found that {found}; copies "
        "cannot be committed safely on it: use a store that honours preconditions and checksums"
    )


@dg.asset(
    key=keys.OBJECT_STORE,
    group_name="services",
    kinds={"s3", "seaweedfs"},
    owners=[keys.OWNER],
    code_version="1",
)
def object_store_service(
    object_store: dg.ResourceParam[ObjectStore],
) -> dg.MaterializeResult[None]:
    """The S3 object store, running, with the bucket for models.

    It was seen to keep an object, to refuse to overwrite it under a precondition, to refuse bytes
    that do not match their checksum, and to give back what it was given.
    """
    probe = probe_object_store(object_store)
    return dg.MaterializeResult(
        metadata={
            "s3_url": dg.MetadataValue.url(object_store.endpoint_url),
            "bucket": object_store.bucket,
            "probe_seconds": round(probe.seconds, 3),
        }
    )


@dg.asset_check(
    asset=keys.OBJECT_STORE,
    name="works",
    description="Put, conditional put refused, wrong checksum refused, read back.",
)
def object_store_works(object_store: dg.ResourceParam[ObjectStore]) -> dg.AssetCheckResult:
    """Probe the store as it is now."""
    try:
        probe = probe_object_store(object_store)
    except ResourceError as error:
        return dg.AssetCheckResult(passed=False, description=str(error))
    return dg.AssetCheckResult(passed=True, metadata={"seconds": round(probe.seconds, 3)})
