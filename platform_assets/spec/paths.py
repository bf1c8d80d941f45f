"""The path rule of checkpoints and manifests.

A path is relative, `/`-separated, NFC-normalised UTF-8 of at most 512 bytes, without empty, `.` or
`..` parts, backslash or control characters. `platform_assets/models/seal.py` carries the same rule
for compute nodes, where nothing of ours can be imported; a property test holds the two together.
"""

import unicodedata
from collections.abc import Iterable

from platform_assets.spec.errors import AiHowError

MAX_PATH_BYTES = 512


class PathRefused(AiHowError):
    """A path is outside the rule."""


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


def checked_path(path: str) -> str:
    """Return `path` if it keeps the rule.

    Raises:
        PathRefused: it does not; the message shows the path with its odd characters escaped.
    """
    objection = path_objection(path)
    if objection is not None:
        message = (
            f"path {path!a} is refused: {objection}; expected a relative path with `/` "
            "between its parts, NFC UTF-8, no `.` or `..`; rename the file and seal again"
        )
        raise PathRefused(message)
    return path


def checked_tree(paths: Iterable[str]) -> None:
    """Check every path, that none comes twice, and that none is also a directory of another.

    Raises:
        PathRefused: names the first path that cannot stand.
    """
    files: set[str] = set()
    directories: set[str] = set()
    for path in paths:
        checked_path(path)
        if path in files:
            message = f"path {path!a} is refused: it is listed twice; list every file once"
            raise PathRefused(message)
        files.add(path)
        directories.update(path[:end] for end, letter in enumerate(path) if letter == "/")
    for path in sorted(files & directories):
        message = f"path {path!a} is refused: it is listed as a file and as a directory"
        raise PathRefused(message)
