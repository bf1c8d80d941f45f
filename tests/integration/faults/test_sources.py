"""Checkpoints that come twice, at once, with equal content, changed, flipped, or out of time."""

import itertools
import json
import os
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from ai_how.build import connections
from platform_assets.lineage.ledger import Ledger
from platform_assets.models.checkpoint_directory import CheckpointRefused, judge_checkpoint
from platform_assets.models.seal import seal
from tests.integration.faults.killed_delivery import deliver, delivering, ended, failure_of
from tests.integration.faults.outside import Outside, key_of, serving_files, tree_digest_of
from tests.telling_checkpoints import telling_checkpoint

numbers = itertools.count(500)


def flip(file, offset=-1):
    """Flip the lowest bit of one byte, times and size as they were."""
    before = file.stat()
    data = bytearray(file.read_bytes())
    data[offset] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture(scope="module")
def estate(components):
    return components("postgresql", "seaweedfs", "mlflow", "model-server")


@pytest.fixture(scope="module")
def outside(estate):
    return Outside(estate)


@pytest.fixture
def make(estate):
    def checkpoint(run=None, **how):
        number = next(numbers)
        name = run or f"source-{number}"
        return number, telling_checkpoint(estate.checkpoint_root, "digits", name, number, **how)

    return checkpoint


@pytest.fixture(scope="module")
def lives():
    return []


@pytest.fixture
def live(estate, make, outside, lives):
    """What is live now; deployed first where that is another test's."""
    if lives and outside.answer() == lives[-1][0]:
        return lives[-1]
    number, directory = make()
    lives.append((number, directory))
    result = deliver(estate.state, key_of(directory))
    assert result.success, failure_of(result)
    assert outside.answer() == number
    return number, directory


def deployments(estate, digest):
    facts = connections(estate).ledger.facts("deployment/1")
    return [fact for fact in facts if fact.body["tree_digest"] == digest]


def outcome(result):
    (event,) = result.asset_materializations_for_node("serving__endpoint")
    return event.metadata["outcome"].value


def test_the_same_checkpoint_reported_twice_at_once_is_delivered_once(estate, make, outside):
    number, directory = make()
    key, digest = key_of(directory), tree_digest_of(directory)
    runs = [delivering(estate.state, key) for _ in range(2)]
    assert [ended(run) for run in runs] == [0, 0]
    assert outside.answer() == number
    assert len(outside.versions("digits")[digest]) == 1
    assert len(deployments(estate, digest)) == 1
    assert outside.leftovers() == []


def test_equal_content_under_two_names_is_one_version_and_one_deployment(estate, live, outside):
    number, directory = live
    other = directory.with_name(directory.name + "-again")
    shutil.copytree(directory, other, ignore=shutil.ignore_patterns("_COMPLETE.json"))
    seal(str(other))
    digest = tree_digest_of(directory)
    assert tree_digest_of(other) == digest
    assert key_of(other) != key_of(directory)
    result = deliver(estate.state, key_of(other))
    assert outcome(result) == "already-live"
    assert outside.answer() == number
    assert len(outside.versions("digits")[digest]) == 1
    assert len(deployments(estate, digest)) == 1


@pytest.mark.parametrize(
    "order",
    [
        pytest.param([8, 9, 0], id="three of them"),
        pytest.param([3, 9, 0, 8, 1, 7, 2, 6, 4, 5], id="all", marks=pytest.mark.slow),
    ],
)
def test_of_ten_within_a_second_the_last_sealed_is_live_in_whatever_order_they_come(
    order, estate, make, outside
):
    made = [make(seal=False) for _ in range(10)]
    for _, directory in made:
        seal(str(directory))
    sealed = [json.loads((d / "_COMPLETE.json").read_text())["sealed_at"] for _, d in made]
    assert sealed == sorted(set(sealed)), "the order of sealing cannot be told"
    for index in order:
        result = deliver(estate.state, key_of(made[index][1]))
        assert result.success, failure_of(result)
        if index != order[0] and order.index(index) > order.index(9):
            assert outcome(result) == "superseded"
    assert outside.answer() == made[9][0]
    for index in order:
        assert len(outside.versions("digits")[tree_digest_of(made[index][1])]) == 1


def test_a_checkpoint_changed_after_sealing_is_refused_and_says_where(estate, live, make, outside):
    _, directory = make()
    (directory / "MLmodel").write_text((directory / "MLmodel").read_text() + "\n")
    with pytest.raises(CheckpointRefused, match="MLmodel"):
        judge_checkpoint(directory, estate.checkpoint_root, None, datetime.now(UTC))
    result = deliver(estate.state, key_of(directory))
    assert not result.success
    assert "MLmodel" in failure_of(result)
    assert outside.answer() == live[0]
    shutil.rmtree(directory)


def test_a_flipped_bit_in_the_source_is_never_copied(estate, live, make, outside):
    _, directory = make(padding=9 * 2**20)
    digest = tree_digest_of(directory)
    flip(directory / "README.md")
    result = deliver(estate.state, key_of(directory))
    assert not result.success
    assert "README.md: expected SHA-256" in failure_of(result)
    for seen in (digest, tree_digest_of(directory)):
        assert seen not in outside.prefixes("digits")
        assert seen not in outside.versions("digits")
    assert outside.answer() == live[0]
    assert [u for u in outside.leftovers() if u.startswith("upload")] == []
    shutil.rmtree(directory)


@pytest.mark.parametrize(
    "part",
    ["sha256", *(pytest.param(part, marks=pytest.mark.slow) for part in ("size", "model"))],
)
def test_a_flipped_bit_in_the_marker_is_never_delivered(part, estate, live, make, outside):
    _, directory = make()
    digest, key = tree_digest_of(directory), key_of(directory)
    marker = directory / "_COMPLETE.json"
    text = marker.read_bytes()
    flip(marker, text.index(b'"%s":' % part.encode()) + len(part) + (5 if part != "size" else 4))
    assert marker.read_bytes() != text
    for one in {key, key_of(directory)}:
        result = deliver(estate.state, one)
        assert not result.success
        assert str(directory) in failure_of(result)
    assert digest not in outside.versions("digits")
    assert outside.answer() == live[0]
    shutil.rmtree(directory)


@pytest.mark.parametrize(
    "name", ["model.skops", pytest.param("manifest.json", marks=pytest.mark.slow)]
)
def test_a_flipped_bit_in_a_stored_object_is_never_served(name, estate, make, outside):
    old, directory = make()
    assert deliver(estate.state, key_of(directory)).success
    digest = tree_digest_of(directory)
    for _ in range(2):  # now no fetched copy of the old one is on this machine any more
        number, newer = make()
        assert deliver(estate.state, key_of(newer)).success
    assert not (estate.served / "digits" / digest).exists()
    stored = f"models/digits/sha256-{digest}/{name}"
    whole = outside.store.get(stored, 2**30)
    outside.store.put(stored, whole[:-1] + bytes([whole[-1] ^ 1]))

    again = directory.with_name(directory.name + "-again")
    shutil.copytree(directory, again, ignore=shutil.ignore_patterns("_COMPLETE.json"))
    seal(str(again))
    result = deliver(estate.state, key_of(again))
    assert not result.success
    assert stored in failure_of(result)
    assert outside.answer() == number

    outside.store.put(stored, whole)
    result = deliver(estate.state, key_of(again))
    assert result.success, failure_of(result)
    assert outside.answer() == old
    assert outside.leftovers() == []


def test_a_flipped_bit_in_the_fetched_copy_is_found_and_mended(estate, live, make, outside):
    """Found by the server as it loads, and by the next fetch; never served."""
    number, directory = live
    digest = tree_digest_of(directory)
    fetched = estate.served / "digits" / digest / "model.skops"
    flip(fetched)
    newer_number, newer = make()
    assert deliver(estate.state, key_of(newer)).success
    assert outside.answer() == newer_number

    again = directory.with_name(directory.name + "-again")
    shutil.copytree(directory, again, ignore=shutil.ignore_patterns("_COMPLETE.json"))
    seal(str(again))
    result = deliver(estate.state, key_of(again))
    assert result.success, failure_of(result)
    assert outside.answer() == number
    assert serving_files(again)["model.skops"] in [
        entry["sha256"]
        for entry in json.loads((fetched.parent / "manifest.json").read_text())["files"]
        if entry["path"] == "model.skops"
    ]
    assert outside.served_digest() == digest


def test_a_clock_set_back_an_hour_keeps_the_order_of_sealing(estate, live, make, outside):
    """The recorder's clock orders nothing: what counts is when a checkpoint was sealed."""
    number, directory = make()
    behind = Ledger(
        estate.database_url("ledger_writer", "ledger"),
        clock=lambda: datetime.now(UTC) - timedelta(hours=1),
    )
    result = deliver(estate.state, key_of(directory), {"ledger": behind})
    assert result.success, failure_of(result)
    assert outcome(result) == "deployed"
    assert outside.answer() == number
    behind.verify_chain()
    assert outcome(deliver(estate.state, key_of(live[1]))) == "superseded"
    assert outside.answer() == number


def test_a_marker_of_the_future_waits_and_one_of_the_past_is_superseded(
    estate, live, make, outside
):
    _, directory = make()
    early = datetime.now(UTC) - timedelta(hours=1)
    with pytest.raises(CheckpointRefused, match="in the future"):
        judge_checkpoint(directory, estate.checkpoint_root, None, early)

    # Sealed on a machine whose clock was an hour behind: an older checkpoint, as far as is known.
    marker = directory / "_COMPLETE.json"
    written = json.loads(marker.read_text())
    written["sealed_at"] = (
        (datetime.fromisoformat(written["sealed_at"]) - timedelta(hours=1))
        .astimezone(UTC)
        .strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    )
    marker.write_text(json.dumps(written))
    result = deliver(estate.state, key_of(directory))
    assert result.success, failure_of(result)
    assert outcome(result) == "superseded"
    assert outside.answer() == live[0]
