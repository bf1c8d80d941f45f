"""The directory that the model server will read: only a model of its own may lie there."""

import pytest

from storage_container.errors import Misused
from storage_container.manifest import FileEntry, Manifest
from storage_container.tree import prepared_tree

DIGEST = "ab" * 32
MANIFEST = Manifest(
    (FileEntry("MLmodel", 1, "0" * 64), FileEntry("data/deep/x", 1, "0" * 64)), b"{}"
)


def test_an_empty_volume_gets_its_directories(tmp_path):
    tree = prepared_tree(tmp_path / "models", MANIFEST, DIGEST)
    assert tree.there == frozenset()
    assert (tmp_path / "models/data/deep").is_dir()
    tree.finish(MANIFEST)
    assert sorted(p.name for p in (tmp_path / "models").iterdir()) == ["data", "manifest.json"]


def test_what_an_earlier_life_left_is_found(tmp_path):
    tree = prepared_tree(tmp_path, MANIFEST, DIGEST)
    (tmp_path / "MLmodel").write_bytes(b"x")
    tree.part(1).write_bytes(b"half")
    again = prepared_tree(tmp_path, MANIFEST, DIGEST)
    assert again.there == {"MLmodel"}
    assert again.present_bytes() > 0
    assert again.part(1).read_bytes() == b"half"


@pytest.mark.parametrize(
    "name", ["other", "data/other", "data/deep/x/y", ".incoming-0123456789abcdef"]
)
def test_anything_else_is_refused(tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(Misused, match="expected an empty volume, found"):
        prepared_tree(tmp_path, MANIFEST, DIGEST)


@pytest.mark.parametrize("name", ["MLmodel", "data", ".incoming-" + DIGEST[:16]])
def test_nothing_is_written_through_a_link(tmp_path, name):
    models = tmp_path / "models"
    models.mkdir()
    (models / name).symlink_to(tmp_path)
    with pytest.raises(Misused, match="which is neither"):
        prepared_tree(models, MANIFEST, DIGEST)
    assert [one.name for one in tmp_path.iterdir()] == ["models"]


def test_a_file_where_a_directory_must_be_is_refused(tmp_path):
    (tmp_path / "data").write_bytes(b"")
    with pytest.raises(Misused, match="cannot be prepared"):
        prepared_tree(tmp_path, MANIFEST, DIGEST)
