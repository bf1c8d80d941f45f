"""An object store that is full: a real SeaweedFS with a few tiny volumes, all of them written."""

import os
import time
from datetime import UTC, datetime

import pytest

from platform_assets.models.checkpoint_directory import judge_checkpoint
from platform_assets.models.partition import TRANSIENT_ERRORS
from platform_assets.models.published_copy import publish_checkpoint
from resources.object_store import ObjectStoreError, StoreUnavailable
from tests.integration.serving.object_store import seaweedfs
from tests.telling_checkpoints import telling_checkpoint

DEADLINE_S = 120
FILLER = 2**20


def fill(store):
    """Write until nothing more is taken."""
    deadline = time.monotonic() + DEADLINE_S
    number = refused = 0
    while refused < 3:
        assert time.monotonic() < deadline, f"{number} MiB were taken"
        number += 1
        try:
            store.put(f"filler/{number}", os.urandom(FILLER))
        except StoreUnavailable:
            refused += 1
        else:
            refused = 0


@pytest.mark.slow
def test_a_full_store_commits_nothing_and_says_so(tmp_path):
    directory = telling_checkpoint(tmp_path / "root", "digits", "full", 1, padding=9 * FILLER)
    judged = judge_checkpoint(directory, tmp_path / "root", None, datetime.now(UTC))
    (tmp_path / "store").mkdir()
    with seaweedfs(tmp_path / "store", volume_mb=1, volumes=8) as store:
        fill(store)
        with pytest.raises(ObjectStoreError) as refused:
            publish_checkpoint(judged, store, print)
        assert isinstance(refused.value, TRANSIENT_ERRORS)
        assert "s3://models/models/digits/" in str(refused.value)
        assert [o.key for o in store.list("models/") if o.key.endswith("manifest.json")] == []
        # What has begun is kept for the next attempt to go on with, and nothing else is.
        begun = {upload.key.rpartition("/")[2] for upload in store.open_uploads("models/")}
        assert begun <= {entry.path for entry in judged.manifest.files}
