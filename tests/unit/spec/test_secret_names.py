"""What is a reference to a secret among settings that are taken as they are."""

from typing import Any

import pytest

from platform_assets.spec.secret_names import is_reference


@pytest.mark.parametrize("source", [{"env": "A"}, {"file": "/a"}])
def test_a_name_or_a_file_is_a_reference(source: dict[str, str]) -> None:
    assert is_reference({"secret": source})


@pytest.mark.parametrize(
    "value",
    [
        {"secret": {"env": 3}},
        {"secret": {"env": {"a": "b"}}},
        {"secret": {"env": "A", "file": "/a"}},
        {"secret": {"vault": "A"}},
        {"secret": {}},
        {"secret": "A"},
        {"secret": {"env": "A"}, "other": "b"},
        {"env": "A"},
        "A",
        None,
    ],
)
def test_whatever_else_stands_there_is_none(value: Any) -> None:
    assert not is_reference(value)
