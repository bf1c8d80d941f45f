from datetime import UTC, datetime
from pathlib import Path

import pytest

from platform_assets.lineage.facts import (
    plain_body,
    record_checkpoint,
    record_copy,
    record_deployment,
    record_gates,
    record_version,
)

DIGEST = "a" * 64


def checkpoint(ledger, **changes):
    values = {
        "key": "digits.run-1.0123456789ab",
        "model": "digits",
        "run": "run-1",
        "path": Path("/checkpoints/digits/run-1"),
        "marker_sha256": "b" * 64,
        "tree_digest": DIGEST,
        "format": "mlflow",
        "sealed_at": datetime(2026, 1, 1, 12, tzinfo=UTC),
        "files": 3,
        "bytes": 1000,
        "training": {"seed": 2**60, "metrics": {"accuracy": 0.97}, "user": None},
    }
    return record_checkpoint(ledger, **{**values, **changes})


def copy(ledger, **changes):
    values = {
        "checkpoint": "digits.run-1.0123456789ab",
        "model": "digits",
        "tree_digest": DIGEST,
        "bucket": "models",
        "prefix": f"models/digits/sha256-{DIGEST}/",
        "files": 3,
        "bytes": 1000,
        "dagster_run": "run-a",
    }
    return record_copy(ledger, **{**values, **changes})


def version(ledger, **changes):
    values = {
        "model": "digits",
        "version": 1,
        "tree_digest": DIGEST,
        "source": f"s3://models/models/digits/sha256-{DIGEST}/",
        "checkpoint": "digits.run-1.0123456789ab",
        "training_run": "c" * 32,
        "dagster_run": "run-a",
    }
    return record_version(ledger, **{**values, **changes})


def deployment(ledger, **changes):
    values = {
        "endpoint": "digits",
        "model": "digits",
        "version": "1",
        "tree_digest": DIGEST,
        "checkpoint": "digits.run-1.0123456789ab",
        "server": "http://127.0.0.1:8080",
        "dagster_run": "run-a",
    }
    return record_deployment(ledger, **{**values, **changes})


def test_a_checkpoint_holds_from_when_it_was_sealed(ledger):
    fact = checkpoint(ledger)
    assert (fact.kind, fact.subject) == ("checkpoint/1", "digits.run-1.0123456789ab")
    assert fact.valid_from == fact.body["sealed_at"] == "2026-01-01T12:00:00.000000Z"
    assert fact.body["path"] == "/checkpoints/digits/run-1"
    assert checkpoint(ledger, sealed_at="2026-01-01T13:00:00+01:00") == fact


def test_what_is_unknown_is_left_out_and_numbers_are_exact(ledger):
    assert checkpoint(ledger).body["training"] == {
        "seed": str(2**60),
        "metrics": {"accuracy": "0.97"},
    }


@pytest.mark.parametrize(
    ("record", "kind", "subject"),
    [
        (checkpoint, "checkpoint/1", "digits.run-1.0123456789ab"),
        (copy, "copy/1", DIGEST),
        (version, "version/1", "digits/1"),
        (deployment, "deployment/1", "digits"),
    ],
)
def test_recording_again_adds_nothing_and_returns_the_known_fact(ledger, record, kind, subject):
    fact = record(ledger)
    assert record(ledger) == fact
    assert (fact.kind, fact.subject) == (kind, subject)
    assert ledger.facts(kind) == [fact]


@pytest.mark.parametrize("record", [copy, version, deployment])
def test_another_run_that_finds_the_same_adds_nothing(ledger, record):
    assert record(ledger) == record(ledger, dagster_run="run-b")


@pytest.mark.parametrize("record", [copy, version])
def test_an_equal_checkpoint_adds_no_copy_and_no_version(ledger, record):
    assert record(ledger) == record(ledger, checkpoint="digits.run-2.ba9876543210")


def test_an_equal_checkpoint_is_a_checkpoint_of_its_own(ledger):
    assert checkpoint(ledger).seq != checkpoint(ledger, key="digits.run-2.ba9876543210").seq


def test_equal_bytes_under_two_models_are_two_copies(ledger):
    first = copy(ledger)
    second = copy(ledger, model="other", prefix=f"models/other/sha256-{DIGEST}/")
    assert (copy(ledger), first.seq) != (second, second.seq)
    assert len(ledger.facts("copy/1", DIGEST)) == 2


def test_going_back_to_a_former_version_is_a_new_deployment(ledger):
    facts = [deployment(ledger, version=number) for number in ("1", "2", "1", "1")]
    assert [fact.seq for fact in facts] == [1, 2, 3, 3]


def test_versions_are_text_whatever_the_registry_returns(ledger):
    assert version(ledger, version=1) == version(ledger, version="1")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1e-7, "1e-07"),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (2**53, "9007199254740992"),
        (2**53 - 1, 2**53 - 1),
        (True, True),
        ([0.5, {"a": None}], ["0.5", {"a": None}]),
    ],
)
def test_numbers_become_what_a_fact_may_hold(value, text):
    assert plain_body({"x": value, "unknown": None}) == {"x": text}


def gates(ledger, **changes):
    values = {
        "endpoint": "digits",
        "model": "digits",
        "version": 1,
        "tree_digest": DIGEST,
        "checkpoint": "digits.run-1.0123456789ab",
        "declared": True,
        "passed": True,
        "results": [{"gate": "smoke", "expected": "1", "found": "1", "passed": True}],
        "declaration": "d" * 64,
        "files": {"gates/digits.csv": "e" * 64},
        "dagster_run": "run-a",
    }
    return record_gates(ledger, **{**values, **changes})


def test_gates_are_recorded_when_they_say_something_new(ledger):
    first = gates(ledger)
    assert first.kind == "gate/1"
    assert first.subject == "digits"
    assert gates(ledger, dagster_run="run-b").seq == first.seq
    failed = gates(ledger, passed=False)
    assert failed.seq > first.seq
    assert gates(ledger).seq > failed.seq
    assert (
        gates(ledger, declared=False, declaration=None, files={}, results=[]).body["results"] == []
    )
