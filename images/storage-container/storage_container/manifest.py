"""The tree manifest as this container reads it, and the path rule its files keep.

Exactly the RFC 8785 bytes of `{"files": [{"path", "sha256", "size"} ...], "version": 1}`, files
sorted by the UTF-8 bytes of their paths; the SHA-256 of those bytes is the tree digest. The
platform that publishes copies carries the same rules; tests hold both to the same cases.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from storage_container.errors import WrongCopy

MANIFEST_NAME = "manifest.json"
MAX_MANIFEST_BYTES = 64 * 2**20
MAX_PATH_BYTES = 512
MAX_SIZE = 2**53 - 1
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a model: path under the rule, size in bytes, SHA-256 as 64 hex digits."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The files of a model and the bytes that name them."""

    files: tuple[FileEntry, ...]
    data: bytes

    @property
    def total_bytes(self) -> int:
        """The bytes of all files together."""
        return sum(entry.size for entry in self.files)


def is_digest(text: object) -> bool:
    """Say whether this is a SHA-256 as 64 lower-case hex digits."""
    return isinstance(text, str) and _DIGEST.match(text) is not None


def path_objection(path: str) -> str | None:
    """Return what speaks against `path`, or None."""
    try:
        encoded = path.encode("utf-8")
    except UnicodeEncodeError:
        return "it is not UTF-8"
    if len(encoded) > MAX_PATH_BYTES:
        return f"it has {len(encoded)} bytes, more than {MAX_PATH_BYTES}"
    if "\\" in path:
        return "it holds a backslash"
    if any(unicodedata.category(character) == "Cc" for character in path):
        return "it holds a control character"
    if unicodedata.normalize("NFC", path) != path:
        return "it is not NFC-normalised"
    parts = path.split("/")
    if parts[0] == "" and len(parts) > 1:
        return "it is absolute"
    if "" in parts:
        return "it has an empty part"
    if "." in parts or ".." in parts:
        return "it has a part `.` or `..`"
    return None


def tree_objection(paths: Iterable[str]) -> str | None:
    """Return what speaks against these paths in one tree, or None."""
    files: set[str] = set()
    directories: set[str] = set()
    for path in paths:
        objection = path_objection(path)
        if objection is not None:
            return f"path {path!a} is refused: {objection}"
        if path in files:
            return f"path {path!a} is refused: it is listed twice"
        files.add(path)
        directories.update(path[:end] for end, letter in enumerate(path) if letter == "/")
    for path in sorted(files & directories):
        return f"path {path!a} is refused: it is listed as a file and as a directory"
    return None


def read_manifest(data: bytes, where: str, tree_digest: str) -> Manifest:
    """Return the manifest that `data` is; `where` names it in errors.

    Raises:
        WrongCopy: these are other bytes than the digest names, or they break a rule.
    """
    found = hashlib.sha256(data).hexdigest()
    if found != tree_digest:
        message = (
            f"{where}: expected SHA-256 {tree_digest}, found {found}: someone changed the object "
            "store; nothing was downloaded; find out who, then publish the model anew"
        )
        raise WrongCopy(message)
    try:
        files = _files(data)
    except ValueError as error:
        message = f"{where}: {error}; no model can be downloaded by it; publish the model anew"
        raise WrongCopy(message) from error
    return Manifest(files, data)


def _files(data: bytes) -> tuple[FileEntry, ...]:
    try:
        document: Any = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        message = f"expected JSON in UTF-8, found bytes that do not parse: {error}"
        raise ValueError(message) from error
    if not isinstance(document, dict) or document.keys() != {"files", "version"}:
        raise ValueError("expected an object with keys `files` and `version`")
    version, listed = document["version"], document["files"]
    if isinstance(version, bool) or version != 1:
        message = f"version: expected 1, found {version!r}"
        raise ValueError(message)
    if not isinstance(listed, list) or not listed:
        raise ValueError("files: expected a list of at least one file")
    files = tuple(_entry(number, file) for number, file in enumerate(listed))
    objection = tree_objection(entry.path for entry in files)
    if objection is not None:
        raise ValueError(objection)
    if any(entry.path == MANIFEST_NAME for entry in files):
        message = f"it names {MANIFEST_NAME} itself, whose place is taken"
        raise ValueError(message)
    if _canonical(files) != data:
        raise ValueError("expected the canonical bytes of RFC 8785 with files sorted by path")
    return files


def _entry(number: int, file: Any) -> FileEntry:  # noqa: ANN401 - parsed JSON
    if not isinstance(file, dict) or file.keys() != {"path", "sha256", "size"}:
        message = f"files[{number}]: expected keys `path`, `sha256` and `size`"
        raise ValueError(message)
    path, size, digest = file["path"], file["size"], file["sha256"]
    if not isinstance(path, str):
        message = f"files[{number}].path: expected text, found {path!r}"
        raise ValueError(message)  # noqa: TRY004 - one kind of error for bad bytes
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= MAX_SIZE:
        message = f"{path!a}: size: expected 0 to 2^53-1, found {size!r}"
        raise ValueError(message)
    if not is_digest(digest):
        message = f"{path!a}: sha256: expected 64 hex digits, found {digest!r}"
        raise ValueError(message)
    return FileEntry(path, size, digest)


def _canonical(files: tuple[FileEntry, ...]) -> bytes:
    """Return the RFC 8785 bytes; paths hold no character that JSON must escape but the quote."""
    ordered = sorted(files, key=lambda entry: entry.path.encode())
    document = {
        "files": [{"path": e.path, "sha256": e.sha256, "size": e.size} for e in ordered],
        "version": 1,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
