"""OCI images written without a build program, as one archive that `ctr images import` takes.

A layer is made from files on this disk or is a tar that is there already. Every blob goes straight
into the archive: its tar header is left open and filled in when digest and size are known, so an
image costs its own size on the disk and not a second copy of its layers.

Reference: OCI image specification 1.1 (image layout, manifest, configuration). What the images
contain does not belong here.
"""

import contextlib
import gzip
import hashlib
import io
import json
import os
import platform
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

LAYER = "application/vnd.oci.image.layer.v1.tar"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# containerd looks an image up by its full name: "pause:1" and "docker.io/library/pause:1" differ.
FULL_NAME = re.compile(r"(localhost|[^/]*[.:][^/]*)/[a-z0-9._/-]+:[A-Za-z0-9._-]+")
GZIP = b"\x1f\x8b"
CHUNK = 1 << 20


@dataclass(frozen=True)
class FilesLayer:
    """A layer of files and directories: where each lies in the image, and where on this disk.

    Everything belongs to root. `mtime` sets one time for all entries, which makes the same digest
    of the same files; without it files keep their times, as Python's compiled files need.
    A path in the image must not go through a symbolic link of a lower layer (`/usr/lib`, not
    `/lib`): the layer names its directories and would replace the link.
    """

    files: Mapping[str, Path]
    mtime: int | None = None


@dataclass(frozen=True)
class TarLayer:
    """A layer that exists as a tar, plain or compressed by gzip."""

    path: Path


@dataclass(frozen=True)
class ImageConfig:
    """What is started from the image, and as whom."""

    entrypoint: Sequence[str]
    command: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    working_directory: str = "/"
    user: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Blob:
    digest: str
    size: int
    diff_id: str  # the digest before compression

    def descriptor(self, media_type: str) -> dict[str, Any]:
        return {"mediaType": media_type, "digest": self.digest, "size": self.size}


def write_image(
    archive: Path,
    name: str,
    layers: Sequence[FilesLayer | TarLayer],
    config: ImageConfig,
    *,
    compress: bool = False,
) -> str:
    """Write the image `name` (with registry and tag) to `archive`; return its manifest's digest.

    The archive appears whole or not at all. Layers of files are compressed only when asked for:
    on the machine that made them, compression costs more time than it saves.
    """
    if not FULL_NAME.fullmatch(name):
        raise ValueError(
            f"{archive}: image name {name!r}: expected registry, path and tag, "
            "such as docker.io/ai-how/pause:1"
        )
    unfinished = archive.with_name(f".{archive.name}.{os.getpid()}")
    try:
        with unfinished.open("w+b") as file:
            digest = _write_layout(_Archive(file), name, layers, config, compress=compress)
        unfinished.replace(archive)
    finally:
        unfinished.unlink(missing_ok=True)
    return digest


def _write_layout(
    archive: "_Archive",
    name: str,
    layers: Sequence[FilesLayer | TarLayer],
    config: ImageConfig,
    *,
    compress: bool,
) -> str:
    archive.add("oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
    described: list[dict[str, Any]] = []
    diff_ids: list[str] = []
    for layer in layers:
        blob, media_type = _add_layer(archive, layer, compress=compress)
        described.append(blob.descriptor(media_type))
        diff_ids.append(blob.diff_id)
    configuration = archive.add_bytes(_json(_configuration(config, diff_ids)))
    manifest = archive.add_bytes(
        _json(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": configuration.descriptor(CONFIG),
                "layers": described,
            }
        )
    )
    named = {
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": name.rpartition(":")[2],
    }
    entry = manifest.descriptor(MANIFEST) | {"annotations": named}
    archive.add("index.json", _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}))
    archive.close()
    return manifest.digest


def _add_layer(
    archive: "_Archive", layer: FilesLayer | TarLayer, *, compress: bool
) -> tuple[_Blob, str]:
    if isinstance(layer, FilesLayer):
        blob = archive.add_blob(lambda sink: _write_tree(sink, layer), compress=compress)
        return blob, f"{LAYER}+gzip" if compress else LAYER

    def copy(sink: "_Hashing") -> None:
        with layer.path.open("rb") as source:
            shutil.copyfileobj(source, sink, CHUNK)

    blob = archive.add_blob(copy)
    with layer.path.open("rb") as source:
        if source.read(2) != GZIP:
            return blob, LAYER
    with gzip.open(layer.path) as plain:
        diff_id = hashlib.file_digest(plain, "sha256").hexdigest()
    return _Blob(blob.digest, blob.size, f"sha256:{diff_id}"), f"{LAYER}+gzip"


def _configuration(config: ImageConfig, diff_ids: Sequence[str]) -> dict[str, Any]:
    running: dict[str, Any] = {
        "Entrypoint": list(config.entrypoint),
        "Cmd": list(config.command),
        "Env": [f"{key}={value}" for key, value in sorted(config.environment.items())],
        "WorkingDir": config.working_directory,
        "User": config.user,
        "Labels": dict(config.labels),
    }
    return {
        "architecture": ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {key: value for key, value in running.items() if value},
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
    }


def _write_tree(sink: "_Hashing", layer: FilesLayer) -> None:
    def as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        # Whole seconds, as Python's compiled files remember their source's time.
        entry.mtime = int(entry.mtime) if layer.mtime is None else layer.mtime
        return entry

    named: set[str] = set()
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for place, source in sorted(layer.files.items()):
            inside = PurePosixPath(place.lstrip("/"))
            for parent in reversed(inside.parents[:-1]):
                if str(parent) not in named:
                    named.add(str(parent))
                    tar.addfile(as_root(_directory(str(parent))))
            for path, name in _entries(source, str(inside)):
                if name != "." and name not in named:
                    named.add(name)
                    tar.add(path, name, recursive=False, filter=as_root)


def _directory(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type = tarfile.DIRTYPE
    entry.mode = 0o755
    return entry


def _entries(source: Path, name: str) -> Iterator[tuple[Path, str]]:
    """The file or directory and all below it, in an order that does not depend on the disk."""
    yield source, name
    if source.is_dir() and not source.is_symlink():
        for child in sorted(source.iterdir()):
            yield from _entries(child, child.name if name == "." else f"{name}/{child.name}")


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


class _Archive:
    """A tar whose members are written before their names and sizes are known."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._blobs: dict[str, _Blob] = {}

    def add(self, name: str, content: bytes) -> None:
        self._file.write(_header(name, len(content)))
        self._file.write(content)
        self._pad()

    def add_bytes(self, content: bytes) -> _Blob:
        return self.add_blob(lambda sink: _ignore(sink.write(content)))

    def add_blob(self, write: Callable[["_Hashing"], None], *, compress: bool = False) -> _Blob:
        """What `write` writes, under its digest; a blob that is there already takes no room."""
        start = self._file.tell()
        self._file.write(bytes(tarfile.BLOCKSIZE))
        stored = _Hashing(self._file)
        plain = stored
        if compress:
            with gzip.GzipFile("", "wb", 1, fileobj=stored, mtime=0) as squeezed:
                plain = _Hashing(squeezed)
                write(plain)
        else:
            write(plain)
        blob = _Blob(stored.digest(), stored.size, plain.digest())
        if blob.digest in self._blobs:
            self._file.seek(start)
            self._file.truncate()
            return self._blobs[blob.digest]
        self._pad()
        end = self._file.tell()
        self._file.seek(start)
        self._file.write(_header(f"blobs/{blob.digest.replace(':', '/')}", blob.size))
        self._file.seek(end)
        self._blobs[blob.digest] = blob
        return blob

    def close(self) -> None:
        self._file.write(bytes(2 * tarfile.BLOCKSIZE))

    def _pad(self) -> None:
        self._file.write(bytes(-self._file.tell() % tarfile.BLOCKSIZE))


class _Hashing(io.RawIOBase):
    """Passes bytes on, and knows their digest and number."""

    def __init__(self, sink: IO[bytes] | gzip.GzipFile) -> None:
        self._sink = sink
        self._hash = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._sink.write(view)
        self._hash.update(view)
        self.size += len(view)
        return len(view)

    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


def _header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry.tobuf(tarfile.GNU_FORMAT)


def _ignore(_written: object) -> None:
    """Drop the number of bytes that a write returns."""


def image_digest(archive: Path) -> str:
    """The manifest's digest of an archive that `write_image` made."""
    with contextlib.closing(tarfile.open(archive)) as tar:
        index = tar.extractfile("index.json")
        if index is None:
            raise ValueError(f"{archive}: no index.json: not an OCI image archive")
        return str(json.load(index)["manifests"][0]["digest"])
