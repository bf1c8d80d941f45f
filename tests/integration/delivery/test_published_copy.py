"""Copies in a real object store: one per content, every byte proven, whatever is killed."""

import os
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from platform_assets.lineage.manifest import MANIFEST_NAME, copy_prefix
from platform_assets.models.published_copy import (
    CopyContradicts,
    deliver_copy,
    publish_checkpoint,
)
from platform_assets.models.seal import seal
from platform_assets.models.upload import WrongBytes
from resources.object_store import StoreUnavailable
from tests.integration.delivery.copies import (
    DEADLINE_S,
    MIB,
    assert_whole,
    committed,
    judged,
    kill_before,
    large_checkpoint,
    unique_checkpoint,
)
from tests.integration.lineage.conftest import (  # noqa: F401 - fixtures
    database,
    ledger,
    ledger_server,
)


def flip(path):
    """Change the last byte and let the file look as old as it was."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_only_the_serving_files_are_copied(object_store, tmp_path):
    checkpoint = unique_checkpoint(tmp_path)
    copy = publish_checkpoint(checkpoint, object_store, print)
    assert not copy.equal
    assert copy.uri == f"s3://{object_store.bucket}/models/tiny/sha256-{copy.tree_digest}/"
    assert_whole(object_store, checkpoint)
    keys = [found.key for found in object_store.list(copy.prefix)]
    assert not [key for key in keys if "training_args" in key or "optimizer" in key]


def test_equal_content_is_one_copy_and_is_not_sent_again(object_store, tmp_path):
    first = unique_checkpoint(tmp_path)
    second_directory = tmp_path / "tiny" / "two"
    first.directory.parent.joinpath("one").rename(second_directory)
    (second_directory / "_COMPLETE.json").unlink()
    publish_checkpoint(replace(first, directory=second_directory), object_store, print)
    seal(str(second_directory))
    second = judged(tmp_path, second_directory)
    for entry in second.manifest.files:
        flip(second_directory / entry.path)  # would be refused if it were read
    copy = publish_checkpoint(second, object_store, print)
    assert copy.equal
    assert copy.prefix == copy_prefix("tiny", first.manifest.tree_digest)
    assert second.key != first.key


@pytest.mark.parametrize("large", [False, True])
def test_a_byte_flipped_after_sealing_is_refused_and_nothing_is_committed(
    object_store, tmp_path, large
):
    checkpoint = large_checkpoint(tmp_path, 20) if large else unique_checkpoint(tmp_path)
    flip(checkpoint.directory / "model.safetensors")
    with pytest.raises(WrongBytes, match=r"model\.safetensors: expected SHA-256 \w+ as its mark"):
        publish_checkpoint(checkpoint, object_store, print)
    assert committed(object_store, checkpoint) == []
    prefix = copy_prefix(checkpoint.model, checkpoint.manifest.tree_digest)
    assert list(object_store.open_uploads(prefix)) == []
    assert prefix + "model.safetensors" not in [found.key for found in object_store.list(prefix)]
    flip(checkpoint.directory / "model.safetensors")
    assert not publish_checkpoint(checkpoint, object_store, print).equal
    assert_whole(object_store, checkpoint)


def test_a_large_file_goes_in_parts_within_bounded_memory(object_store, tmp_path):
    checkpoint = large_checkpoint(tmp_path, 160)
    said = []
    tracemalloc.start()
    try:
        copy = publish_checkpoint(checkpoint, object_store, said.append)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 * MIB  # the parts in flight, whatever the size
    assert copy.bytes > 160 * MIB
    assert said[0].startswith(f"sending {copy.files} files")
    assert_whole(object_store, checkpoint)


@pytest.mark.parametrize("before", ["upload_part", "complete_multipart", "put_if_absent"])
def test_killed_anywhere_the_next_attempt_completes(object_store, tmp_path, before):
    checkpoint = large_checkpoint(tmp_path, 20)
    kill_before(tmp_path, checkpoint, object_store, before)
    assert committed(object_store, checkpoint) == []
    copy = publish_checkpoint(checkpoint, object_store, print)
    assert copy.resumed
    assert not copy.equal
    assert_whole(object_store, checkpoint)


def test_two_deliveries_at_once_make_one_copy_and_one_fact(object_store, ledger, tmp_path):  # noqa: F811
    checkpoint = large_checkpoint(tmp_path, 20)
    start = threading.Barrier(2)

    def deliver(run):
        start.wait(DEADLINE_S)
        return deliver_copy(checkpoint, object_store, ledger, run, print)

    with ThreadPoolExecutor(2) as pool:
        copies = list(pool.map(deliver, ["run-a", "run-b"]))
    assert sorted(copy.equal for copy in copies) == [False, True]
    assert_whole(object_store, checkpoint)
    assert len(ledger.facts(kind="copy/1", subject=checkpoint.manifest.tree_digest)) == 1
    assert len(ledger.facts(kind="checkpoint/1", subject=checkpoint.key)) == 1


def test_another_manifest_in_our_place_is_told_and_left_alone(object_store, tmp_path):
    checkpoint = unique_checkpoint(tmp_path)
    prefix = copy_prefix(checkpoint.model, checkpoint.manifest.tree_digest)
    object_store.put(prefix + MANIFEST_NAME, b"{}")
    with pytest.raises(CopyContradicts, match="someone changed the object store"):
        publish_checkpoint(checkpoint, object_store, print)
    assert object_store.get(prefix + MANIFEST_NAME, 10) == b"{}"


def test_a_store_that_is_down_is_a_transient_error(object_store, tmp_path):
    down = replace(object_store, endpoint_url="http://127.0.0.1:9")
    with pytest.raises(StoreUnavailable, match="is the object store running"):
        publish_checkpoint(unique_checkpoint(tmp_path), down, print)
