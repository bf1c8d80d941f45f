"""Values of the model that are read in several forms."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from platform_assets.spec.model.base import HIDDEN, HexId, Secret

HEX_ID: TypeAdapter[str] = TypeAdapter(HexId)


@pytest.mark.parametrize("written", ["10de", "0x10DE", "10DE"])
def test_an_id_of_a_vendor_is_read_in_every_spelling(written: str) -> None:
    assert HEX_ID.validate_python(written) == "10de"


def test_an_id_that_looks_like_a_number_is_its_digits() -> None:
    assert HEX_ID.validate_python(2684) == "2684"
    assert HEX_ID.validate_python("1") == "0001"


@pytest.mark.parametrize("value", [True, None, "10deff", 1.5])
def test_what_is_no_id_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        HEX_ID.validate_python(value)


@pytest.mark.parametrize("source", [{"env": "A"}, {"file": "/a"}])
def test_a_reference_is_written_as_it_was_read(source: dict[str, str]) -> None:
    assert Secret.model_validate({"secret": source}).model_dump() == {"secret": source}


def test_a_literal_is_never_written() -> None:
    literal = Secret.model_validate("hunter2")
    assert literal.literal is not None
    assert literal.literal.get_secret_value() == "hunter2"
    assert literal.model_dump() == HIDDEN
    assert "hunter2" not in repr(literal)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"secret": {}}, "expected exactly one of env and file"),
        ({"secret": {"env": "A", "file": "/a"}}, "expected exactly one of env and file"),
        ({}, "expected {secret: {env: NAME}} or {secret: {file: PATH}}"),
        (
            {"secret": {"env": "A"}, "literal": "x"},
            "expected {secret: {env: NAME}} or {secret: {file: PATH}}",
        ),
    ],
)
def test_a_secret_has_one_source(value: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words.replace("{", r"\{")):
        Secret.model_validate(value)
