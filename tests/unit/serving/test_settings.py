"""What lies in the model repository, without a server."""

from pathlib import Path

from platform_assets.lineage import ids
from platform_assets.serving.fetched_copy import clear_leftovers, remove_copies_but
from platform_assets.serving.mlserver_endpoint import digest_of, write_in_one_step


def test_settings_are_replaced_in_one_step_and_leave_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "digits" / "model-settings.json"
    for data in (b"1", b"2"):
        write_in_one_step(file, data)
    assert file.read_bytes() == b"2"
    assert list(file.parent.iterdir()) == [file]


def test_a_model_that_tells_no_digest_is_not_taken_for_no_model() -> None:
    assert digest_of({}) == ""
    assert digest_of({"parameters": None}) == ""
    assert digest_of({"parameters": {ids.TREE_DIGEST: "a" * 64}}) == "a" * 64


def test_older_copies_and_leftovers_go_and_the_named_ones_stay(tmp_path: Path) -> None:
    for name in ("a", "b", "c", ".fetching-d"):
        (tmp_path / name / "inner").mkdir(parents=True)
    assert remove_copies_but(tmp_path, {"b"}) == ["a", "c"]
    assert [directory.name for directory in tmp_path.iterdir()] == ["b"]
    assert remove_copies_but(tmp_path / "absent", set()) == []


def test_leftovers_of_a_killed_fetch_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".fetching-a").mkdir()
    (tmp_path / "b").mkdir()
    clear_leftovers(tmp_path)
    assert [directory.name for directory in tmp_path.iterdir()] == ["b"]
