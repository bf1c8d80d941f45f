"""The connection to a real S3 object store: what it keeps, what it refuses, how it says so."""

import json
import os
import secrets
from dataclasses import replace

import pytest

from platform_assets.services.object_store import PROBE_PREFIX, probe_object_store
from resources.object_store import (
    ChecksumRefused,
    ObjectNotFound,
    ObjectTooLarge,
    StoreRefused,
    StoreUnavailable,
    crc64nvme,
)

PART = 5 * 2**20


@pytest.fixture
def prefix():
    return f"models/test-{secrets.token_hex(4)}/"


def test_what_was_put_is_given_back_listed_and_removed(object_store, prefix):
    object_store.put(prefix + "a/b.bin", b"hello", metadata={"ai-how-tree-digest": "0" * 64})
    object_store.put(prefix + "empty", b"")
    assert object_store.get(prefix + "a/b.bin", 5) == b"hello"
    assert b"".join(object_store.stream(prefix + "a/b.bin", 2)) == b"hello"
    assert object_store.metadata(prefix + "a/b.bin") == {"ai-how-tree-digest": "0" * 64}
    listed = [(found.key, found.size) for found in object_store.list(prefix)]
    assert listed == [(prefix + "a/b.bin", 5), (prefix + "empty", 0)]
    object_store.delete(prefix + "empty")
    object_store.delete(prefix + "empty")
    assert [found.key for found in object_store.list(prefix)] == [prefix + "a/b.bin"]


def test_a_conditional_put_never_overwrites(object_store, prefix):
    assert object_store.put_if_absent(prefix + "manifest.json", b"first")
    assert not object_store.put_if_absent(prefix + "manifest.json", b"second")
    assert object_store.get(prefix + "manifest.json", 10) == b"first"


def test_bytes_that_do_not_match_their_checksum_become_no_object(object_store, prefix):
    with pytest.raises(ChecksumRefused, match="bytes changed on the way"):
        object_store.put(prefix + "flipped", b"hellp", crc64=crc64nvme(b"hello"))
    assert list(object_store.list(prefix)) == []


def test_an_object_larger_than_the_limit_is_not_read(object_store, prefix):
    object_store.put(prefix + "large", b"12345")
    with pytest.raises(ObjectTooLarge, match="expected at most 4 bytes, found 5"):
        object_store.get(prefix + "large", 4)


def test_an_absent_object_is_told_apart_from_an_absent_right(object_store, prefix):
    with pytest.raises(ObjectNotFound, match="it was never written, or was removed"):
        object_store.get(prefix + "absent", 10)
    with pytest.raises(StoreRefused, match="AccessDenied"):
        object_store.put("elsewhere/not-ours", b"")


def test_parts_sent_out_of_order_make_one_object(object_store, prefix):
    body = os.urandom(2 * PART + 17)
    upload = object_store.create_multipart(prefix + "parts")
    pieces = {1: body[:PART], 2: body[PART : 2 * PART], 3: body[2 * PART :]}
    sent = [
        object_store.upload_part(prefix + "parts", upload, number, pieces[number])
        for number in (3, 1, 2)
    ]
    object_store.complete_multipart(prefix + "parts", upload, sent)
    assert b"".join(object_store.stream(prefix + "parts")) == body
    assert list(object_store.open_uploads(prefix)) == []


def test_a_multipart_object_whose_whole_has_another_checksum_is_refused(object_store, prefix):
    upload = object_store.create_multipart(prefix + "parts")
    part = object_store.upload_part(prefix + "parts", upload, 1, b"hello")
    with pytest.raises((ChecksumRefused, StoreRefused)):
        object_store.complete_multipart(prefix + "parts", upload, [replace(part, crc64=1)])
    assert list(object_store.list(prefix)) == []


def test_an_open_upload_is_found_and_aborted_twice_without_harm(object_store, prefix):
    upload = object_store.create_multipart(prefix + "parts")
    assert [found.upload_id for found in object_store.open_uploads(prefix)] == [upload]
    object_store.abort_multipart(prefix + "parts", upload)
    object_store.abort_multipart(prefix + "parts", upload)
    assert list(object_store.open_uploads(prefix)) == []


def test_a_store_that_is_down_says_so(object_store, prefix):
    down = replace(object_store, endpoint_url="http://127.0.0.1:9")
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:9.*is the object store running"):
        down.get(prefix + "any", 10)


def test_a_wrong_key_is_refused_and_never_shown(object_store, prefix, tmp_path):
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"access_key": "nobody", "secret_key": "planted-secret"}))
    with pytest.raises(StoreRefused) as refused:
        replace(object_store, credentials_file=keys).put(prefix + "any", b"")
    assert "planted-secret" not in str(refused.value)


def test_missing_credentials_name_the_file(object_store, prefix, tmp_path):
    with pytest.raises(StoreRefused, match=r"absent\.json: expected JSON with access_key"):
        replace(object_store, credentials_file=tmp_path / "absent.json").get(prefix, 1)


def test_the_probe_passes_on_this_store_and_leaves_nothing(object_store):
    probe_object_store(object_store)
    assert list(object_store.list(PROBE_PREFIX)) == []
