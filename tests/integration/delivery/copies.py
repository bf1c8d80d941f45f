"""Checkpoints to publish, and what a whole copy of one looks like from outside."""

import hashlib
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from platform_assets.lineage.manifest import MANIFEST_NAME, Manifest, copy_prefix
from platform_assets.models.checkpoint_directory import judge_checkpoint
from platform_assets.models.seal import seal
from tests.sample_checkpoints import huggingface_checkpoint

MIB = 2**20
DEADLINE_S = 120


def judged(root, directory):
    return judge_checkpoint(directory, root, None, datetime.now(UTC))


def unique_checkpoint(root, model="tiny", run="one"):
    """A checkpoint whose bytes no other test has."""
    directory = huggingface_checkpoint(root, model, run, seal=False)
    (directory / "chat_template.jinja").write_text(os.urandom(16).hex())
    seal(str(directory))
    return judged(root, directory)


def large_checkpoint(root, mib, run="large"):
    """A checkpoint with one safetensors file of about `mib` MiB."""
    directory = huggingface_checkpoint(root, "tiny", run, seal=False)
    count = mib * MIB // 4
    header = b'{"w":{"dtype":"F32","shape":[%d],"data_offsets":[0,%d]}}' % (count, count * 4)
    with (directory / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for _ in range(mib):
            file.write(os.urandom(MIB))
    seal(str(directory))
    return judged(root, directory)


def committed(store, checkpoint):
    return [
        found.key
        for found in store.list(copy_prefix(checkpoint.model, checkpoint.manifest.tree_digest))
        if found.key.endswith(MANIFEST_NAME)
    ]


def assert_whole(store, checkpoint):
    """The copy has a manifest, and every object has the digest that it names."""
    prefix = copy_prefix(checkpoint.model, checkpoint.manifest.tree_digest)
    manifest = Manifest.from_bytes(store.get(prefix + MANIFEST_NAME, MIB))
    assert manifest == checkpoint.manifest
    for entry in manifest.files:
        digest = hashlib.sha256()
        for chunk in store.stream(prefix + entry.path):
            digest.update(chunk)
        assert digest.hexdigest() == entry.sha256, entry.path
    listed = {found.key for found in store.list(prefix)}
    assert listed == {prefix + e.path for e in manifest.files} | {prefix + MANIFEST_NAME}
    assert list(store.open_uploads(prefix)) == []


def kill_before(root, checkpoint, store, method, passing=0):
    """Publish in a process of its own; kill it before a call of a method of the store."""
    arguments = [
        root,
        checkpoint.directory,
        store.endpoint_url,
        store.bucket,
        store.credentials_file,
        method,
        passing,
    ]
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("publish_once.py"), *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert "STOPPED\n" in process.stdout, "it ended before it could be killed"
    finally:
        process.kill()
        process.wait(DEADLINE_S)
        process.stdout.close()
