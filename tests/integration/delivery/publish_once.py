"""Publish one checkpoint in a process of its own, to be killed by a test. Says READY, then sends.

Arguments: checkpoint root, checkpoint directory, endpoint URL, bucket, credentials file.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from platform_assets.models.checkpoint_directory import judge_checkpoint
from platform_assets.models.published_copy import publish_checkpoint
from resources.object_store import ObjectStore

root, directory, url, bucket, credentials = sys.argv[1:]
judged = judge_checkpoint(Path(directory), Path(root), None, datetime.now(UTC))
publish_checkpoint(
    judged, ObjectStore(url, bucket, Path(credentials)), lambda line: print(line, flush=True)
)
