"""The storage container carries the platform's rules, word for word where people read them."""

import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from platform_assets.lineage.manifest import FileEntry, Manifest, ManifestRefused
from platform_assets.spec import paths as platform
from storage_container.errors import WrongCopy
from storage_container.manifest import path_objection, read_manifest, tree_objection
from tests.tree_rules import GOOD, NO_MANIFEST, ORDINARY, OUTSIDE, PATHS

WHERE = "s3://models/models/digits/sha256-0/manifest.json"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(("path", "objection"), OUTSIDE)
def test_a_path_outside_the_rule_is_refused_with_the_reason(path, objection):
    assert objection in (path_objection(path) or "")


@pytest.mark.parametrize("path", ORDINARY)
def test_an_ordinary_path_is_taken(path):
    assert path_objection(path) is None


@given(PATHS)
@example("a/\udc80")
def test_both_copies_of_the_path_rule_agree(path):
    assert path_objection(path) == platform.path_objection(path)


@given(st.lists(PATHS, max_size=6))
@example(["a", "a/b"])
@example(["a", "a"])
def test_both_copies_of_the_tree_rule_agree(paths):
    try:
        platform.checked_tree(paths)
    except platform.PathRefused as refused:
        assert (tree_objection(paths) or "none") in str(refused)
    else:
        assert tree_objection(paths) is None


@pytest.mark.parametrize(("data", "told"), NO_MANIFEST)
def test_other_bytes_are_no_manifest_though_their_digest_is_right(data, told):
    with pytest.raises(WrongCopy) as refused:
        read_manifest(data, WHERE, digest(data))
    assert told in str(refused.value)
    assert str(refused.value).startswith(WHERE)
    assert str(refused.value).endswith("publish the model anew")


@given(
    st.dictionaries(PATHS, st.integers(0, 2**53 - 1), max_size=5),
    st.binary(min_size=32, max_size=32).map(bytes.hex),
)
def test_what_the_platform_writes_is_read_and_nothing_else(sizes, sha256):
    try:
        manifest = Manifest(tuple(FileEntry(path, size, sha256) for path, size in sizes.items()))
    except ManifestRefused:
        return
    data = manifest.to_bytes()
    if "manifest.json" in sizes:
        return
    read = read_manifest(data, WHERE, manifest.tree_digest)
    assert [(f.path, f.size, f.sha256) for f in read.files] == [
        (f.path, f.size, f.sha256) for f in manifest.files
    ]
    assert read.total_bytes == manifest.total_bytes


def test_another_digest_names_both():
    with pytest.raises(WrongCopy) as refused:
        read_manifest(GOOD, WHERE, "1" * 64)
    assert f"{WHERE}: expected SHA-256 {'1' * 64}, found {digest(GOOD)}" in str(refused.value)


def test_a_file_cannot_have_the_name_of_the_manifest():
    data = GOOD.replace(b'"a"', b'"manifest.json"')
    with pytest.raises(WrongCopy, match=r"names manifest\.json itself"):
        read_manifest(data, WHERE, digest(data))
