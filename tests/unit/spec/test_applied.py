"""The applied estate: read as it was written, and clear about what is missing."""

from pathlib import Path

import pytest

from platform_assets.spec.applied import (
    NotApplied,
    read_applied,
    write_applied,
)
from tests.applied_estates import applied_estate


def applied(state):
    return applied_estate(state, postgresql_socket_dir=Path("/tmp/with space"), postgresql_port=2)


def test_the_applied_estate_is_read_as_it_was_written(tmp_path):
    write_applied(applied(tmp_path))
    assert read_applied(tmp_path) == applied(tmp_path)


def test_a_database_url_names_the_password_file_and_not_the_password(tmp_path):
    url = applied(tmp_path).database_url("dagster", "dagster")
    assert "passfile=" in url
    assert "with%20space" in url


def test_a_state_without_estate_says_what_to_do(tmp_path):
    with pytest.raises(NotApplied, match="run `ai-how up` first"):
        read_applied(tmp_path)


def test_a_broken_applied_estate_says_what_to_do(tmp_path):
    (tmp_path / "estate.yaml").write_text("name: [")
    with pytest.raises(NotApplied, match="run `ai-how up` again"):
        read_applied(tmp_path)


def test_a_digest_of_parts_tells_them_and_nothing_else(tmp_path):
    one = applied(tmp_path)
    other = one.model_copy(update={"declared": one.declared | {"description": "another"}})
    assert one.part_digest() != other.part_digest()
    assert one.part_digest(("description",)) != other.part_digest(("description",))
    assert one.part_digest(("metadata",)) == other.part_digest(("metadata",))
    assert one.part_digest(("metadata",)) != one.part_digest(("metadata",), ("description",))


def test_a_part_that_is_not_there_is_nothing(tmp_path):
    one = applied(tmp_path)
    absent = one.part_digest(("nothing",))
    assert one.part_digest(("metadata", "name", "below")) == absent
    assert one.part_digest(("metadata",)) != absent
