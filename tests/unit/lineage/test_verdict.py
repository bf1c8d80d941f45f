"""Differences are named by hop and file; what cannot be looked at is never a difference."""

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from platform_assets.lineage.manifest import FileEntry, Manifest
from platform_assets.lineage.verdict import (
    Difference,
    Hop,
    HopResult,
    Verdict,
    Verification,
    content_difference,
    joint_verdict,
    missing_and_extra,
    value_differences,
    verification_schema,
)

ROOT = Path(__file__).parents[3]
A, B = FileEntry("a", 1, "a" * 64), FileEntry("dir/b", 2, "b" * 64)
DIFFERENCE = Difference(hop=Hop.COPY, file="a", expected="x", found="y")
AGREES = HopResult(hop=Hop.COPY, where="here")
UNKNOWN = HopResult(hop=Hop.VERSION, where="here", unknown="the registry is down")
DIFFERS = HopResult(hop=Hop.COPY, where="here", differences=(DIFFERENCE,), unknown="and down")


@settings(deadline=None)
@given(st.lists(st.sampled_from([AGREES, UNKNOWN, DIFFERS])))
def test_a_difference_outweighs_ignorance_and_ignorance_outweighs_agreement(results):
    found = joint_verdict(results)
    if DIFFERS in results:
        assert found is Verdict.DIFFER
    elif UNKNOWN in results or not results:
        assert found is Verdict.CANNOT_TELL
    else:
        assert found is Verdict.AGREE


def test_missing_and_extra_files_are_named_in_order():
    found = missing_and_extra(Hop.FETCHED, Manifest((A, B)), ["dir/b", "extra"])
    assert [(one.file, one.expected, one.found) for one in found] == [
        ("a", "1 bytes", "no such file"),
        ("extra", "no such file", "a file"),
    ]


def test_size_is_told_before_content():
    assert content_difference(Hop.COPY, A, A) is None
    longer = content_difference(Hop.COPY, A, FileEntry("a", 5, "a" * 64))
    assert longer is not None
    assert (longer.expected, longer.found) == ("1 bytes", "5 bytes")
    flipped = content_difference(Hop.COPY, A, FileEntry("a", 1, "b" * 64))
    assert flipped is not None
    assert str(flipped) == (
        f"object store: a: expected SHA-256 {'a' * 64}, found SHA-256 {'b' * 64}"
    )


def test_values_that_are_not_there_are_told_as_none():
    found = value_differences(Hop.VERSION, {"x": "1", "y": None, "z": "3"}, {"y": "2", "z": "3"})
    assert [(one.file, one.expected, one.found) for one in found] == [
        ("x", "1", "none"),
        ("y", "none", "2"),
    ]


def test_the_json_answer_fits_its_published_schema():
    published = json.loads((ROOT / "docs/schemas/endpoint-verification-1.json").read_text())
    assert published == verification_schema(), "docs/schemas/endpoint-verification-1.json is old"
    whole = Verification(
        endpoint="digits",
        model="digits",
        version="1",
        tree_digest="a" * 64,
        checkpoint="digits.one.0123456789ab",
        verified_at="2026-06-01T00:00:00.000000Z",
        verdict=Verdict.DIFFER,
        hops=(AGREES, UNKNOWN, DIFFERS),
    )
    answer = json.loads(whole.model_dump_json(by_alias=True))
    Draft202012Validator(published).validate(answer)
    assert Verification.model_validate(answer) == whole
    assert whole.differences == (DIFFERENCE,)
