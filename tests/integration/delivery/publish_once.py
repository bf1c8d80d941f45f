"""Publish one checkpoint in a process that stops for good where a test wants to kill it.

Arguments: checkpoint root, checkpoint directory, endpoint URL, bucket, credentials file, the name
of the store's method before which it stops, and how many calls of it pass. Once these are done, and
another call has come, it prints STOPPED.
"""

import itertools
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from platform_assets.models.checkpoint_directory import judge_checkpoint
from platform_assets.models.published_copy import publish_checkpoint
from resources.object_store import ObjectStore

root, directory, url, bucket, credentials, method, passing = sys.argv[1:]


real = getattr(ObjectStore, method)
calls = itertools.count()
done = threading.Semaphore(0)


def stop(*arguments, **named):
    call = next(calls)
    if call < int(passing):
        answer = real(*arguments, **named)
        done.release()
        return answer
    if call == int(passing):
        for _ in range(call):
            done.acquire()
        print("STOPPED", flush=True)
    time.sleep(3600)
    return None


class StoppingStore(ObjectStore):
    """The real store, until one method is called."""


setattr(StoppingStore, method, stop)
judged = judge_checkpoint(Path(directory), Path(root), None, datetime.now(UTC))
publish_checkpoint(judged, StoppingStore(url, bucket, Path(credentials)), print)
