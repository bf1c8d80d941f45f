"""The copy of a checkpoint's serving files in the object store, and the asset that stands for it.

A copy lies under `models/<model>/sha256-<tree digest>/`. Its `manifest.json` is written last, only
if there is none: that put is the commit, and a prefix without it holds nothing yet. How bytes get
there is in `upload.py`, what a manifest is in `platform_assets/lineage/manifest.py`.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import dagster as dg

from platform_assets import keys
from platform_assets.lineage import facts, ids
from platform_assets.lineage.ledger import Ledger
from platform_assets.lineage.manifest import MANIFEST_NAME, Manifest, copy_prefix
from platform_assets.models.checkpoint_directory import JudgedCheckpoint
from platform_assets.models.partition import (
    LOCK_TIMEOUT_S,
    RETRY,
    judged_partition,
    only_transient_errors_retry,
)
from platform_assets.models.upload import (
    MIB,
    PART_BYTES,
    Leftovers,
    Progress,
    Upload,
    WrongBytes,
)
from platform_assets.partitions import CHECKPOINTS
from platform_assets.spec.applied import AppliedEstate
from platform_assets.spec.errors import AiHowError
from resources.object_store import (
    ObjectNotFound,
    ObjectStore,
    ObjectStoreError,
    StoreUnavailable,
)

MAX_MANIFEST_BYTES = 64 * MIB


class CopyContradicts(AiHowError):
    """A manifest stands where ours belongs, and says something else."""


@dataclass(frozen=True)
class PublishedCopy:
    """A committed copy."""

    model: str
    checkpoint: str
    bucket: str
    prefix: str
    tree_digest: str
    files: int
    bytes: int
    seconds: float
    equal: bool  # it was there already; nothing was sent
    resumed: bool  # an earlier attempt had left something, which was kept, sent anew or removed
    kept_bytes: int = 0  # of an earlier attempt: read again, and found to be there

    @property
    def uri(self) -> str:
        """Where the copy lies, as MLflow and model servers write it."""
        return f"s3://{self.bucket}/{self.prefix}"


def is_committed(store: ObjectStore, prefix: str, manifest: Manifest) -> bool:
    """Say whether the copy with `manifest` is committed under `prefix`, in one request.

    Raises:
        CopyContradicts: another manifest stands there.
    """
    expected = manifest.to_bytes()
    try:
        found = store.get(prefix + MANIFEST_NAME, MAX_MANIFEST_BYTES)
        if found != expected:
            # It may have changed on the way: what the store holds, a second read tells.
            found = store.get(prefix + MANIFEST_NAME, MAX_MANIFEST_BYTES)
    except ObjectNotFound:
        return False
    if found != expected:
        message = (
            f"s3://{store.bucket}/{prefix}{MANIFEST_NAME}: expected the manifest with digest "
            f"{manifest.tree_digest}, found other bytes; someone changed the object store: find "
            "out who, then remove the objects under this prefix to have it published anew"
        )
        raise CopyContradicts(message)
    return True


def publish_checkpoint(
    judged: JudgedCheckpoint, store: ObjectStore, progress: Callable[[str], None]
) -> PublishedCopy:
    """Copy the serving files of a judged checkpoint, commit them, and say what was done.

    Idempotent, and safe to kill anywhere: the next attempt goes on where it was. The caller holds
    the lock on the tree digest: what lies or is open under the prefix is taken for leftovers.

    Raises:
        WrongBytes, FileTooLarge: a file is not what its marker says, or cannot be sent; nothing is
            committed.
        SourceUnreadable, ObjectStoreError: reading or writing failed; nothing is committed.
        CopyContradicts: the prefix is taken by something else.
    """
    begun = time.monotonic()
    manifest = judged.manifest
    digest = manifest.tree_digest
    prefix = copy_prefix(judged.model, digest)
    equal = is_committed(store, prefix, manifest)
    resumed, kept = False, 0
    if equal:
        progress(f"s3://{store.bucket}/{prefix} is committed already, with this very manifest")
    else:
        leftovers = _leftovers(store, prefix, manifest, progress)
        resumed = leftovers != Leftovers()
        kept = _send(judged, store, prefix, leftovers, progress)
        equal = not _commit(judged, store, prefix)
    seconds = time.monotonic() - begun
    if not equal:
        progress(f"committed {manifest.total_bytes / MIB:,.1f} MiB in {seconds:.1f} s")
    return PublishedCopy(
        model=judged.model,
        checkpoint=judged.key,
        bucket=store.bucket,
        prefix=prefix,
        tree_digest=digest,
        files=len(manifest.files),
        bytes=manifest.total_bytes,
        seconds=seconds,
        equal=equal,
        resumed=resumed,
        kept_bytes=kept,
    )


def _leftovers(
    store: ObjectStore, prefix: str, manifest: Manifest, progress: Callable[[str], None]
) -> Leftovers:
    """Find what a killed attempt left; abort open uploads that the new one will not go on with."""
    large = {prefix + entry.path for entry in manifest.files if entry.size > PART_BYTES}
    uploads: dict[str, str] = {}
    aborted = 0
    found = sorted(store.open_uploads(prefix), key=lambda one: one.initiated, reverse=True)
    for upload in found:
        if upload.key in large and upload.key not in uploads:
            uploads[upload.key] = upload.upload_id
        else:
            store.abort_multipart(upload.key, upload.upload_id)
            aborted += 1
    objects = {stored.key: stored.size for stored in store.list(prefix)}
    if found or objects:
        progress(
            f"an earlier attempt left {len(objects)} objects and {len(uploads)} open uploads under "
            f"s3://{store.bucket}/{prefix}; what equals the bytes read now is kept"
            + (f"; {aborted} stale uploads removed" if aborted else "")
        )
    return Leftovers(objects, uploads, aborted)


def _metadata(judged: JudgedCheckpoint) -> dict[str, str]:
    named = {ids.TREE_DIGEST: judged.manifest.tree_digest, ids.CHECKPOINT: judged.key}
    return {ids.object_metadata_name(name): value for name, value in named.items()}


def _send(
    judged: JudgedCheckpoint,
    store: ObjectStore,
    prefix: str,
    leftovers: Leftovers,
    progress: Callable[[str], None],
) -> int:
    """Send what is not there yet; return how many bytes were found to be there."""
    manifest = judged.manifest
    progress(
        f"sending {len(manifest.files)} files, {manifest.total_bytes / MIB:,.1f} MiB, "
        f"to s3://{store.bucket}/{prefix}"
    )
    told = Progress(manifest.total_bytes, progress)
    metadata = _metadata(judged)
    upload = Upload(
        store, prefix, judged.directory, metadata=metadata, progress=told, leftovers=leftovers
    )
    upload.send(manifest.files)
    return told.kept


def _commit(judged: JudgedCheckpoint, store: ObjectStore, prefix: str) -> bool:
    """Write the manifest if every file is there; say whether this put was the commit."""
    manifest = judged.manifest
    stored = {found.key: found.size for found in store.list(prefix)}
    for entry in manifest.files:
        found = stored.get(prefix + entry.path)
        if found != entry.size:
            message = (
                f"s3://{store.bucket}/{prefix}{entry.path}: expected {entry.size} bytes after "
                f"sending them, found {'no object' if found is None else found}"
            )
            raise StoreUnavailable(message)
    name = prefix + MANIFEST_NAME
    for stale in store.open_uploads(prefix):  # begun twice because an answer was lost
        store.abort_multipart(stale.key, stale.upload_id)
    if store.put_if_absent(name, manifest.to_bytes(), metadata=_metadata(judged)):
        return True
    if not is_committed(store, prefix, manifest):
        message = f"s3://{store.bucket}/{name}: refused as present, then found absent; try again"
        raise StoreUnavailable(message)
    return False


def remove_uncommitted(store: ObjectStore, prefix: str) -> None:
    """Remove what was sent under a prefix without manifest; the caller holds the digest's lock.

    Best effort: a store that fails now keeps what no manifest names.
    """
    with suppress(ObjectStoreError):
        found = [stored.key for stored in store.list(prefix)]
        if prefix + MANIFEST_NAME in found:
            return
        for upload in store.open_uploads(prefix):
            store.abort_multipart(upload.key, upload.upload_id)
        for key in found:
            store.delete(key)


def record_arrival(judged: JudgedCheckpoint, ledger: Ledger) -> None:
    """Record the checkpoint with all that its marker says of its training."""
    facts.record_checkpoint(
        ledger,
        key=judged.key,
        model=judged.model,
        run=judged.run,
        path=str(judged.directory),
        marker_sha256=judged.marker_sha256,
        tree_digest=judged.manifest.tree_digest,
        format=judged.marker.format,
        sealed_at=judged.marker.sealed_at,
        files=len(judged.manifest.files),
        bytes=judged.manifest.total_bytes,
        training=judged.marker.training.as_json(),
        signed_by=judged.signed_by,
    )


def deliver_copy(
    judged: JudgedCheckpoint,
    store: ObjectStore,
    ledger: Ledger,
    dagster_run: str | None,
    progress: Callable[[str], None],
) -> PublishedCopy:
    """Record the checkpoint, publish it under the lock on its tree digest, record the copy."""
    record_arrival(judged, ledger)
    with ledger.lock(f"copy/{judged.manifest.tree_digest}", LOCK_TIMEOUT_S):
        try:
            copy = publish_checkpoint(judged, store, progress)
        except WrongBytes:
            # No attempt will ever conclude it: nothing of it may stay behind.
            remove_uncommitted(store, copy_prefix(judged.model, judged.manifest.tree_digest))
            raise
        facts.record_copy(
            ledger,
            checkpoint=judged.key,
            model=copy.model,
            tree_digest=copy.tree_digest,
            bucket=copy.bucket,
            prefix=copy.prefix,
            files=copy.files,
            bytes=copy.bytes,
            dagster_run=dagster_run,
        )
    return copy


@dg.asset(
    key=keys.PUBLISHED_COPY,
    deps=[keys.TRAINED_CHECKPOINT],
    partitions_def=CHECKPOINTS,
    group_name="models",
    kinds={"s3", "seaweedfs"},
    owners=[keys.OWNER],
    retry_policy=RETRY,
    code_version="1",
)
def published_copy(
    context: dg.AssetExecutionContext,
    estate: dg.ResourceParam[AppliedEstate],
    object_store: dg.ResourceParam[ObjectStore],
    ledger: dg.ResourceParam[Ledger],
) -> dg.MaterializeResult[None]:
    """The checkpoint's serving files in the object store, every byte proven.

    Under `models/<model>/sha256-<tree digest>/` lie the files that belong to the served model and
    a `manifest.json` with path, size and SHA-256 of each, written last. Each byte was read once,
    agreed with the marker that training sealed, and was verified again by the store as it came in.
    Checkpoints with equal content share one copy.
    """
    with only_transient_errors_retry():
        judged = judged_partition(context.partition_key, estate)
        copy = deliver_copy(judged, object_store, ledger, context.run_id, context.log.info)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(copy.tree_digest),
        metadata={
            "dagster/uri": copy.uri,
            ids.TREE_DIGEST: copy.tree_digest,
            ids.CHECKPOINT: copy.checkpoint,
            ids.MARKER_SHA256: judged.marker_sha256,
            ids.FORMAT: judged.marker.format,
            "directory": dg.MetadataValue.path(str(judged.directory)),
            "files": copy.files,
            "bytes": copy.bytes,
            "seconds": round(copy.seconds, 3),
            "mib_per_second": round(copy.bytes / MIB / max(copy.seconds, 1e-3), 1),
            "already_there": copy.equal,
            "resumed": copy.resumed,
            "bytes_kept_of_an_earlier_attempt": copy.kept_bytes,
            "file_list": _file_table(judged.manifest),
        },
    )


def _file_table(manifest: Manifest) -> dg.TableMetadataValue:
    shown = manifest.files[:100]
    records = [dg.TableRecord({"path": e.path, "size": e.size, "sha256": e.sha256}) for e in shown]
    columns = [
        dg.TableColumn("path", "string"),
        dg.TableColumn("size", "int"),
        dg.TableColumn("sha256", "string"),
    ]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))
