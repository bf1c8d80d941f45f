"""Whether a directory `<checkpoint root>/<model>/<run>` is a checkpoint that may be taken.

Judged from the marker, from what stat says of the files, and from small metadata. No file is
hashed here: the copy verifies every byte against the marker. What may be served per format stands
in `mlflow_model.py` and `huggingface_model.py`, who signed it in `signature.py`; the schema in
`platform_assets/spec/checkpoint.py`.
"""

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from platform_assets.lineage.manifest import FileEntry, Manifest
from platform_assets.models import huggingface_model, mlflow_model, seal
from platform_assets.models.refusal import CheckpointRefused, NotSealed
from platform_assets.models.signature import check_signature
from platform_assets.spec.checkpoint import (
    MARKER_NAME,
    MAX_MARKER_BYTES,
    UNLISTED,
    Marker,
    MarkerRefused,
    parse_marker,
)
from platform_assets.spec.names import NameRefused, checked_name
from platform_assets.spec.paths import PathRefused, checked_path
from platform_assets.spec.serving import ServedModel

__all__ = [
    "MARKER_NAME",
    "CheckpointKey",
    "CheckpointNotFound",
    "CheckpointRefused",
    "JudgedCheckpoint",
    "NotSealed",
    "checkpoint_directories",
    "find_checkpoint",
    "judge_checkpoint",
]

CheckpointKey = str  # <model>.<run>.<first 12 hex digits of the marker's SHA-256>
FUTURE_ALLOWED = timedelta(minutes=5)
_KEY = re.compile(r"(?P<model>[-a-z0-9]+)\.(?P<run>[-a-z0-9]+)\.(?P<digest>[0-9a-f]{12})\Z")
_SHOWN_PATHS = 3


class CheckpointNotFound(CheckpointRefused):
    """No checkpoint with this key lies under the checkpoint root any more."""


@dataclass(frozen=True)
class JudgedCheckpoint:
    """A checkpoint that may be taken. `manifest` holds the serving files only."""

    key: CheckpointKey
    model: str
    run: str
    directory: Path
    marker: Marker
    marker_sha256: str
    manifest: Manifest
    signed_by: str | None = None  # SHA-256 of the signer's key, where signers are asked for

    @property
    def format(self) -> str:
        """`mlflow` or `huggingface`."""
        return self.marker.format


def checkpoint_directories(root: Path) -> Iterator[Path]:
    """Yield every `<root>/<model>/<run>`, sorted; also what is refused later, so that it is shown.

    A model directory that cannot be listed is yielded itself. A root that cannot be listed raises
    OSError: a failed read is not an empty world.
    """
    for model in _subdirectories(root):
        try:
            runs = _subdirectories(model)
        except PermissionError:
            yield model
        else:
            yield from runs


def _subdirectories(directory: Path) -> list[Path]:
    with os.scandir(directory) as entries:
        names = [e.name for e in entries if e.is_dir(follow_symlinks=False) or e.is_symlink()]
    return [directory / name for name in sorted(names) if not name.startswith(".")]


def find_checkpoint(root: Path, key: CheckpointKey) -> Path:
    """Return the directory of checkpoint `key`.

    Raises:
        CheckpointNotFound: no such directory, or it was sealed anew and is another checkpoint now.
    """
    match = _KEY.match(key)
    if match is None:
        message = f"checkpoint key {key!r}: expected <model>.<run>.<12 hex digits>"
        raise CheckpointNotFound(message)
    directory = root / match["model"] / match["run"]
    try:
        data, _ = _read_marker(directory)
    except CheckpointRefused as refusal:
        message = f"checkpoint {key}: it is not there any more: {refusal}"
        raise CheckpointNotFound(message) from refusal
    found = hashlib.sha256(data).hexdigest()[:12]
    if found != match["digest"]:
        message = (
            f"checkpoint {key}: {directory} was sealed anew and is checkpoint "
            f"{match['model']}.{match['run']}.{found} now; deliver that one"
        )
        raise CheckpointNotFound(message)
    return directory


def judge_checkpoint(
    directory: Path, root: Path, served: ServedModel | None, now: datetime
) -> JudgedCheckpoint:
    """Return the checkpoint in `directory`, or say why it is not taken.

    `served` is the model's entry in the serving configuration: its owners, its pickles.

    Raises:
        NotSealed: there is no marker.
        CheckpointRefused: anything else that speaks against it.
    """
    model, run = _names(directory, root)
    owners = frozenset(served.owners) if served and served.owners else default_owners()
    _check_holders(directory, owners)
    data, marker_stat = _read_marker(directory)
    try:
        marker = parse_marker(data, f"{directory}/{MARKER_NAME}")
    except MarkerRefused as refusal:
        raise CheckpointRefused(str(refusal)) from refusal
    _check_moment(directory, marker, marker_stat, now)
    if (marker.model, marker.run) != (model, run):
        message = (
            f"{directory}/{MARKER_NAME}: expected model {model!r} and run {run!r} as the directory "
            f"says, found {marker.model!r} and {marker.run!r}; seal again where it lies now"
        )
        raise CheckpointRefused(message)
    found = _tree(directory, owners)
    _check_files(directory, marker, found, marker_stat)
    serving = {file.path: file.size for file in marker.serving_files}
    if not serving:
        message = f"{directory}: expected a model, found no serving file among those listed"
        raise CheckpointRefused(message)
    pickles = frozenset(served.allow_pickles) if served else frozenset()
    judge = {"mlflow": mlflow_model, "huggingface": huggingface_model}[marker.format]
    judge.judge_serving_files(directory, serving, pickles)
    digest = hashlib.sha256(data).hexdigest()
    manifest = Manifest(tuple(FileEntry(f.path, f.size, f.sha256) for f in marker.serving_files))
    key = f"{model}.{run}.{digest[:12]}"
    signed_by = None
    if served and served.signers:
        signed = {file.path: file.sha256 for file in marker.files} | {MARKER_NAME: digest}
        signed_by = check_signature(directory, signed, served.signers)
    return JudgedCheckpoint(key, model, run, directory, marker, digest, manifest, signed_by)


def default_owners() -> frozenset[int]:
    """Who may own a checkpoint where the model's configuration does not say: us, and root."""
    return frozenset({os.geteuid(), 0})


def _names(directory: Path, root: Path) -> tuple[str, str]:
    parts = directory.relative_to(root).parts if directory.is_relative_to(root) else ()
    if len(parts) == 1:
        message = f"{directory}: the directory cannot be listed; let our user read it"
        raise CheckpointRefused(message)
    if len(parts) != 2:
        message = f"{directory}: expected {root}/<model>/<run>"
        raise CheckpointRefused(message)
    try:
        return checked_name("model", parts[0]), checked_name("run", parts[1])
    except NameRefused as refusal:
        message = f"{ascii(str(directory))[1:-1]}: {refusal}"
        raise CheckpointRefused(message) from refusal


def _check_holders(directory: Path, owners: frozenset[int]) -> None:
    """The directory and its model's: whoever may write there can put another in its place."""
    for holder in (directory.parent, directory):
        try:
            status = holder.lstat()
        except OSError as error:
            message = f"{holder}: cannot be read: {error.strerror}"
            raise CheckpointRefused(message) from error
        if stat.S_ISLNK(status.st_mode):
            message = f"{holder}: expected a directory, found a symlink; put the directory there"
            raise CheckpointRefused(message)
        if not stat.S_ISDIR(status.st_mode):
            message = f"{holder}: expected a directory, found something else"
            raise CheckpointRefused(message)
        _check_owner(str(holder), status, owners)


def _check_owner(where: str, status: os.stat_result, owners: frozenset[int]) -> None:
    if status.st_uid not in owners:
        allowed = ", ".join(str(uid) for uid in sorted(owners))
        message = (
            f"{where}: expected an owner among uid {allowed}, found uid {status.st_uid}; "
            "change the owner, or name it in the model's `owners` in the serving configuration"
        )
        raise CheckpointRefused(message)
    if status.st_mode & stat.S_IWOTH:
        message = (
            f"{where}: expected nobody else to have write access, found mode "
            f"{stat.S_IMODE(status.st_mode):04o}, writable by everybody; run `chmod o-w`"
        )
        raise CheckpointRefused(message)


def _read_marker(directory: Path) -> tuple[bytes, os.stat_result]:
    file = directory / MARKER_NAME
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotSealed(_unsealed(directory)) from error
    except OSError as error:
        found = "a symlink" if error.errno == errno.ELOOP else str(error.strerror)
        message = f"{file}: expected a readable file, found {found}; remove it and seal again"
        raise CheckpointRefused(message) from error
    with os.fdopen(descriptor, "rb") as opened:
        status = os.fstat(opened.fileno())
        if not stat.S_ISREG(status.st_mode):
            message = f"{file}: expected a file, found something else; remove it and seal again"
            raise CheckpointRefused(message)
        return opened.read(MAX_MARKER_BYTES + 1), status


def _unsealed(directory: Path) -> str:
    try:
        empty = not any(directory.iterdir())
    except OSError as error:
        return f"{directory}: cannot be listed: {error.strerror}"
    found = "an empty directory" if empty else "none"
    remedy = "train into it and seal it" if empty else "when training has ended, seal it"
    return (
        f"{directory}: expected the marker {MARKER_NAME}, found {found}; {remedy}: "
        f"`ai-how checkpoint seal {directory}`"
    )


def _check_moment(
    directory: Path, marker: Marker, marker_stat: os.stat_result, now: datetime
) -> None:
    written = datetime.fromtimestamp(marker_stat.st_mtime, UTC)
    latest = max(marker.sealed_at, written)
    if latest > now + FUTURE_ALLOWED:
        message = (
            f"{directory}/{MARKER_NAME}: expected a time of at most five minutes from now "
            f"({_shown(now)}), found {_shown(latest)}, in the future; "
            "set the clock of the machine that seals, and seal again"
        )
        raise CheckpointRefused(message)


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _tree(directory: Path, owners: frozenset[int]) -> dict[str, os.stat_result]:
    found: dict[str, os.stat_result] = {}
    open_directories = [""]
    while open_directories:
        prefix = open_directories.pop()
        try:
            with os.scandir(directory / prefix) as entries:
                children = [(prefix + e.name, e.stat(follow_symlinks=False)) for e in entries]
        except OSError as error:
            message = f"{directory}/{prefix}: cannot be listed: {error.strerror}"
            raise CheckpointRefused(message) from error
        for path, status in children:
            _check_entry(directory, path, status, owners)
            if stat.S_ISDIR(status.st_mode):
                open_directories.append(path + "/")
            else:
                found[path] = status
    return found


def _check_entry(
    directory: Path, path: str, status: os.stat_result, owners: frozenset[int]
) -> None:
    try:
        checked_path(path)
    except PathRefused as refusal:
        message = f"{directory}: {refusal}"
        raise CheckpointRefused(message) from refusal
    if not (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)):
        message = (
            f"{directory}/{path}: expected a file or a directory, found {_kind(status.st_mode)}; "
            "put the file itself there, or remove it, and seal again"
        )
        raise CheckpointRefused(message)
    _check_owner(f"{directory}/{path}", status, owners)


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISLNK, "a symlink"), (stat.S_ISSOCK, "a socket"), (stat.S_ISFIFO, "a pipe"))
    return next((name for test, name in kinds if test(mode)), "a device")


def _check_files(
    directory: Path,
    marker: Marker,
    found: Mapping[str, os.stat_result],
    marker_stat: os.stat_result,
) -> None:
    listed = {file.path: file for file in marker.files}
    missing = sorted(listed.keys() - found.keys())
    if missing:
        message = (
            f"{directory}: the marker names {_some(missing)}, found missing; restore or reseal"
        )
        raise CheckpointRefused(message)
    extra = sorted(found.keys() - listed.keys() - UNLISTED)
    if extra:
        message = (
            f"{directory}: expected only the files that the marker names, found also "
            f"{_some(extra)}; remove them, or seal again"
        )
        raise CheckpointRefused(message)
    for path, file in listed.items():
        size = found[path].st_size
        if size != file.size:
            than = "shorter" if size < file.size else "longer"
            message = (
                f"{directory}/{path}: expected {file.size} bytes as the marker says, found {size}, "
                f"{than}; restore the file, or seal again"
            )
            raise CheckpointRefused(message)
        if found[path].st_mtime_ns > marker_stat.st_mtime_ns:
            message = (
                f"{directory}/{path}: expected no file newer than the marker, found that it was "
                "written after sealing; seal again when training has ended"
            )
            raise CheckpointRefused(message)
        if file.serving != seal.is_serving(path):
            message = (
                f"{directory}/{MARKER_NAME}: {path}: expected serving: "
                f"{str(not file.serving).lower()} by the rule of checkpoint/1, found the opposite; "
                "seal again with the current seal.py"
            )
            raise CheckpointRefused(message)


def _some(paths: list[str]) -> str:
    more = f" and {len(paths) - _SHOWN_PATHS} more" if len(paths) > _SHOWN_PATHS else ""
    return ", ".join(paths[:_SHOWN_PATHS]) + more
