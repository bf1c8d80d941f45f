"""Objects that are not what a digest names: no pod starts on them, and the live one serves."""

import hashlib
import json
from collections.abc import Callable, Iterator

import pytest

from platform_assets.lineage.manifest import MANIFEST_NAME, copy_prefix
from platform_assets.serving.endpoint import Delivered, ungated
from platform_assets.serving.kserve_pods import PodsRefused
from platform_assets.serving.provider import Intended
from platform_assets.spec.serving import read_serving
from resources.object_store import ObjectStore
from tests.lab.serving.conftest import Platform
from tests.lab.serving.requests_of_clients import another, uninterrupted, within

ENDPOINT = "wrong-bytes"
TOLD_S = 60.0


@pytest.fixture(scope="module")
def live(delivering: Platform) -> Iterator[Delivered]:
    delivering.declare(ENDPOINT, gpus=1)
    delivered = delivering.deliver(delivering.registered(ENDPOINT, "live"))
    assert delivered.decision.outcome == "deployed"
    yield delivered
    delivering.serving.provider.withdraw(ENDPOINT)


def flip(store: ObjectStore, prefix: str) -> None:
    whole = bytearray(store.get(prefix + "model.skops", 2**24))
    whole[len(whole) // 2] ^= 1
    store.put(prefix + "model.skops", bytes(whole))


def add(store: ObjectStore, prefix: str) -> None:
    store.put(prefix + "extra.bin", b"nobody named me")


def take_manifest(store: ObjectStore, prefix: str) -> None:
    store.delete(prefix + MANIFEST_NAME)


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (flip, ["model.skops", "SHA-256"]),
        (add, ["extra.bin", "manifest"]),
        (take_manifest, ["manifest.json"]),
    ],
)
def test_a_copy_that_was_changed(
    delivering: Platform,
    live: Delivered,
    tamper: Callable[[ObjectStore, str], None],
    words: list[str],
) -> None:
    key = delivering.registered(ENDPOINT, tamper.__name__.replace("_", "-"), make=another)
    digest = delivering.digest(key)
    tamper(delivering.kserve_lab.publisher, copy_prefix(ENDPOINT, digest))
    with (
        uninterrupted(delivering, ENDPOINT),
        within(TOLD_S),
        pytest.raises(PodsRefused) as told,
    ):
        delivering.deliver(key)
    print(told.value)
    for word in [*words, digest, "what was live is untouched"]:
        assert word in str(told.value)
    assert delivering.serving.provider.told(f"{ENDPOINT}.candidate") is None
    found = delivering.serving.provider.told(ENDPOINT)
    assert found.tree_digest == live.candidate.tree_digest


def test_a_manifest_with_a_path_outside_the_rule(delivering: Platform, live: Delivered) -> None:
    body = b"outside"
    path = "../../etc/outside"
    entry = {"path": path, "sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}
    manifest = json.dumps({"files": [entry], "version": 1}, separators=(",", ":")).encode()
    digest = hashlib.sha256(manifest).hexdigest()
    store, prefix = delivering.kserve_lab.publisher, copy_prefix(ENDPOINT, digest)
    store.put(prefix + MANIFEST_NAME, manifest)
    intended = Intended(
        endpoint=ENDPOINT,
        model=ENDPOINT,
        version="99",
        format="mlflow",
        tree_digest=digest,
        checkpoint="by.hand",
        entry=read_serving(delivering.serving_file).for_model(ENDPOINT),
    )
    with (
        uninterrupted(delivering, ENDPOINT),
        within(TOLD_S),
        pytest.raises(PodsRefused) as told,
    ):
        delivering.serving.provider.ensure_served(intended, ungated("by hand"), print)
    print(told.value)
    assert path in str(told.value)
    assert "what was live is untouched" in str(told.value)


def test_a_neighbour_whose_prefix_begins_the_same(delivering: Platform, live: Delivered) -> None:
    """As 10 begins with 1; the last of these, for another version is live after it."""
    key = delivering.registered(ENDPOINT, "neighbour", make=another)
    prefix = copy_prefix(ENDPOINT, delivering.digest(key))
    store = delivering.kserve_lab.publisher
    store.put(f"{prefix.removesuffix('/')}0/MLmodel", b"of the neighbour")
    with uninterrupted(delivering, ENDPOINT):
        delivered = delivering.deliver(key)
    assert delivered.decision.outcome == "deployed"
    found = delivering.serving.provider.told(ENDPOINT)
    assert found.tree_digest == delivered.candidate.tree_digest
