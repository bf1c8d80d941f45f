"""The hops before the endpoint, held against the ledger: checkpoint root, object store, registry.

Read-only: nothing is repaired, and no lock is taken. Each place first says what it holds (marker,
manifest); then its files are read against one manifest that has the recorded tree digest, wherever
that manifest was found, so that a place with a wrong list is still looked through. How bytes are
read stands in `verification_reading.py`, what differences mean in `lineage/verdict.py`.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from platform_assets.lineage.manifest import (
    MANIFEST_NAME,
    FileEntry,
    Manifest,
    ManifestRefused,
)
from platform_assets.lineage.verdict import (
    Difference,
    Hop,
    HopResult,
    content_difference,
    missing_and_extra,
    value_differences,
)
from platform_assets.lineage.verification import Expected
from platform_assets.models import seal
from platform_assets.models.published_copy import MAX_MANIFEST_BYTES
from platform_assets.models.verification_reading import (
    FileUnreadable,
    NoPlainFile,
    Reading,
    Tally,
    files_below,
    identity_of,
    open_plain,
    pieces_of,
)
from platform_assets.spec.checkpoint import (
    MARKER_NAME,
    MAX_MARKER_BYTES,
    UNLISTED,
    MarkerRefused,
    parse_marker,
)
from resources.mlflow import Mlflow, MlflowError, MlflowNotFound
from resources.object_store import (
    ObjectNotFound,
    ObjectStore,
    ObjectStoreError,
    ObjectTooLarge,
    StoredObject,
)

_READY = "READY"


@dataclass(frozen=True)
class Named:
    """What a place says that it holds: its manifest, if that is the recorded one."""

    hop: Hop
    where: str
    manifest: Manifest | None = None
    differences: tuple[Difference, ...] = ()
    unknown: str | None = None

    def differing(self, file: str, expected: str, found: str) -> "Named":
        """Return this with one more difference."""
        one = Difference(hop=self.hop, file=file, expected=expected, found=found)
        return replace(self, differences=(*self.differences, one))


def listed_by(named: Named, data: bytes, tree_digest: str, file: str = MANIFEST_NAME) -> Named:
    """Return `named` with the manifest `data`, or with the difference that it is another one."""
    found = hashlib.sha256(data).hexdigest()
    if found != tree_digest:
        return named.differing(file, f"SHA-256 {tree_digest}", f"SHA-256 {found}")
    try:
        return replace(named, manifest=Manifest.from_bytes(data))
    except ManifestRefused as refusal:
        return named.differing(file, "a manifest", str(refusal))


def read_small(directory: Path, name: str, limit: int) -> bytes:
    """Return the first `limit` bytes of a plain file; longer ones cannot have the right digest.

    Raises:
        NoPlainFile, FileUnreadable: as `open_plain`.
    """
    data = b""
    with open_plain(directory, name) as (descriptor, _):
        for piece in pieces_of(descriptor, directory / name):
            data += piece
            if len(data) > limit:
                break
    return data[:limit]


def named_by_marker(expected: Expected) -> Named:
    """Read the marker in the checkpoint root."""
    if expected.directory is None or expected.marker_sha256 is None:
        reason = f"the ledger has no fact of checkpoint {expected.checkpoint}"
        return Named(Hop.CHECKPOINT, "unknown", unknown=reason)
    directory = expected.directory
    named = Named(Hop.CHECKPOINT, str(directory))
    if not directory.is_dir():
        reason = (
            f"{directory}: the directory is gone, or its file system is not mounted; the copy can "
            "no longer be held against its source"
        )
        return replace(named, unknown=reason)
    wanted = f"SHA-256 {expected.marker_sha256}"
    try:
        data = read_small(directory, MARKER_NAME, MAX_MARKER_BYTES + 1)
    except NoPlainFile as found:
        return named.differing(MARKER_NAME, wanted, str(found))
    except FileUnreadable as error:
        return replace(named, unknown=str(error))
    digest = hashlib.sha256(data).hexdigest()
    if digest != expected.marker_sha256:
        return named.differing(MARKER_NAME, wanted, f"SHA-256 {digest}")
    try:
        marker = parse_marker(data, str(directory / MARKER_NAME))
        files = (FileEntry(f.path, f.size, f.sha256) for f in marker.serving_files)
        manifest = Manifest(tuple(files))
    except (MarkerRefused, ManifestRefused) as refusal:
        return named.differing(MARKER_NAME, "a marker of checkpoint/1", str(refusal))
    if manifest.tree_digest != expected.tree_digest:
        wanted = f"serving files with tree digest {expected.tree_digest}"
        return named.differing(MARKER_NAME, wanted, manifest.tree_digest)
    return replace(named, manifest=manifest)


def named_by_store(store: ObjectStore, expected: Expected) -> Named:
    """Read the manifest in the object store."""
    if expected.prefix is None:
        reason = f"the ledger has no fact of a copy with digest {expected.tree_digest}"
        return Named(Hop.COPY, "unknown", unknown=reason)
    named = Named(Hop.COPY, f"s3://{expected.bucket}/{expected.prefix}")
    if expected.bucket != store.bucket:
        reason = f"the copy lies in bucket {expected.bucket}, this platform reads {store.bucket}"
        return replace(named, unknown=reason)
    wanted = f"SHA-256 {expected.tree_digest}"
    try:
        data = store.get(expected.prefix + MANIFEST_NAME, MAX_MANIFEST_BYTES)
    except ObjectNotFound:
        return named.differing(MANIFEST_NAME, wanted, "no such object")
    except ObjectTooLarge:
        return named.differing(MANIFEST_NAME, wanted, f"more than {MAX_MANIFEST_BYTES} bytes")
    except ObjectStoreError as error:
        return replace(named, unknown=str(error))
    return listed_by(named, data, expected.tree_digest)


def cannot_compare(named: Named) -> HopResult:
    """Return the result of a hop whose files cannot be compared with any manifest."""
    reason = "no place has a manifest with the recorded digest: the files cannot be compared"
    return _result(named, unknown=named.unknown or reason)


def _result(
    named: Named,
    *,
    right: Iterable[FileEntry] = (),
    tally: Tally | None = None,
    differences: Iterable[Difference] = (),
    unknown: str | None = None,
) -> HopResult:
    entries = list(right)
    oldest = tally.oldest if tally else None
    return HopResult(
        hop=named.hop,
        where=named.where,
        files=len(entries),
        bytes=sum(entry.size for entry in entries),
        read_bytes=tally.read_bytes if tally else 0,
        oldest_read=oldest.isoformat(timespec="seconds") if oldest else None,
        differences=(*named.differences, *differences),
        unknown=unknown,
    )


ReadEntry = Callable[[FileEntry, Tally], FileEntry | str]


def compared(
    named: Named, manifest: Manifest, present: Iterable[str], read: ReadEntry
) -> HopResult:
    """Read every file of `manifest` that is present; `read` gives what it holds, or what it is.

    What makes reading impossible ends it: what was found until then is told with the reason.
    """
    names = frozenset(present)
    tally = Tally()
    right: list[FileEntry] = []
    differences = list(missing_and_extra(named.hop, manifest, names))
    unknown = None
    for entry in manifest.files:
        if entry.path not in names:
            continue
        try:
            found = read(entry, tally)
        except (FileUnreadable, ObjectStoreError) as error:
            unknown = f"{entry.path}: {error}"
            break
        if isinstance(found, str):
            wanted = f"a file of {entry.size} bytes"
            differences.append(
                Difference(hop=named.hop, file=entry.path, expected=wanted, found=found)
            )
            continue
        difference = content_difference(named.hop, entry, found)
        if difference is None:
            right.append(entry)
        else:
            differences.append(difference)
    return _result(named, right=right, tally=tally, differences=differences, unknown=unknown)


def read_from_disk(
    directory: Path, reading: Reading, entry: FileEntry, tally: Tally
) -> FileEntry | str:
    """Return what the file on disk holds, or what stands there instead; a wrong size says enough.

    Raises:
        FileUnreadable: the file system failed.
    """
    try:
        with open_plain(directory, entry.path) as (descriptor, status):
            if status.st_size != entry.size:
                return FileEntry(entry.path, status.st_size, "")
            pieces = partial(pieces_of, descriptor, directory / entry.path)
            return reading.entry(str(directory), entry, identity_of(status), pieces, tally)
    except NoPlainFile as found:
        return str(found)


def verify_checkpoint(named: Named, manifest: Manifest | None, reading: Reading) -> HopResult:
    """Hold the serving files in the checkpoint root against `manifest`."""
    if named.unknown is not None or manifest is None:
        return cannot_compare(named)
    directory = Path(named.where)
    try:
        present = [p for p in files_below(directory) if p not in UNLISTED and seal.is_serving(p)]
    except FileUnreadable as error:
        return _result(named, unknown=str(error))
    return compared(named, manifest, present, partial(read_from_disk, directory, reading))


def verify_copy(
    named: Named, manifest: Manifest | None, store: ObjectStore, prefix: str, reading: Reading
) -> HopResult:
    """Hold the objects under `prefix` against `manifest`."""
    if named.unknown is not None or manifest is None:
        return cannot_compare(named)
    try:
        stored = {found.key.removeprefix(prefix): found for found in store.list(prefix)}
    except ObjectStoreError as error:
        return _result(named, unknown=str(error))
    stored.pop(MANIFEST_NAME, None)

    def read(entry: FileEntry, tally: Tally) -> FileEntry | str:
        return _read_object(store, named.where, stored[entry.path], reading, entry, tally)

    return compared(named, manifest, stored, read)


def _read_object(  # noqa: PLR0917 - an object, and how to read it
    store: ObjectStore,
    place: str,
    stored: StoredObject,
    reading: Reading,
    entry: FileEntry,
    tally: Tally,
) -> FileEntry | str:
    if stored.size != entry.size:
        return FileEntry(entry.path, stored.size, "")
    identity = f"{stored.etag}:{stored.size}"
    try:
        return reading.entry(place, entry, identity, partial(store.stream, stored.key), tally)
    except ObjectNotFound:
        return "no such object"


def verify_version(mlflow: Mlflow, expected: Expected) -> HopResult:
    """Hold the version's source and tags, and the alias of the endpoint, against the ledger."""
    where = f"version {expected.model}/{expected.version} at {mlflow.url}"
    named = Named(Hop.VERSION, where)
    if expected.source is None:
        reason = f"the ledger has no fact of version {expected.model}/{expected.version}"
        return _result(named, unknown=reason)
    alias = f"live-{expected.endpoint}"
    try:
        version = mlflow.get_version(expected.model, expected.version)
        aliased = mlflow.alias(expected.model, alias)
    except MlflowNotFound:
        return _result(named.differing("version", "a registered version", "none"))
    except MlflowError as error:
        return _result(named, unknown=str(error))
    wanted: dict[str, str | None] = {
        "status": _READY,
        "source": expected.source,
        f"alias {alias}": expected.version,
    }
    found: dict[str, str | None] = {
        "status": version.status,
        "source": version.source,
        f"alias {alias}": None if aliased is None else aliased.version,
    }
    if expected.training_run is not None:
        wanted["training run"] = expected.training_run
        found["training run"] = version.run_id
    wanted |= {f"tag {name}": value for name, value in expected.tags.items()}
    found |= {f"tag {name}": version.tags.get(name) for name in expected.tags}
    return _result(named, differences=value_differences(Hop.VERSION, wanted, found))
