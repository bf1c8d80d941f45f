"""The manifest: its bytes, its order, its digest."""

import hashlib
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.lineage.manifest import FileEntry, Manifest, ManifestRefused, copy_prefix
from platform_assets.spec.paths import PathRefused, checked_tree
from tests.tree_rules import NO_MANIFEST

ENTRIES = st.builds(
    FileEntry,
    path=st.lists(st.text("aä模𝄞.-_ Z", min_size=1, max_size=4), min_size=1, max_size=3).map(
        "/".join
    ),
    size=st.integers(0, 2**53 - 1),
    sha256=st.binary(min_size=32, max_size=32).map(bytes.hex),
)


def _is_tree(entries: list[FileEntry]) -> bool:
    try:
        checked_tree(entry.path for entry in entries)
    except PathRefused:
        return False
    return True


TREES = st.lists(ENTRIES, min_size=1, max_size=6).filter(_is_tree)


@given(TREES)
def test_a_manifest_comes_back_from_its_bytes(entries: list[FileEntry]) -> None:
    manifest = Manifest(tuple(entries))
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
    assert manifest.total_bytes == sum(entry.size for entry in entries)


@given(TREES, st.randoms())
def test_the_order_of_files_changes_nothing(
    entries: list[FileEntry], shuffler: random.Random
) -> None:
    shuffled = list(entries)
    shuffler.shuffle(shuffled)
    assert Manifest(tuple(shuffled)).tree_digest == Manifest(tuple(entries)).tree_digest


@given(TREES)
def test_files_stand_in_the_order_of_their_utf8_bytes(entries: list[FileEntry]) -> None:
    paths = [file.path.encode() for file in Manifest(tuple(entries)).files]
    assert paths == sorted(paths)


@given(TREES)
def test_the_digest_is_that_of_the_canonical_bytes(entries: list[FileEntry]) -> None:
    manifest = Manifest(tuple(entries))
    plain = {
        "files": [{"path": f.path, "sha256": f.sha256, "size": f.size} for f in manifest.files],
        "version": 1,
    }
    text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    assert manifest.to_bytes() == text.encode()
    assert manifest.tree_digest == hashlib.sha256(text.encode()).hexdigest()


def test_a_known_manifest_has_its_known_bytes() -> None:
    manifest = Manifest((FileEntry("b", 1, "0" * 64), FileEntry("a/c", 2, "1" * 64)))
    assert manifest.to_bytes() == (
        b'{"files":[{"path":"a/c","sha256":"' + b"1" * 64 + b'","size":2},'
        b'{"path":"b","sha256":"' + b"0" * 64 + b'","size":1}],"version":1}'
    )
    assert manifest.tree_digest == (
        "5d64da89bd031c2834d3352a84aa1bf95e633467bb7d5d80e1f82b741de9387b"
    )


@pytest.mark.parametrize(("data", "told"), NO_MANIFEST)
def test_other_bytes_are_no_manifest(data: bytes, told: str) -> None:
    with pytest.raises(ManifestRefused) as refused:
        Manifest.from_bytes(data)
    assert told in str(refused.value)


def test_a_copy_stands_under_model_and_digest() -> None:
    assert copy_prefix("digits", "a" * 64) == f"models/digits/sha256-{'a' * 64}/"
    with pytest.raises(ManifestRefused, match="64 hex digits"):
        copy_prefix("digits", "sha256-1")
