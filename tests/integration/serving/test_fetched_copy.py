"""Fetching by manifest from a real object store: only whole, proven copies are ever seen."""

import os
from pathlib import Path

import pytest

from platform_assets.lineage.manifest import FileEntry, Manifest, copy_prefix
from platform_assets.serving.fetched_copy import NoRoom, WrongCopy, fetch_copy
from resources.object_store import ObjectStore
from tests.integration.serving.object_store import published

FILES = {"MLmodel": b"flavors: {}\n", "data/weights.bin": os.urandom(3_000_000), "empty": b""}


def test_exactly_the_named_files_appear(store: ObjectStore, tmp_path: Path) -> None:
    prefix, manifest = published(store, "whole", FILES)
    store.put(prefix + "not-named", b"somebody else's")
    copy = fetch_copy(store, prefix, manifest.tree_digest, tmp_path / "e")
    assert copy.fetched
    assert copy.directory == tmp_path / "e" / manifest.tree_digest
    found = {
        file.relative_to(copy.directory).as_posix(): file.read_bytes()
        for file in copy.directory.rglob("*")
        if file.is_file()
    }
    assert found == {**FILES, "manifest.json": manifest.to_bytes()}
    assert [one.name for one in (tmp_path / "e").iterdir()] == [manifest.tree_digest]


def test_a_whole_copy_is_not_fetched_again(store: ObjectStore, tmp_path: Path) -> None:
    prefix, manifest = published(store, "again", FILES)
    fetch_copy(store, prefix, manifest.tree_digest, tmp_path)
    assert not fetch_copy(store, prefix, manifest.tree_digest, tmp_path).fetched


@pytest.mark.parametrize("damage", ["byte", "missing", "extra", "link", "manifest"])
def test_a_damaged_copy_is_fetched_anew(store: ObjectStore, tmp_path: Path, damage: str) -> None:
    prefix, manifest = published(store, "damaged", FILES)
    directory = fetch_copy(store, prefix, manifest.tree_digest, tmp_path).directory
    weights = directory / "data" / "weights.bin"
    if damage == "byte":
        data = bytearray(weights.read_bytes())
        data[1_000_000] ^= 1
        weights.write_bytes(data)
    elif damage == "missing":
        weights.unlink()
    elif damage == "extra":
        (directory / "evil.py").write_text("import os")
    elif damage == "link":
        (directory / "link").symlink_to("/etc")
    else:
        (directory / "manifest.json").write_text("{}")
    copy = fetch_copy(store, prefix, manifest.tree_digest, tmp_path)
    assert copy.fetched
    assert weights.read_bytes() == FILES["data/weights.bin"]
    assert not (directory / "evil.py").exists()
    assert not (directory / "link").is_symlink()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (b"x" * 3_000_000, "expected 3000000 bytes with SHA-256"),
        (b"short", "found 5 with SHA-256"),
        (b"x" * 3_000_001, "found more"),
        (None, "named by the manifest, found none"),
    ],
)
def test_wrong_bytes_name_the_object_and_nothing_is_seen(
    store: ObjectStore, tmp_path: Path, wrong: bytes | None, words: str
) -> None:
    prefix, manifest = published(store, "wrong", FILES)
    if wrong is None:
        store.delete(prefix + "data/weights.bin")
    else:
        store.put(prefix + "data/weights.bin", wrong)
    with pytest.raises(WrongCopy) as refused:
        fetch_copy(store, prefix, manifest.tree_digest, tmp_path)
    assert f"s3://models/{prefix}data/weights.bin" in str(refused.value)
    assert words in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_another_manifest_is_refused(store: ObjectStore, tmp_path: Path) -> None:
    prefix, manifest = published(store, "other", FILES)
    store.put(prefix + "manifest.json", manifest.to_bytes() + b" ")
    with pytest.raises(WrongCopy, match=f"expected SHA-256 {manifest.tree_digest}"):
        fetch_copy(store, prefix, manifest.tree_digest, tmp_path)
    store.delete(prefix + "manifest.json")
    with pytest.raises(WrongCopy, match="expected a manifest, found none"):
        fetch_copy(store, prefix, manifest.tree_digest, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_fetch_left_is_removed(store: ObjectStore, tmp_path: Path) -> None:
    prefix, manifest = published(store, "killed", FILES)
    for name in (f".fetching-{manifest.tree_digest}", ".fetching-another"):
        (tmp_path / name / "data").mkdir(parents=True)
        (tmp_path / name / "data" / "weights.bin").write_bytes(b"half")
    fetch_copy(store, prefix, manifest.tree_digest, tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == [manifest.tree_digest]


def test_a_full_disk_is_told_before_the_download_and_nothing_is_left(
    store: ObjectStore, tmp_path: Path
) -> None:
    manifest = Manifest((FileEntry("weights.bin", 2**52, "0" * 64),))
    prefix = copy_prefix("full", manifest.tree_digest)
    store.put(prefix + "manifest.json", manifest.to_bytes())
    with pytest.raises(NoRoom, match="free space on this disk") as refused:
        fetch_copy(store, prefix, manifest.tree_digest, tmp_path)
    assert f"{2**52} bytes are needed" in str(refused.value)
    assert list(tmp_path.iterdir()) == []
