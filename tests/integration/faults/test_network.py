"""The network to the object store fails in every way that a network can; then it works again."""

import itertools
import shutil
import threading
import time

import pytest

from resources.object_store import ObjectStore
from tests.integration.faults.faulty_network import (
    Fault,
    FaultyNetwork,
    any_request,
    downloads,
    uploads,
)
from tests.integration.faults.killed_delivery import deliver, failure_of
from tests.integration.faults.outside import Outside, key_of, tree_digest_of
from tests.telling_checkpoints import telling_checkpoint

TWO_PARTS = 9 * 2**20
MORE_THAN_IS_READ_AHEAD = 240 * 2**20
numbers = itertools.count(300)

# What passes within the attempts of one run, and what the run's own message says where it does not.
PASSING = {
    "one 500": Fault("status", uploads, times=1, status=500, code="InternalError"),
    "one 503": Fault("status", uploads, times=1, status=503, code="SlowDown"),
    "slow": Fault("slow", uploads, bytes_per_s=4_000_000),
    "dropped in mid-part": Fault("drop", uploads, times=2),
    "bit flipped on its way there": Fault("flip-sent", uploads, times=1),
    "read dropped": Fault("drop-received", downloads, times=1),
    "bit flipped on its way back": Fault("flip-received", downloads, times=1),
}
LASTING = {
    "refusing": (Fault("refuse"), "is the object store running?"),
    "500": (Fault("status", uploads, status=500, code="InternalError"), "the store is failing"),
    "503": (Fault("status", any_request, status=503, code="SlowDown"), "the store is failing"),
    "507, full": (
        Fault("status", uploads, status=507, code="InsufficientStorage"),
        "InsufficientStorage",
    ),
    "every part dropped": (Fault("drop", uploads), "no answer"),
    "wrong checksum answer": (
        Fault("status", uploads, status=400, code="BadDigest"),
        "bytes changed on the way",
    ),
    "bit flipped on each way there": (Fault("flip-sent", uploads), "bytes changed on the way"),
}

IN_CI = {"one 503", "dropped in mid-part", "bit flipped on its way back", "refusing"}


@pytest.fixture(scope="module")
def estate(components):
    return components("postgresql", "seaweedfs", "mlflow", "model-server")


@pytest.fixture(scope="module")
def network(estate):
    network = FaultyNetwork(estate.addresses.s3_url)
    network.start()
    yield network
    network.stop()


@pytest.fixture(scope="module")
def over_network(estate, network):
    secrets = estate.secrets
    return {
        "object_store": ObjectStore(network.url, "models", secrets / "s3-publisher.json"),
        "reader_store": ObjectStore(network.url, "models", secrets / "s3-reader.json"),
    }


@pytest.fixture
def checkpoint(estate):
    number = next(numbers)
    run = "net-" + str(number)
    return number, telling_checkpoint(
        estate.checkpoint_root, "digits", run, number, padding=TWO_PARTS
    )


def assert_delivered(outside, number, directory):
    digest = tree_digest_of(directory)
    assert outside.answer() == number
    assert outside.served_digest() == digest
    assert outside.wrong_objects("digits", digest) == []
    assert len(outside.versions("digits")[digest]) == 1
    assert outside.prefixes("digits") == outside.committed("digits")
    assert outside.leftovers() == []


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in IN_CI else pytest.mark.slow) for name in PASSING],
)
def test_passes_within_the_run(name, estate, network, over_network, checkpoint):
    number, directory = checkpoint
    with network.failing(PASSING[name]) as fault:
        result = deliver(estate.state, key_of(directory), over_network)
    assert fault.met > 0
    assert result.success, failure_of(result)
    assert_delivered(Outside(estate), number, directory)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name == "refusing" else pytest.mark.slow) for name in LASTING],
)
def test_fails_with_its_reason_and_is_concluded_later(
    name, estate, network, over_network, checkpoint
):
    number, directory = checkpoint
    outside = Outside(estate)
    before, digest = outside.answer(), tree_digest_of(directory)
    fault, words = LASTING[name]
    with network.failing(fault):
        result = deliver(estate.state, key_of(directory), over_network)
    assert not result.success
    assert words in failure_of(result)
    assert digest not in outside.committed("digits")
    assert digest not in outside.versions("digits")
    assert outside.answer() == before

    result = deliver(estate.state, key_of(directory), over_network)
    assert result.success, failure_of(result)
    assert_delivered(outside, number, directory)


def test_a_bit_that_flips_on_the_way_to_the_server_is_never_served(
    estate, network, over_network, checkpoint
):
    number, directory = checkpoint
    outside = Outside(estate)
    before = outside.answer()
    with network.failing(Fault("flip-received", downloads)):
        result = deliver(estate.state, key_of(directory), over_network)
    assert not result.success
    assert f"s3://models/models/digits/sha256-{tree_digest_of(directory)}" in failure_of(result)
    assert outside.answer() == before
    assert outside.leftovers() == []
    result = deliver(estate.state, key_of(directory), over_network)
    assert result.success, failure_of(result)
    assert_delivered(outside, number, directory)


@pytest.mark.slow
def test_a_file_that_changes_while_it_is_copied_is_refused(estate, network, over_network):
    number = next(numbers)
    directory = telling_checkpoint(
        estate.checkpoint_root, "digits", f"net-{number}", number, padding=MORE_THAN_IS_READ_AHEAD
    )
    outside = Outside(estate)
    before, digest = outside.answer(), tree_digest_of(directory)
    key, readme = key_of(directory), directory / "README.md"
    sealed = readme.read_bytes()[-1]
    results = []
    with network.failing(Fault("slow", uploads, bytes_per_s=8_000_000)) as fault:
        run = threading.Thread(
            target=lambda: results.append(deliver(estate.state, key, over_network))
        )
        run.start()
        deadline = time.monotonic() + 120
        while not fault.met:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with readme.open("r+b") as file:
            file.seek(MORE_THAN_IS_READ_AHEAD - 1)
            file.write(bytes([sealed ^ 1]))
        run.join(300)
    assert not results[0].success
    assert "README.md" in failure_of(results[0])
    assert digest not in outside.committed("digits")
    assert digest not in outside.versions("digits")
    assert outside.answer() == before
    shutil.rmtree(directory)
    assert outside.leftovers() == []
