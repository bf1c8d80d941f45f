"""Asks whether the object store answers this pod with these keys; nothing is downloaded.

`python -m storage_container --probe s3://BUCKET/PREFIX/`: one listing of one page, which needs the
network, the keys and the right to list, as a download does.
"""

import re
import time
from collections.abc import Sequence

from storage_container.errors import Misused
from storage_container.s3 import Store

FLAG = "--probe"
_PLACE = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/([^\x00-\x1f]*)\Z")


def probed_place(arguments: Sequence[str]) -> tuple[str, str]:
    """Return bucket and prefix of the arguments after the flag.

    Raises:
        Misused: they name no place.
    """
    found = _PLACE.match(arguments[0]) if len(arguments) == 1 else None
    if found is None:
        message = f"{FLAG}: expected s3://BUCKET/PREFIX/, found {' '.join(arguments)!a}"
        raise Misused(message)
    return found[1], found[2]


def probe(store: Store, prefix: str) -> dict[str, object]:
    """List what lies first under a prefix; return what was seen.

    Raises:
        StorageContainerError: the store refuses, or cannot be reached.
    """
    begun = time.monotonic()
    first = next(iter(store.reader().list(prefix)), None)
    return {
        "answers": store.endpoint.url,
        "empty": first is None,
        "seconds": round(time.monotonic() - begun, 3),
    }
