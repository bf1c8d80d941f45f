"""Publish one checkpoint in a process that stops for good where a test wants to kill it.

Arguments: checkpoint root, checkpoint directory, endpoint URL, bucket, credentials file, and the
name of the store's method before which it stops. Prints STOPPED there.
"""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from platform_assets.models.checkpoint_directory import judge_checkpoint
from platform_assets.models.published_copy import publish_checkpoint
from resources.object_store import ObjectStore

root, directory, url, bucket, credentials, method = sys.argv[1:]


def stop(*arguments, **named):
    print("STOPPED", flush=True)
    time.sleep(3600)


class StoppingStore(ObjectStore):
    """The real store, until one method is called."""


setattr(StoppingStore, method, stop)
judged = judge_checkpoint(Path(directory), Path(root), None, datetime.now(UTC))
publish_checkpoint(judged, StoppingStore(url, bucket, Path(credentials)), print)
