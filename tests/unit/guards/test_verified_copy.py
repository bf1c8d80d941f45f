"""A fetched copy is exactly its manifest's files, or it is refused by the file's name."""

import hashlib
import os
from pathlib import Path

import pytest

from platform_assets.lineage.manifest import FileEntry, Manifest
from platform_assets.serving.verified_copy import CopyRefused, verify_directory

CONTENT = {"MLmodel": b"flavors: {}\n", "data/weights.bin": b"0123456789"}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    entries = []
    for path, data in CONTENT.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)
        entries.append(FileEntry(path, len(data), hashlib.sha256(data).hexdigest()))
    (tmp_path / "manifest.json").write_bytes(Manifest(tuple(entries)).to_bytes())
    return tmp_path


def test_the_digest_is_that_of_the_manifest(copy: Path) -> None:
    verified = verify_directory(copy)
    expected = hashlib.sha256((copy / "manifest.json").read_bytes()).hexdigest()
    assert verified.tree_digest == expected
    verified.check_digest(expected)
    verified.check_digest(None)
    verified.check_unchanged()


def test_another_tree_than_asked_for_is_refused(copy: Path) -> None:
    with pytest.raises(CopyRefused, match=r"manifest\.json: expected tree digest 0{64}"):
        verify_directory(copy).check_digest("0" * 64)


def refused(copy: Path, file: str) -> None:
    with pytest.raises(CopyRefused) as caught:
        verify_directory(copy)
    assert str(copy / file) in str(caught.value)


def test_a_flipped_byte_is_refused(copy: Path) -> None:
    (copy / "data/weights.bin").write_bytes(b"0123456780")
    refused(copy, "data/weights.bin")


def test_another_size_is_refused(copy: Path) -> None:
    (copy / "data/weights.bin").write_bytes(b"01234567890")
    refused(copy, "data/weights.bin")


def test_a_missing_and_a_foreign_file_are_refused(copy: Path) -> None:
    (copy / "data/extra.pkl").write_bytes(b"x")
    refused(copy, "data/extra.pkl")
    (copy / "data/extra.pkl").unlink()
    (copy / "MLmodel").unlink()
    refused(copy, "MLmodel")


def test_links_and_pipes_are_refused(copy: Path) -> None:
    (copy / "MLmodel").rename(copy.parent / "elsewhere")
    (copy / "MLmodel").symlink_to(copy.parent / "elsewhere")
    refused(copy, "MLmodel")
    (copy / "MLmodel").unlink()
    os.mkfifo(copy / "MLmodel")
    refused(copy, "MLmodel")


def test_a_missing_or_altered_manifest_is_refused(copy: Path) -> None:
    (copy / "manifest.json").write_bytes((copy / "manifest.json").read_bytes() + b"\n")
    refused(copy, "manifest.json")
    (copy / "manifest.json").unlink()
    refused(copy, "manifest.json")
    refused(copy / "nowhere", "")


def test_a_file_replaced_by_equal_times_and_size_after_reading_is_noticed(copy: Path) -> None:
    verified = verify_directory(copy)
    file = copy / "data/weights.bin"
    status = file.stat()
    replacement = copy.parent / "replacement"
    replacement.write_bytes(b"9876543210")
    os.utime(replacement, ns=(status.st_atime_ns, status.st_mtime_ns))
    replacement.replace(file)
    with pytest.raises(CopyRefused, match=r"weights\.bin: changed while it was loaded"):
        verified.check_unchanged()


def test_a_file_that_came_after_reading_is_noticed(copy: Path) -> None:
    verified = verify_directory(copy)
    (copy / "late.py").write_bytes(b"")
    with pytest.raises(CopyRefused, match=r"late\.py: changed while it was loaded"):
        verified.check_unchanged()
