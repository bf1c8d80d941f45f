"""The estate file: what a person sees when it is wrong."""

from pathlib import Path

import pytest

from platform_assets.spec.applied import (
    Addresses,
    AppliedEstate,
    NotApplied,
    read_applied,
    write_applied,
)
from platform_assets.spec.estate import EstateRefused, load_estate
from platform_assets.spec.names import NameRefused, checked_name

FILE = Path("config/clusters/local.yaml")


def test_the_shipped_estate_is_valid():
    estate = load_estate(FILE.read_text(), FILE)
    assert estate.name == "local"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: [", "not YAML"),
        ("- a", "expected a mapping with name, checkpoint_root, serving"),
        ("name: local\nserving: s", "checkpoint_root: Field required"),
        ("name: Local\ncheckpoint_root: c\nserving: s", "estate name 'Local'"),
        ("name: local\ncheckpoint_root: c\nserving: s\nserve: x", "serve: Extra inputs"),
    ],
)
def test_a_wrong_estate_names_file_key_and_remedy(text, told):
    with pytest.raises(EstateRefused) as refusal:
        load_estate(text, FILE)
    assert str(FILE) in str(refusal.value)
    assert told in str(refusal.value)


@pytest.mark.parametrize("name", ["", "A", "1a", "a-", "a_b", "a" * 25, "a\n"])
def test_a_name_outside_the_rule_is_refused(name):
    with pytest.raises(NameRefused, match="rename it"):
        checked_name("model", name)


@pytest.mark.parametrize("name", ["a", "digits-2", "a" * 24])
def test_a_name_inside_the_rule_is_kept(name):
    assert checked_name("model", name) == name


def applied(state):
    return AppliedEstate(
        declared={"metadata": {"name": "local"}},
        source=Path("estate.yaml"),
        checkpoint_root=state / "c",
        serving_file=state / "s",
        state=state,
        addresses=Addresses(
            postgresql_socket_dir=Path("/tmp/with space"),
            postgresql_port=2,
            s3_url="u",
            mlflow_url="u",
            model_server_url="u",
            dagster_url="u",
        ),
    )


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
