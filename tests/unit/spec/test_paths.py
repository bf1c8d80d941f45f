"""The path rule, here and in the file for compute nodes."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from platform_assets.models import seal
from platform_assets.spec.paths import PathRefused, checked_path, checked_tree, path_objection

PARTS = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(["", ".", "..", "a"])
PATHS = st.lists(PARTS, max_size=5).map("/".join) | st.text(max_size=20)


@pytest.mark.parametrize(
    ("path", "objection"),
    [
        ("", "empty part"),
        ("/etc/passwd", "absolute"),
        ("a//b", "empty part"),
        ("a/", "empty part"),
        ("a/./b", "`.` or `..`"),
        ("../b", "`.` or `..`"),
        ("a\\b", "backslash"),
        ("a\nb", "control character"),
        ("a\x00b", "control character"),
        ("a\x9bb", "control character"),
        (unicodedata.normalize("NFD", "gewähr"), "not NFC"),
        ("\udc80", "not UTF-8"),
        ("ä" * 257, "514 bytes, more than 512"),
    ],
)
def test_a_path_outside_the_rule_is_refused_with_the_reason(path: str, objection: str) -> None:
    with pytest.raises(PathRefused, match="rename the file and seal again") as refused:
        checked_path(path)
    assert objection in str(refused.value)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "path", ["MLmodel", "a/b.json", "ä" * 256, "...", "a b", ".hidden", "模型"]
)
def test_an_ordinary_path_is_taken(path: str) -> None:
    assert checked_path(path) == path


@given(PATHS)
@example("a/\udc80")
@example("/")
def test_both_copies_of_the_rule_agree(path: str) -> None:
    assert path_objection(path) == seal.path_objection(path)


@given(PATHS)
def test_a_taken_path_stays_below_its_directory(path: str) -> None:
    if path_objection(path) is None:
        assert unicodedata.normalize("NFC", path) == path
        assert not path.startswith("/")
        assert not {"", ".", ".."} & set(path.split("/"))
        assert len(path.encode()) <= 512


def test_a_tree_names_every_file_once() -> None:
    checked_tree(["a/b", "a/c", "ab"])
    with pytest.raises(PathRefused, match="listed twice"):
        checked_tree(["a/b", "a/b"])
    with pytest.raises(PathRefused, match="as a file and as a directory"):
        checked_tree(["a/b", "a"])
