"""SIGKILL of the run's process when something has just become durable; then a clean second run."""

import itertools
import signal

import pytest

from ai_how.build import connections
from tests.integration.faults.killed_delivery import POINTS, deliver, failure_of, kill_at
from tests.integration.faults.outside import Outside, key_of, tree_digest_of
from tests.telling_checkpoints import telling_checkpoint

TWO_PARTS = 9 * 2**20
IN_CI = [
    "part uploaded",
    "manifest committed",
    "version created",
    "copy fetched",
    "swapped",
    "deployment recorded",
]
numbers = itertools.count(100)


def params():
    return [
        pytest.param(name, marks=[] if name in IN_CI else pytest.mark.slow, id=name)
        for name in POINTS
    ]


@pytest.fixture(scope="module")
def estate(components):
    return components("postgresql", "seaweedfs", "mlflow", "model-server")


@pytest.fixture(scope="module")
def live_before(estate):
    """A first version is live, so that every kill has something that it must not touch."""
    number = next(numbers)
    directory = telling_checkpoint(estate.checkpoint_root, "digits", "before", number)
    result = deliver(estate.state, key_of(directory))
    assert result.success, failure_of(result)
    return {"number": number}


@pytest.mark.parametrize("point", params())
def test_killed_after(point, estate, live_before):
    outside = Outside(estate)
    before, number = live_before["number"], next(numbers)
    run = "killed-" + str(number)
    directory = telling_checkpoint(estate.checkpoint_root, "digits", run, number, padding=TWO_PARTS)
    key, digest = key_of(directory), tree_digest_of(directory)
    ledger = connections(estate).ledger

    assert kill_at(estate.state, key, point) == -signal.SIGKILL

    # Nothing half-done is visible as done, and the endpoint answers all the while.
    answer = outside.answer()
    assert answer in {before, number}
    versions = outside.versions("digits").get(digest, [])
    if digest in outside.committed("digits"):
        assert outside.wrong_objects("digits", digest) == []
    else:
        assert versions == []
    if answer == number:
        assert len(versions) == 1
        assert outside.served_digest() == digest
    assert outside.loaded() <= {"digits", "digits.candidate"}
    recorded = [f for f in ledger.facts("deployment/1") if f.body["checkpoint"] == key]
    assert not recorded or answer == number

    result = deliver(estate.state, key)
    assert result.success, failure_of(result)

    assert outside.answer() == number
    assert outside.served_digest() == digest
    assert digest in outside.prefixes("digits")
    assert outside.prefixes("digits") == outside.committed("digits")
    assert outside.wrong_objects("digits", digest) == []
    (version,) = outside.versions("digits")[digest]
    alias = outside.mlflow.alias("digits", "live-digits")
    assert alias is not None
    assert alias.version == version.version
    assert outside.leftovers() == []
    for kind in ("checkpoint/1", "copy/1", "version/1", "deployment/1"):
        facts = [f for f in ledger.facts(kind) if f.body["tree_digest"] == digest]
        assert len(facts) == 1, kind
    live_before["number"] = number
