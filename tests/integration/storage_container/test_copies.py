"""What lies in the object store, right and wrong, and what the container makes of it."""

import hashlib
import os

import pytest

from platform_assets.lineage.manifest import copy_prefix
from tests.integration.serving.object_store import KEYS, published

MIB = 2**20
MEMORY_BOUND = 128 * MIB
FILES = {
    "MLmodel": b"flavors: {}\n",
    "empty": b"",
    "data/a b+c%20&=ä模.bin": os.urandom(100_000),
    'data/"quoted"': b"q",
    "weights.bin": os.urandom(9 * MIB + 1),
    "exact.bin": os.urandom(8 * MIB),
}


def uri(store, prefix):
    return f"s3://{store.bucket}/{prefix}"


def with_bytes(store, name, data):
    """Publish a manifest of these bytes, whatever they are."""
    prefix = copy_prefix(name, hashlib.sha256(data).hexdigest())
    store.put(prefix + "manifest.json", data)
    return prefix


def test_a_copy_arrives_whole_and_says_its_digest(store, pod):
    prefix, manifest = published(store, "whole", FILES)
    ended = pod.run(uri(store, prefix))
    assert ended.result.pop("seconds") > 0
    assert ended.result == {
        "bytes": manifest.total_bytes,
        "files": len(FILES),
        "seconds": ended.result["seconds"],
        "tree_digest": manifest.tree_digest,
    }
    assert pod.files() == {**FILES, "manifest.json": manifest.to_bytes()}
    assert KEYS["secret_key"] not in ended.log


def test_a_big_file_needs_no_more_memory_than_is_stated(store, pod):
    data = os.urandom(64 * MIB) * 5
    prefix, _ = published(store, "big", {"a.bin": data, "b.bin": b"small"})
    ended = pod.run(uri(store, prefix))
    assert ended.result["bytes"] == len(data) + 5
    assert 0 < ended.peak_bytes < MEMORY_BOUND
    assert pod.files()["a.bin"] == data


def test_more_objects_than_one_page_of_a_listing(store, pod):
    files = {f"part/{number:04}": str(number).encode() for number in range(1100)}
    prefix, _ = published(store, "many", files)
    ended = pod.run(uri(store, prefix))
    assert ended.result["files"] == 1100
    assert {path: data for path, data in pod.files().items() if path != "manifest.json"} == files
    assert ended.peak_bytes < MEMORY_BOUND


def test_a_neighbour_whose_name_begins_alike_is_not_mixed_in(store, pod):
    _, manifest = published(store, "neighbour", {"MLmodel": b"one"})
    for version, content in (("1", b"one"), ("10", b"ten")):
        store.put(f"neighbour/{version}/MLmodel", content)
        store.put(f"neighbour/{version}/manifest.json", manifest.to_bytes())
    pod.environment["AI_HOW_TREE_DIGEST"] = manifest.tree_digest
    assert pod.run(uri(store, "neighbour/1")).result["files"] == 1
    assert pod.files()["MLmodel"] == b"one"


def test_one_flipped_byte_is_told_with_the_file(store, pod):
    prefix, manifest = published(store, "flipped", FILES)
    wrong = bytearray(FILES["weights.bin"])
    wrong[5 * MIB] ^= 1
    store.put(prefix + "weights.bin", bytes(wrong))
    ended = pod.run(uri(store, prefix))
    assert ended.code == 3
    expected = next(file.sha256 for file in manifest.files if file.path == "weights.bin")
    assert ended.message.startswith(f"{uri(store, prefix)}weights.bin: expected SHA-256 {expected}")
    assert f"found {hashlib.sha256(wrong).hexdigest()}, twice" in ended.message
    assert "publish the model anew" in ended.message
    assert "weights.bin" not in pod.files()
    assert "manifest.json" not in pod.files()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights.bin": None}, "the manifest names 'weights.bin', which the object store does"),
        ({"extra.py": b"x"}, "the object store holds 'extra.py', which the manifest does not name"),
        ({"MLmodel": b"longer than before"}, "MLmodel: expected 12 bytes, found 18"),
        ({"empty": b"no more"}, "empty: expected 0 bytes, found 7"),
        ({"manifest.json": None}, "expected a manifest, found none"),
        ({"manifest.json": b"{}"}, "manifest.json: expected SHA-256 "),
    ],
)
def test_what_does_not_agree_is_told_before_a_byte_is_downloaded(store, pod, change, words):
    prefix, _ = published(store, "changed", FILES)
    try:
        for path, data in change.items():
            if data is None:
                store.delete(prefix + path)
            else:
                store.put(prefix + path, data)
        ended = pod.run(uri(store, prefix))
        assert ended.code == 3
        assert words in ended.message
        assert uri(store, prefix) in ended.message
        assert pod.files() == {}
    finally:
        for path in change:
            store.delete(prefix + path)


@pytest.mark.parametrize(
    ("path", "words"),
    [("../outside", "`.` or `..`"), ("/etc/cron.d/x", "absolute"), ("a\\\\b", "backslash")],
)
def test_a_manifest_with_a_path_outside_the_rule_is_refused(store, pod, path, words):
    data = f'{{"files":[{{"path":"{path}","sha256":"{"0" * 64}","size":1}}],"version":1}}'.encode()
    prefix = with_bytes(store, "outside", data)
    ended = pod.run(uri(store, prefix))
    assert ended.code == 3
    assert words in ended.message
    assert "is refused" in ended.message
    assert pod.files() == {}


def test_a_bucket_that_is_not_there(store, pod):
    ended = pod.run(f"s3://no-such-bucket/models/sha256-{'0' * 64}/")
    assert ended.code == 3
    assert "no-such-bucket" in ended.message


def test_a_volume_with_something_else_in_it_is_left_alone(store, pod):
    prefix, _ = published(store, "taken", FILES)
    pod.models.mkdir(parents=True)
    (pod.models / "notes.txt").write_text("mine")
    ended = pod.run(uri(store, prefix))
    assert ended.code == 2
    assert "expected an empty volume, found 'notes.txt'" in ended.message
    assert pod.files() == {"notes.txt": b"mine"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"AWS_ACCESS_KEY_ID": "somebody"}, "InvalidAccessKeyId"),
        ({"AWS_SECRET_ACCESS_KEY": "not-the-secret"}, "SignatureDoesNotMatch"),
    ],
)
def test_wrong_credentials_are_refused_at_once_and_never_shown(store, pod, change, words):
    prefix, _ = published(store, "keys", {"MLmodel": b"x"})
    pod.environment.update(change)
    ended = pod.run(uri(store, prefix))
    assert ended.code == 4
    assert words in ended.message
    assert "correct the Secret that the predictor's service account names" in ended.message
    for text in (ended.message, ended.log):
        assert "not-the-secret" not in text
        assert KEYS["secret_key"] not in text


def test_another_kind_of_place_is_refused(pod):
    ended = pod.run("pvc://somewhere")
    assert ended.code == 2
    assert "SOURCE: expected s3://BUCKET/.../sha256-HEX/" in ended.message
