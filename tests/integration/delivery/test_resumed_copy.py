"""A killed copy goes on where it was: what is right is kept, what is wrong is replaced."""

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from platform_assets.lineage.manifest import copy_prefix
from platform_assets.models.published_copy import publish_checkpoint
from platform_assets.models.upload import PART_BYTES, WrongBytes
from resources.object_store import ObjectStore
from tests.integration.delivery.copies import (
    DEADLINE_S,
    MIB,
    assert_whole,
    kill_before,
    large_checkpoint,
    unique_checkpoint,
)

LARGE = "model.safetensors"
RESIDENT_MIB = 150


class ObservedStore(ObjectStore):
    """The real store; remembers what was asked of it."""

    @classmethod
    def of(cls, store):
        observed = cls(store.endpoint_url, store.bucket, store.credentials_file)
        observed.__dict__.update(asked=[], parts=[], objects=[])
        return observed

    def _ask(self, method, key, what, **named):
        self.asked.append((method, key, what))
        return super()._ask(method, key, what, **named)

    def put(self, key, body, **named):
        self.objects.append(key)
        return super().put(key, body, **named)

    def upload_part(self, key, upload_id, number, body, **named):
        self.parts.append(number)
        return super().upload_part(key, upload_id, number, body, **named)


@pytest.fixture
def store(object_store):
    return ObservedStore.of(object_store)


def prefix_of(checkpoint):
    return copy_prefix(checkpoint.model, checkpoint.manifest.tree_digest)


def only_upload(store, checkpoint):
    (upload,) = store.open_uploads(prefix_of(checkpoint))
    return upload


def test_killed_in_mid_file_only_missing_parts_are_sent(store, tmp_path):
    checkpoint = large_checkpoint(tmp_path, 60)
    kill_before(tmp_path, checkpoint, store, "upload_part", passing=3)
    upload = only_upload(store, checkpoint)
    held = {part.number for part in store.held_parts(upload.key, upload.upload_id)}
    assert len(held) == 3
    copy = publish_checkpoint(checkpoint, store, print)
    assert sorted(store.parts) == sorted(set(range(1, 9)) - held)
    assert copy.resumed
    assert copy.kept_bytes // PART_BYTES == 3
    assert_whole(store, checkpoint)


def test_a_held_part_with_other_bytes_is_replaced(store, tmp_path):
    checkpoint = large_checkpoint(tmp_path, 60)
    kill_before(tmp_path, checkpoint, store, "upload_part", passing=2)
    upload = only_upload(store, checkpoint)
    held = {part.number for part in store.held_parts(upload.key, upload.upload_id)}
    assert len(held) == 2
    # One that was not sent yet: SeaweedFS goes on listing the first of two sent under one number.
    wrong = next(number for number in range(1, 8) if number not in held)
    store.upload_part(upload.key, upload.upload_id, wrong, os.urandom(PART_BYTES))
    store.parts.clear()
    copy = publish_checkpoint(checkpoint, store, print)
    assert wrong in store.parts
    assert not held & set(store.parts)
    assert copy.kept_bytes // PART_BYTES == 2
    assert_whole(store, checkpoint)


def test_killed_before_the_commit_nothing_is_sent_again(store, tmp_path):
    checkpoint = large_checkpoint(tmp_path, 20)
    kill_before(tmp_path, checkpoint, store, "put_if_absent")
    copy = publish_checkpoint(checkpoint, store, print)
    assert store.parts == store.objects == []
    assert copy.kept_bytes == copy.bytes
    assert not copy.equal
    assert_whole(store, checkpoint)


def test_a_stored_object_with_other_bytes_is_replaced(store, tmp_path):
    checkpoint = large_checkpoint(tmp_path, 20)
    kill_before(tmp_path, checkpoint, store, "put_if_absent")
    prefix = prefix_of(checkpoint)
    for name, size in [(e.path, e.size) for e in checkpoint.manifest.files]:
        if name in {LARGE, "config.json"}:
            store.put(prefix + name, os.urandom(size))
    store.objects.clear()
    publish_checkpoint(checkpoint, store, print)
    assert store.objects == [prefix + "config.json"]
    assert sorted(store.parts) == [1, 2, 3]
    assert_whole(store, checkpoint)


def test_a_source_that_changed_since_the_kill_is_refused_and_its_upload_removed(store, tmp_path):
    checkpoint = large_checkpoint(tmp_path, 20)
    kill_before(tmp_path, checkpoint, store, "complete_multipart")
    with (checkpoint.directory / LARGE).open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(WrongBytes):
        publish_checkpoint(checkpoint, store, print)
    assert list(store.open_uploads(prefix_of(checkpoint))) == []


def test_uploads_that_are_not_gone_on_with_are_removed(store, tmp_path):
    checkpoint = large_checkpoint(tmp_path, 20)
    prefix = prefix_of(checkpoint)
    for name in (LARGE, LARGE, "config.json", "no-such-file"):
        store.create_multipart(prefix + name)
    other = store.create_multipart("models/tiny-other/part-of-another-copy")
    try:
        publish_checkpoint(checkpoint, store, print)
        assert_whole(store, checkpoint)
        left = [upload.upload_id for upload in store.open_uploads("models/tiny-other/")]
        assert left == [other]
    finally:
        store.abort_multipart("models/tiny-other/part-of-another-copy", other)


def test_an_equal_copy_is_recognised_in_one_request(store, tmp_path):
    checkpoint = unique_checkpoint(tmp_path)
    publish_checkpoint(checkpoint, store, print)
    store.asked.clear()
    assert publish_checkpoint(checkpoint, store, print).equal
    assert [method for method, _, _ in store.asked] == ["GET"]


def test_parts_of_one_file_travel_at_the_same_time(object_store, tmp_path):
    together = threading.Barrier(2)

    class MeetingStore(ObservedStore):
        def upload_part(self, key, upload_id, number, body, **named):
            if number <= 2:
                together.wait(DEADLINE_S)  # breaks unless the other is on its way too
            return super().upload_part(key, upload_id, number, body, **named)

    checkpoint = large_checkpoint(tmp_path, 20)
    publish_checkpoint(checkpoint, MeetingStore.of(object_store), print)
    assert_whole(object_store, checkpoint)


def test_a_store_that_went_away_leaves_parts_to_go_on_with(store, tmp_path):
    class LeavingStore(ObservedStore):
        def upload_part(self, key, upload_id, number, body, **named):
            if number == 3:
                gone = replace(ObjectStore(**kept), endpoint_url="http://127.0.0.1:9")
                return gone.upload_part(key, upload_id, number, body, **named)
            return super().upload_part(key, upload_id, number, body, **named)

    kept = {
        "endpoint_url": store.endpoint_url,
        "bucket": store.bucket,
        "credentials_file": store.credentials_file,
    }
    checkpoint = large_checkpoint(tmp_path, 20)
    with pytest.raises(Exception, match="is the object store running"):
        publish_checkpoint(checkpoint, LeavingStore.of(store), print)
    upload = only_upload(store, checkpoint)
    assert list(store.held_parts(upload.key, upload.upload_id))
    assert publish_checkpoint(checkpoint, store, print).kept_bytes > 0
    assert 3 in store.parts
    assert_whole(store, checkpoint)


def test_the_process_grows_by_a_bounded_amount(object_store, tmp_path):
    checkpoint = large_checkpoint(tmp_path, 320)
    arguments = [
        tmp_path,
        checkpoint.directory,
        object_store.endpoint_url,
        object_store.bucket,
        object_store.credentials_file,
    ]
    answer = subprocess.run(
        [sys.executable, Path(__file__).with_name("publish_measured.py"), *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE_S,
        check=True,
    )
    grown_kib = int(answer.stdout.split()[-1])
    assert 0 < grown_kib / 1024 <= RESIDENT_MIB
    assert checkpoint.manifest.total_bytes > 2 * RESIDENT_MIB * MIB
