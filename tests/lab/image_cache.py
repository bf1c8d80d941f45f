"""What the lab builds once and keeps in the user's cache, under a digest of its recipe.

`${XDG_CACHE_HOME:-~/.cache}/ai-how/lab/images/NAME-RECIPE` appears whole or not at all; a second
builder waits for the first. Of each name the two that were taken last are kept.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

KEPT = 2
RECIPE_DIGITS = 12


class ImageBuildFailed(Exception):
    """An image of the lab could not be built; the end of what the program said is shown."""


def cache_directory() -> Path:
    """Return the folder of the lab's images, made if it was not there."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    directory = home / "ai-how" / "lab" / "images"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def built_once(name: str, recipe: str, build: Callable[[Path], None]) -> Path:
    """Return the file that `build` writes for `recipe`; build it if the cache lacks it."""
    directory = cache_directory()
    wanted = directory / f"{name}-{recipe_key(recipe)}"
    with _locked(directory / f".{name}.lock"):
        if not wanted.exists():
            unfinished = directory / f".{wanted.name}.unfinished"
            try:
                build(unfinished)
                unfinished.replace(wanted)
            finally:
                unfinished.unlink(missing_ok=True)
        os.utime(wanted)
        _remove_older(directory, name)
    return wanted


def recipe_key(recipe: str) -> str:
    """Return what tells this recipe from others, fit for a file name and an image's tag."""
    return hashlib.sha256(recipe.encode()).hexdigest()[:RECIPE_DIGITS]


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file that is part of a recipe."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree_digest(directory: Path) -> str:
    """Return a digest over names and contents of a directory that is part of a recipe."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    lines = (f"{path.relative_to(directory)} {file_digest(path)}" for path in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _remove_older(directory: Path, name: str) -> None:
    """Keep what was used last: two branches of the project may take turns."""
    present = sorted(directory.glob(f"{name}-*"), key=lambda path: path.stat().st_mtime)
    for path in present[:-KEPT]:
        path.unlink()


@contextlib.contextmanager
def _locked(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
