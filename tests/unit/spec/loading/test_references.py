"""`${VAR}` and its kin."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.spec.loading.references import (
    Unresolved,
    escaped,
    has_reference,
    resolved,
    whole_reference,
)

VARIABLES = {"HOME": "/home/me", "EMPTY": "", "A": "${HOME}"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("${HOME}/x", "/home/me/x"),
        ("${NONE:-d}", "d"),
        ("${NONE:-}", ""),
        ("${HOME:-d}", "/home/me"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY}", ""),
        ("${NONE:-a:b-c}", "a:b-c"),
        ("$$", "$"),
        ("$${HOME}", "${HOME}"),
        ("$HOME costs 5$", "$HOME costs 5$"),
        ("${A}", "${HOME}"),
    ],
)
def test_references_are_replaced_once(text, expected):
    assert resolved(text, VARIABLES) == expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("${NONE}", "the variable NONE is not set"),
        ("${", "a reference that is neither ${NAME} nor ${NAME:-default}"),
        ("${}", "a reference that is neither ${NAME} nor ${NAME:-default}"),
        ("${1A}", "a reference that is neither ${NAME} nor ${NAME:-default}"),
        ("${A:+x}", "a reference that is neither ${NAME} nor ${NAME:-default}"),
    ],
)
def test_what_cannot_be_replaced_is_told(text, told):
    with pytest.raises(Unresolved) as error:
        resolved(text, VARIABLES)
    assert str(error.value) == told
    assert error.value.remedy


def test_a_whole_reference_names_variable_and_default():
    assert whole_reference("${A}") == ("A", None)
    assert whole_reference("${A:-b}") == ("A", "b")
    assert whole_reference("x${A}") is None
    assert whole_reference("$$") is None
    assert has_reference("x${A}")
    assert not has_reference("$${A}")


@given(st.text(alphabet="a${}:-$"))
def test_escaped_text_is_resolved_to_itself(text):
    assert resolved(escaped(text), {}) == text
