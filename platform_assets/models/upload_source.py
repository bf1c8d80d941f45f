"""Reading the sealed files of a checkpoint: without following links, and only as they were sealed.

What becomes of the bytes is in `upload.py`.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platform_assets.lineage.manifest import FileEntry
from platform_assets.spec.errors import AiHowError


class WrongBytes(AiHowError):
    """A file of a checkpoint is not what its marker says."""


class SourceUnreadable(AiHowError):
    """A file of a checkpoint cannot be read just now."""


def wrong_bytes(directory: Path, entry: FileEntry, expected: str, found: str) -> WrongBytes:
    """Return the error that says how a file differs from its marker."""
    return WrongBytes(
        f"{directory / entry.path}: expected {expected} as its marker says, found {found}; "
        "if the change was meant, seal the checkpoint anew, else restore the file"
    )


@contextmanager
def open_sealed(directory: Path, entry: FileEntry) -> Iterator[int]:
    """Open a listed file without following any link below `directory`, and check its size.

    Raises:
        WrongBytes: it is missing, no plain file, of another size, or changed while it was open.
        SourceUnreadable: the file system failed.
    """
    *parents, name = entry.path.split("/")
    folder = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    plain = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    opened: list[int] = []
    try:
        opened.append(os.open(directory, folder))
        for parent in parents:
            opened.append(os.open(parent, folder | os.O_NOFOLLOW, dir_fd=opened[-1]))
        opened.append(os.open(name, plain, dir_fd=opened[-1]))
        before = os.fstat(opened[-1])
        if not stat.S_ISREG(before.st_mode):
            raise wrong_bytes(directory, entry, "a plain file", "something else")
        if before.st_size != entry.size:
            raise wrong_bytes(directory, entry, f"{entry.size} bytes", f"{before.st_size}")
        yield opened[-1]
        after = os.fstat(opened[-1])
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise wrong_bytes(
                directory, entry, "a file at rest", "one that changed while it was read"
            )
    except (FileNotFoundError, NotADirectoryError) as error:
        raise wrong_bytes(directory, entry, f"{entry.size} bytes", "no such file") from error
    except OSError as error:
        if error.errno == errno.ELOOP:  # O_NOFOLLOW met a link
            raise wrong_bytes(directory, entry, "a plain file", "a symbolic link") from error
        message = (
            f"{directory / entry.path}: cannot be read: {error}; look at the file system of the "
            "checkpoint root"
        )
        raise SourceUnreadable(message) from error
    finally:
        for descriptor in reversed(opened):
            os.close(descriptor)


def fill(descriptor: int, view: memoryview, offset: int) -> int:
    """Read from `offset` until `view` is full or the file ends; return how much was read."""
    filled = 0
    while filled < len(view):
        count = os.preadv(descriptor, [view[filled:]], offset + filled)
        if count == 0:
            break
        filled += count
    return filled
