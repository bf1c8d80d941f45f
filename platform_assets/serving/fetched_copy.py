"""A model's copy on this machine's disk, fetched by its manifest: `<served>/<endpoint>/<hex>/`.

The directory holds `manifest.json` and exactly the files that it names. It appears by one rename,
after every byte was compared with its SHA-256: what can be seen is whole. The runtime in the model
server verifies it again as it loads. The caller holds the endpoint's lock.
"""

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from platform_assets.lineage.manifest import MANIFEST_NAME, FileEntry, Manifest, ManifestRefused
from platform_assets.spec.errors import AiHowError
from resources.object_store import ObjectNotFound, ObjectStore

PARALLEL = 8
MAX_MANIFEST_BYTES = 64 * 2**20
_LEFTOVER = ".fetching-"
_FULL = {errno.ENOSPC, errno.EDQUOT}
_CHUNK = 2**20


class WrongCopy(AiHowError):
    """The object store holds other bytes than the digest names; fetching again changes nothing."""


class NoRoom(AiHowError):
    """The disk is full; nothing of this fetch is left."""


@dataclass(frozen=True)
class FetchedCopy:
    """A whole copy on disk; `fetched` says whether it was downloaded just now."""

    directory: Path
    manifest: Manifest
    fetched: bool
    seconds: float


def fetch_copy(
    store: ObjectStore,
    prefix: str,
    tree_digest: str,
    into: Path,
    progress: Callable[[str], None] = lambda _: None,
) -> FetchedCopy:
    """Make `into/<tree digest>` hold exactly the copy under `prefix`, verified.

    Idempotent and safe to kill anywhere: a directory of that name is whole or is fetched anew.

    Raises:
        WrongCopy: an object is missing, or holds other bytes; the message names it.
        NoRoom: the disk is full.
        ObjectStoreError: the store cannot be read.
    """
    begun = time.monotonic()
    directory = into / tree_digest
    manifest = _manifest(store, prefix, tree_digest)
    if _is_whole(directory, manifest):
        return FetchedCopy(directory, manifest, False, time.monotonic() - begun)
    with _room(into, manifest.total_bytes):
        into.mkdir(parents=True, exist_ok=True)
        clear_leftovers(into)
        _check_room(into, manifest)
        temporary = into / f"{_LEFTOVER}{tree_digest}"
        try:
            try:
                _fetch(store, prefix, manifest, temporary)
            except WrongCopy as wrong:
                # The bytes may have changed on the way: what the store holds, a second read tells.
                progress(f"reading once more: {wrong}")
                shutil.rmtree(temporary)
                _fetch(store, prefix, manifest, temporary)
            if directory.exists():
                progress(f"{directory} did not hold what its name says; replaced")
                _remove(directory, into)
            temporary.rename(directory)
            _sync_directory(into)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    seconds = time.monotonic() - begun
    mib = manifest.total_bytes / 2**20
    progress(f"fetched {len(manifest.files)} files, {mib:,.1f} MiB, in {seconds:.1f} s")
    return FetchedCopy(directory, manifest, True, seconds)


def clear_leftovers(into: Path) -> None:
    """Remove what a killed fetch or removal left behind."""
    for leftover in into.glob(f"{_LEFTOVER}*"):
        shutil.rmtree(leftover)


def remove_copies_but(into: Path, keep: set[str]) -> list[str]:
    """Remove every fetched copy below `into` whose digest is not in `keep`; return their names."""
    if not into.is_dir():
        return []
    clear_leftovers(into)
    old = sorted(d.name for d in into.iterdir() if d.is_dir() and d.name not in keep)
    for name in old:
        _remove(into / name, into)
    return old


def _remove(directory: Path, into: Path) -> None:
    """Remove a copy so that no half of it is ever seen under its name."""
    doomed = into / f"{_LEFTOVER}removed-{directory.name}"
    shutil.rmtree(doomed, ignore_errors=True)
    directory.rename(doomed)
    shutil.rmtree(doomed)


def _manifest(store: ObjectStore, prefix: str, tree_digest: str, *, last: bool = False) -> Manifest:
    """Read the manifest under `prefix`; only the one with `tree_digest` will do."""
    where = f"s3://{store.bucket}/{prefix}{MANIFEST_NAME}"
    try:
        data = store.get(prefix + MANIFEST_NAME, MAX_MANIFEST_BYTES)
    except ObjectNotFound as error:
        message = f"{where}: expected a manifest, found none: the copy was removed; publish it anew"
        raise WrongCopy(message) from error
    found = hashlib.sha256(data).hexdigest()
    if found != tree_digest and not last:
        # It may have changed on the way: what the store holds, a second read tells.
        return _manifest(store, prefix, tree_digest, last=True)
    if found != tree_digest:
        message = (
            f"{where}: expected SHA-256 {tree_digest}, found {found}: someone changed the object "
            "store; nothing was fetched; find out who, then publish the copy anew"
        )
        raise WrongCopy(message)
    try:
        manifest = Manifest.from_bytes(data)
    except ManifestRefused as refusal:
        message = f"{where}: {refusal}"
        raise WrongCopy(message) from refusal
    if any(entry.path == MANIFEST_NAME for entry in manifest.files):
        message = f"{where}: names {MANIFEST_NAME} itself, whose place is taken; rename the file"
        raise WrongCopy(message)
    return manifest


def _is_whole(directory: Path, manifest: Manifest) -> bool:
    """Say whether `directory` holds the manifest and exactly its files, each byte of them."""
    if not directory.is_dir():
        return False
    expected = {entry.path: entry for entry in manifest.files}
    known = expected.keys() | {MANIFEST_NAME}
    for path in directory.rglob("*"):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            return False
        if path.is_file() and path.relative_to(directory).as_posix() not in known:
            return False
    try:
        if (directory / MANIFEST_NAME).read_bytes() != manifest.to_bytes():
            return False
        return all(_holds(directory / name, entry) for name, entry in expected.items())
    except OSError:  # missing or unreadable: not whole
        return False


def _holds(file: Path, entry: FileEntry) -> bool:
    if file.stat().st_size != entry.size:
        return False
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest() == entry.sha256


def _fetch(store: ObjectStore, prefix: str, manifest: Manifest, target: Path) -> None:
    target.mkdir()
    for folder in sorted({(target / entry.path).parent for entry in manifest.files}):
        folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="fetch") as pool:
        jobs = [pool.submit(_fetch_file, store, prefix, entry, target) for entry in manifest.files]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    _write_synced(target / MANIFEST_NAME, iter([manifest.to_bytes()]))
    for written, _, _ in os.walk(target, topdown=False):
        _sync_directory(Path(written))


def _fetch_file(store: ObjectStore, prefix: str, entry: FileEntry, target: Path) -> None:
    """Download one object, hashing what is written; other bytes than the manifest's are refused."""
    digest = hashlib.sha256()
    size = 0

    def pieces() -> Iterator[bytes]:
        nonlocal size
        for piece in store.stream(prefix + entry.path, _CHUNK):
            size += len(piece)
            if size > entry.size:
                return
            digest.update(piece)
            yield piece

    where = f"s3://{store.bucket}/{prefix}{entry.path}"
    try:
        _write_synced(target / entry.path, pieces())
    except ObjectNotFound as error:
        message = f"{where}: named by the manifest, found none; the copy must be published anew"
        raise WrongCopy(message) from error
    if size != entry.size or digest.hexdigest() != entry.sha256:
        found = "more" if size > entry.size else f"{size} with SHA-256 {digest.hexdigest()}"
        message = (
            f"{where}: expected {entry.size} bytes with SHA-256 {entry.sha256}, found {found}: "
            "someone changed the object store; nothing is served from it; publish the copy anew"
        )
        raise WrongCopy(message)


def _write_synced(file: Path, pieces: Iterator[bytes]) -> None:
    with file.open("xb") as opened:
        for piece in pieces:
            opened.write(piece)
        opened.flush()
        os.fsync(opened.fileno())


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_room(into: Path, manifest: Manifest) -> None:
    free = shutil.disk_usage(into).free
    if free < manifest.total_bytes:
        raise OSError(errno.ENOSPC, f"{free} bytes are free")


@contextmanager
def _room(into: Path, needed: int) -> Iterator[None]:
    """Turn a full disk into our own error."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        message = (
            f"{into}: {needed} bytes are needed, {error.strerror}; free space on this disk, then "
            "ask for the checkpoint again: `ai-how checkpoint retry KEY`"
        )
        raise NoRoom(message) from error
