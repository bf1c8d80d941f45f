"""A fetched copy of a model on disk, held against its manifest.

Each file is read once and hashed. What it looked like then (inode, size, times; nobody can set
ctime back) is kept, so that whoever loads the files afterwards can tell that they are still those.
Fetching a copy and loading a model are not done here.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from platform_assets.lineage.manifest import MANIFEST_NAME, FileEntry, Manifest, ManifestRefused
from platform_assets.spec.errors import AiHowError

_CHUNK = 1 << 20
_MAX_MANIFEST_BYTES = 64 << 20


class CopyRefused(AiHowError):
    """A directory does not hold exactly what its manifest names."""


@dataclass(frozen=True)
class _Seen:
    """What tells whether a file is still the one that was read."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "_Seen":
        return cls(
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        )


@dataclass(frozen=True)
class VerifiedCopy:
    """A directory whose bytes were read and found to be the manifest's."""

    directory: Path
    tree_digest: str
    seen: dict[str, _Seen]

    def check_digest(self, expected: str | None) -> None:
        """Check that the copy is the one that was asked for, where one was.

        Raises:
            CopyRefused: it is the copy of another tree.
        """
        if expected is not None and expected != self.tree_digest:
            found = f"tree digest {self.tree_digest}"
            raise _refusal(self.directory, MANIFEST_NAME, f"tree digest {expected}", found)

    def check_unchanged(self) -> None:
        """Check that no file changed, came or went since it was read.

        Raises:
            CopyRefused: names the first file that did.
        """
        now = {path: _Seen.of(status) for path, status in _files(self.directory)}
        for path in sorted(now.keys() | self.seen.keys()):
            if now.get(path) != self.seen.get(path):
                message = (
                    f"{self.directory / path}: changed while it was loaded; the model is not "
                    "served; remove the directory and fetch the copy again"
                )
                raise CopyRefused(message)


def verify_directory(directory: Path) -> VerifiedCopy:
    """Read every file of a fetched copy once and compare it with the manifest beside it.

    Raises:
        CopyRefused: names the file, what was expected and what was found.
    """
    found = {path: _Seen.of(status) for path, status in _files(directory)}
    manifest = _read_manifest(directory)
    expected = {entry.path: entry for entry in manifest.files}
    for path in sorted(found.keys() - expected.keys() - {MANIFEST_NAME}):
        raise _refusal(directory, path, "no such file in the manifest", "a file")
    for path in sorted(expected.keys() - found.keys()):
        raise _refusal(directory, path, f"a file of {expected[path].size} bytes", "none")
    read = tuple(_read_entry(directory, entry, found[entry.path]) for entry in manifest.files)
    return VerifiedCopy(directory, Manifest(read).tree_digest, found)


def _refusal(directory: Path, path: str, expected: str, found: str) -> CopyRefused:
    message = (
        f"{directory / path}: expected {expected}, found {found}; the model is not served; "
        "remove the directory and fetch the copy again"
    )
    return CopyRefused(message)


def _files(directory: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield path and status of every file; refuse links and whatever is neither file nor folder."""
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            entries = sorted(os.scandir(directory / folder), key=lambda entry: entry.name)
        except OSError as error:
            raise _refusal(directory, folder, "a directory", str(error.strerror)) from error
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                folders.append(path)
            elif stat.S_ISREG(status.st_mode):
                yield path, status
            else:
                raise _refusal(directory, path, "a file", "a link or a special file")


def _read_manifest(directory: Path) -> Manifest:
    file = directory / MANIFEST_NAME
    try:
        if file.stat().st_size > _MAX_MANIFEST_BYTES:
            raise _refusal(directory, MANIFEST_NAME, "a manifest", "a file of more than 64 MiB")
        return Manifest.from_bytes(file.read_bytes())
    except OSError as error:
        raise _refusal(directory, MANIFEST_NAME, "a manifest", str(error.strerror)) from error
    except ManifestRefused as refusal:
        raise _refusal(directory, MANIFEST_NAME, "a manifest", str(refusal)) from refusal


def _read_entry(directory: Path, entry: FileEntry, seen: _Seen) -> FileEntry:
    """Hash one file; it must be the one that was seen and hold what the manifest says."""
    if seen.size != entry.size:
        raise _refusal(directory, entry.path, f"{entry.size} bytes", f"{seen.size} bytes")
    digest = hashlib.sha256()
    size = 0
    descriptor = os.open(directory / entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if _Seen.of(os.fstat(descriptor)) != seen:
            raise _refusal(directory, entry.path, "the file that was listed", "another one")
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    if size != entry.size or digest.hexdigest() != entry.sha256:
        expected = f"{entry.size} bytes with SHA-256 {entry.sha256}"
        found = f"{size} bytes with SHA-256 {digest.hexdigest()}"
        raise _refusal(directory, entry.path, expected, found)
    return FileEntry(entry.path, size, digest.hexdigest())
