"""Publish one checkpoint and print by how many KiB the resident memory was larger at its peak.

Arguments: checkpoint root, checkpoint directory, endpoint URL, bucket, credentials file.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from platform_assets.models.checkpoint_directory import judge_checkpoint
from platform_assets.models.published_copy import publish_checkpoint
from resources.object_store import ObjectStore

root, directory, url, bucket, credentials = sys.argv[1:]


def status(name):
    (line,) = [n for n in Path("/proc/self/status").read_text().splitlines() if n.startswith(name)]
    return int(line.split()[1])


judged = judge_checkpoint(Path(directory), Path(root), None, datetime.now(UTC))
Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
before = status("VmRSS")
publish_checkpoint(judged, ObjectStore(url, bucket, Path(credentials)), print)
print(status("VmHWM") - before)
