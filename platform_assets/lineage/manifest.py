"""The tree manifest: which bytes a model consists of, and the digest that names them everywhere.

Exactly the RFC 8785 bytes of `{"files": [{"path", "sha256", "size"} ...], "version": 1}`, files
sorted by the UTF-8 bytes of their paths. No times and no modes: equal content, equal digest.
What belongs in a manifest is decided where a checkpoint is judged, not here.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import rfc8785

from platform_assets.spec.errors import AiHowError
from platform_assets.spec.names import checked_name
from platform_assets.spec.paths import PathRefused, checked_tree

MANIFEST_NAME = "manifest.json"
VERSION = 1
MAX_SIZE = 2**53 - 1  # the largest integer that JSON carries everywhere
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


class ManifestRefused(AiHowError):
    """Bytes are not a manifest, or a manifest cannot be made of these files."""


@dataclass(frozen=True)
class FileEntry:
    """One file of a model: path under the rule, size in bytes, SHA-256 as 64 hex digits."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The files of a model, sorted by the UTF-8 bytes of their paths; any order may be given."""

    files: tuple[FileEntry, ...]

    def __post_init__(self) -> None:
        """Refuse what cannot be a manifest and bring the files in their order."""
        if not self.files:
            raise ManifestRefused("manifest: expected at least one file, found none")
        try:
            checked_tree(entry.path for entry in self.files)
        except PathRefused as refusal:
            message = f"manifest: {refusal}"
            raise ManifestRefused(message) from refusal
        for entry in self.files:
            _check_entry(entry)
        ordered = tuple(sorted(self.files, key=lambda entry: entry.path.encode()))
        object.__setattr__(self, "files", ordered)

    @cached_property
    def _canonical(self) -> bytes:
        document: dict[str, Any] = {
            "files": [{"path": e.path, "sha256": e.sha256, "size": e.size} for e in self.files],
            "version": VERSION,
        }
        return rfc8785.dumps(document)

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return self._canonical

    @cached_property
    def tree_digest(self) -> str:
        """The SHA-256 of the canonical bytes as 64 hex digits: the identity of the model."""
        return hashlib.sha256(self._canonical).hexdigest()

    @property
    def total_bytes(self) -> int:
        """The bytes of all files together."""
        return sum(entry.size for entry in self.files)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Manifest":
        """Read a manifest; only its canonical bytes are one.

        Raises:
            ManifestRefused: the bytes do not parse, hold other keys, or are not canonical.
        """
        try:
            document: Any = json.loads(data.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            message = f"manifest: expected JSON in UTF-8, found bytes that do not parse: {error}"
            raise ManifestRefused(message) from error
        manifest = cls(_entries(document))
        if manifest.to_bytes() != data:
            raise ManifestRefused(
                "manifest: expected the canonical bytes of RFC 8785 with files sorted by path, "
                "found other bytes of the same content; publish the model again"
            )
        return manifest


def _entries(document: Any) -> tuple[FileEntry, ...]:  # noqa: ANN401 - parsed JSON
    if not isinstance(document, dict) or document.keys() != {"files", "version"}:
        raise ManifestRefused("manifest: expected an object with keys `files` and `version`")
    if document["version"] != VERSION:
        message = f"manifest: version: expected {VERSION}, found {document['version']!r}"
        raise ManifestRefused(message)
    if not isinstance(document["files"], list):
        raise ManifestRefused("manifest: files: expected a list")
    for number, file in enumerate(document["files"]):
        if not isinstance(file, dict) or file.keys() != {"path", "sha256", "size"}:
            message = f"manifest: files[{number}]: expected keys `path`, `sha256` and `size`"
            raise ManifestRefused(message)
        if not isinstance(file["path"], str):
            message = f"manifest: files[{number}].path: expected text"
            raise ManifestRefused(message)
    return tuple(FileEntry(f["path"], f["size"], f["sha256"]) for f in document["files"])


def _check_entry(entry: FileEntry) -> None:
    size: object = entry.size
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= MAX_SIZE:
        message = f"manifest: {entry.path}: size: expected 0 to 2^53-1, found {size!r}"
        raise ManifestRefused(message)
    digest: object = entry.sha256
    if not isinstance(digest, str) or not _DIGEST.match(digest):
        message = f"manifest: {entry.path}: sha256: expected 64 hex digits, found {digest!r}"
        raise ManifestRefused(message)


def copy_prefix(model: str, digest: str) -> str:
    """Return the prefix under which the copy of tree `digest` stands, with its last slash."""
    checked_name("model", model)
    if not _DIGEST.match(digest):
        message = f"tree digest: expected 64 hex digits, found {digest!r}"
        raise ManifestRefused(message)
    return f"models/{model}/sha256-{digest}/"
