"""The path rule, here and in the file for compute nodes."""

import unicodedata

import pytest
from hypothesis import example, given

from platform_assets.models import seal
from platform_assets.spec.paths import PathRefused, checked_path, checked_tree, path_objection
from tests.tree_rules import ORDINARY, OUTSIDE, PATHS


@pytest.mark.parametrize(("path", "objection"), OUTSIDE)
def test_a_path_outside_the_rule_is_refused_with_the_reason(path: str, objection: str) -> None:
    with pytest.raises(PathRefused, match="rename the file and seal again") as refused:
        checked_path(path)
    assert objection in str(refused.value)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("path", ORDINARY)
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
    checked_tree(["a/b", "a/c", "ab", "abc"])
    with pytest.raises(PathRefused, match="listed twice"):
        checked_tree(["a/b", "a/b"])
    with pytest.raises(PathRefused, match="as a file and as a directory"):
        checked_tree(["a/b", "a"])
    with pytest.raises(PathRefused, match="rename the file and seal again"):
        checked_tree(["a", "../b"])


@pytest.mark.parametrize("path", ["e\u0301", "\u212b"])
def test_text_that_is_not_normalised_is_refused_whichever_way_it_sorts(path: str) -> None:
    assert path_objection(path) is not None
    assert path_objection(unicodedata.normalize("NFC", path)) is None
