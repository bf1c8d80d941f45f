import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.lineage.canonical import (
    FIRST_PREV,
    FactRefused,
    canonical_envelope,
    chained_hash,
    checked_body,
    read_timestamp,
    timestamp,
)

NOW = "2026-01-31T12:00:00.000000Z"
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
LEAVES = st.none() | st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | TEXT
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20
)
BODIES = st.dictionaries(TEXT, VALUES)


def envelope(**changes):
    parts = {
        "seq": 3,
        "kind": "test/1",
        "subject": "s",
        "body": {"b": 1, "a": "é"},
        "valid_from": NOW,
        "recorded_at": NOW,
    }
    return canonical_envelope(**{**parts, **changes})


def test_the_bytes_are_rfc_8785():
    assert (
        envelope()
        == (
            '{"body":{"a":"é","b":1},"kind":"test/1",'
            f'"recorded_at":"{NOW}","seq":3,"subject":"s","valid_from":"{NOW}"}}'
        ).encode()
    )


def test_keys_are_sorted_by_utf_16_units_as_rfc_8785_says():
    body = {"\U0001f600": 1, "\ufb33": 2, "1": 3, "\r": 4}
    assert b'{"\\r":4,"1":3,"\xf0\x9f\x98\x80":1,"\xef\xac\xb3":2}' in envelope(body=body)


def test_the_hash_is_over_prev_and_the_digest_of_the_bytes():
    canonical = envelope()
    inner = hashlib.sha256(canonical).digest()
    assert chained_hash(FIRST_PREV, canonical) == hashlib.sha256(bytes(32) + inner).hexdigest()


def test_the_example_of_the_documentation_keeps_its_hash():
    body = {"ledger_id": "00000000000000000000000000000000"}
    canonical = envelope(seq=0, kind="ledger/1", subject="ledger", body=body)
    digest = "338aa5b89b82720b5e7aae251e5fe802778d2902f02dd30edf24b0207cdb1595"
    assert chained_hash(FIRST_PREV, canonical) == digest
    documentation = (Path(__file__).parents[3] / "docs/ledger.md").read_text(encoding="utf-8")
    assert canonical.decode() in documentation
    assert digest in documentation


@given(BODIES)
def test_a_body_is_read_back_as_it_was_written(body):
    assert json.loads(envelope(body=body))["body"] == checked_body(body) == body


@given(BODIES, st.data())
def test_any_changed_byte_gives_another_hash(body, data):
    canonical = bytearray(envelope(body=body))
    before = chained_hash(FIRST_PREV, bytes(canonical))
    place = data.draw(st.integers(0, len(canonical) - 1))
    canonical[place] ^= data.draw(st.integers(1, 255))
    assert chained_hash(FIRST_PREV, bytes(canonical)) != before


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"loss": 0.5}, r"body\.loss: found the float 0\.5; write it as a decimal string"),
        ({"a": [{"b": float("nan")}]}, r"body\.a\[0\]\.b: found the float nan"),
        ({"seed": 2**53}, r"body\.seed: the integer 9007199254740992 is 2\^53 or more"),
        ({"seed": -(2**53)}, r"body\.seed: the integer -9007199254740992"),
        ({1: 2}, r"body: expected keys that are strings, found 1"),
        ({"when": datetime.now(UTC)}, r"body\.when: expected a JSON value .* found datetime"),
        ({"raw": b"x"}, r"body\.raw: expected a JSON value .* found bytes"),
        ({"text": "\ud800"}, r"body\.text: .*lone surrogate"),
        ([], r"body: expected an object, found list"),
        ({"large": "x" * 2**23}, r"expected at most .*digest"),
    ],
)
def test_a_body_that_others_could_read_otherwise_is_refused(body, message):
    with pytest.raises(FactRefused, match=message):
        envelope(body=body)


def test_a_body_nested_without_end_is_refused():
    body = {}
    body["again"] = body
    with pytest.raises(FactRefused, match="nested more than"):
        checked_body(body)


@pytest.mark.parametrize("kind", ["", "test", "test/2", "Test/1", "test/1 ", "a/b/1", "/1"])
def test_a_kind_outside_the_rule_is_refused(kind):
    with pytest.raises(FactRefused, match="kind"):
        envelope(kind=kind)


@pytest.mark.parametrize("subject", ["", "a\x00b", "a\nb", "x" * 513, "\ud800"])
def test_a_subject_outside_the_rule_is_refused(subject):
    with pytest.raises(FactRefused, match="subject"):
        envelope(subject=subject)


@pytest.mark.parametrize(
    "time",
    ["", "2026-01-31", "2026-01-31T12:00:00Z", "2026-02-30T12:00:00.000000Z", NOW[:-1] + "+00:00"],
)
def test_a_time_of_another_form_is_refused(time):
    with pytest.raises(FactRefused, match=r"expected YYYY-MM-DDThh:mm:ss\.ffffffZ"):
        envelope(valid_from=time)


def test_times_are_written_in_utc_with_microseconds():
    moment = datetime(2026, 1, 31, 13, 0, 0, tzinfo=timezone(timedelta(hours=1)))
    assert timestamp(moment) == NOW
    assert read_timestamp(NOW) == moment


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(FactRefused, match="zone"):
        timestamp(datetime(2026, 1, 31))  # noqa: DTZ001


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_come_back_and_sort_as_text(moment):
    assert read_timestamp(timestamp(moment)) == moment
