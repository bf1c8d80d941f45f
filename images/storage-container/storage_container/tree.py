"""The directory that the model server will read: what is there already, and what may be there.

A file appears under its own name by one rename, after every byte was compared with its SHA-256.
Until then it lies in a hidden directory of this copy's name, so that a container that was killed
goes on where it stopped. Nothing is believed because it is there: what an earlier life left is
hashed again.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from storage_container.errors import Misused
from storage_container.manifest import MANIFEST_NAME, Manifest

_HIDDEN = ".incoming-"


@dataclass(frozen=True)
class Tree:
    """The destination, prepared: its directories stand."""

    directory: Path
    incoming: Path
    there: frozenset[str]  # paths that an earlier life of this container has finished

    def part(self, number: int) -> Path:
        """Return where file `number` of the manifest lies until it is whole."""
        return self.incoming / str(number)

    def present_bytes(self) -> int:
        """Return how many bytes an earlier life has left."""
        files = [self.directory / path for path in self.there]
        files += [file for file in self.incoming.iterdir() if file.is_file()]
        return sum(file.stat().st_blocks * 512 for file in files)

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest beside the files and remove what is hidden."""
        temporary = self.incoming / MANIFEST_NAME
        temporary.write_bytes(manifest.data)
        temporary.replace(self.directory / MANIFEST_NAME)
        shutil.rmtree(self.incoming)


def prepared_tree(directory: Path, manifest: Manifest, tree_digest: str) -> Tree:
    """Make `directory` ready for the files of `manifest`.

    Raises:
        Misused: it holds something else, or cannot be written.
    """
    files = {entry.path for entry in manifest.files} | {MANIFEST_NAME}
    folders = {str(parent) for path in files for parent in Path(path).parents} - {"."}
    hidden = f"{_HIDDEN}{tree_digest[:16]}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        found = set(_found(directory, hidden))
        for path in sorted(found - files - folders):
            message = (
                f"DESTINATION {directory}: expected an empty volume, found {path!a}, which the "
                "model does not have; give the model a volume of its own"
            )
            raise Misused(message)
        incoming = directory / hidden
        incoming.mkdir(exist_ok=True)
        for folder in sorted(folders):
            (directory / folder).mkdir(exist_ok=True)
    except OSError as error:
        message = f"DESTINATION {directory}: cannot be prepared: {error}; is the volume writable?"
        raise Misused(message) from error
    there = frozenset(path for path in found & files if path != MANIFEST_NAME)
    return Tree(directory, incoming, there)


def _found(directory: Path, hidden: str, below: str = "") -> Iterator[str]:
    """Give the path of everything below, a directory before what it holds."""
    for entry in os.scandir(directory / below):
        path = f"{below}{entry.name}"
        if not below and entry.name == hidden and entry.is_dir(follow_symlinks=False):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield path
            yield from _found(directory, hidden, path + "/")
        elif entry.is_file(follow_symlinks=False):
            yield path
        else:
            message = (
                f"DESTINATION {directory}: expected files and directories, found {path!a}, which "
                "is neither; give the model a volume of its own"
            )
            raise Misused(message)
