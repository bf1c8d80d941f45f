"""The program: `python -m storage_container SOURCE DESTINATION`, as KServe calls it.

What was downloaded, or why not, goes to the termination log, which Kubernetes shows in the pod's
status and KServe in the InferenceService.
"""

import json
import os
import signal
import sys
from collections.abc import Sequence

from storage_container.download import download
from storage_container.errors import StorageContainerError
from storage_container.probe import FLAG, probe, probed_place
from storage_container.s3 import Store
from storage_container.settings import endpoint_of, source_of

MAX_MESSAGE_BYTES = 4096  # what Kubernetes keeps


def main(arguments: Sequence[str]) -> int:
    """Download a model, or ask the store whether that could be; return the exit code."""
    try:
        asked = list(arguments[:1]) == [FLAG]
        result = _probed(arguments[1:]) if asked else _downloaded(arguments)
    except StorageContainerError as error:
        _leave(str(error))
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - a person must be able to read it in the pod's status
        _leave(f"storage container: {type(error).__name__}: {error}; this is a defect of it")
        return 1
    _leave(json.dumps(result))
    return 0


def _downloaded(arguments: Sequence[str]) -> dict[str, object]:
    source, destination = source_of(arguments, os.environ)
    endpoint = endpoint_of(os.environ)
    _say(f"downloading {source.url()} from {endpoint.url} to {destination}")
    found = download(Store(endpoint, source.bucket, _say), source, destination)
    return {
        "bytes": found.bytes,
        "files": found.files,
        "seconds": round(found.seconds, 3),
        "tree_digest": found.tree_digest,
    }


def _probed(arguments: Sequence[str]) -> dict[str, object]:
    bucket, prefix = probed_place(arguments)
    return probe(Store(endpoint_of(os.environ), bucket, _say), prefix)


def _say(text: str) -> None:
    print(text, flush=True)


def _leave(message: str) -> None:
    """Leave the last words where Kubernetes looks for them, and in the log."""
    _say(message)
    data = message.encode("utf-8", "backslashreplace")[:MAX_MESSAGE_BYTES]
    named = os.environ.get("TERMINATION_LOG")
    path = named or "/dev/termination-log"  # which Kubernetes mounts, so it is never made here
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | (os.O_CREAT if named else 0), 0o644)
    except OSError as error:
        _say(f"{path}: cannot be written: {error.strerror}")
        return
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(data.decode("utf-8", "ignore").encode())


def _stopped(number: int, _frame: object) -> None:
    """End at once: as the first process of a container nothing else would end it."""
    os._exit(128 + number)


if __name__ == "__main__":
    os.umask(0o022)
    signal.signal(signal.SIGTERM, _stopped)
    signal.signal(signal.SIGINT, _stopped)
    status = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(status)  # threads that still wait for the network are not waited for
