"""What a tick does about each checkpoint directory: decided here, from plain values.

No Dagster, no file is opened, no clock: `sensors.arrivals` looks at the world and carries out what
is decided. A directory is named `<model>/<run>`; its marker is told apart by what one stat says.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum


class Step(Enum):
    """What there is to do about one directory."""

    WAIT = "it has no marker: still being written"
    NOTHING = "its marker is the one judged before"
    JUDGE = "its marker is new, changed, or judged by rules that changed"


@dataclass(frozen=True)
class Remembered:
    """What an earlier tick found out about a directory.

    `rules` is a digest of what the judgement depended on besides the directory; `reason` is why it
    was refused, None when it was taken; `again_at` is when a refused one is looked at again, since
    a mode, an owner, a restored file or a clock may have been put right without a new marker.
    """

    marker: str
    rules: str
    key: str | None
    reason: str | None
    again_at: float | None = None


def marker_identity(stat: os.stat_result) -> str:
    """Return what tells this marker file from any that stood in its place before."""
    return f"{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ino}:{stat.st_ctime_ns}"


def step_for(marker: str | None, remembered: Remembered | None, rules: str, now: float) -> Step:
    """Decide what to do about a directory whose marker is `marker` (None: it has none).

    A checkpoint that was taken is not judged again when the rules change; a refused one is.
    """
    if marker is None:
        return Step.WAIT
    if remembered is None or remembered.marker != marker:
        return Step.JUDGE
    if remembered.reason is None:
        return Step.NOTHING
    may_pass = remembered.again_at is not None and now >= remembered.again_at
    return Step.JUDGE if may_pass or remembered.rules != rules else Step.NOTHING


def in_turn(names: Iterable[str], after: str) -> list[str]:
    """Return `names` sorted, beginning behind `after` where the last tick stopped."""
    ordered = sorted(names)
    return [n for n in ordered if n > after] + [n for n in ordered if n <= after]


def is_repeat(key: str, remembered: Remembered | None) -> bool:
    """Tell whether checkpoint `key` was requested before: its marker was touched, not changed."""
    return remembered is not None and remembered.key == key


def is_news(marker: str, rules: str, remembered: Remembered | None) -> bool:
    """Tell whether a refusal was not told yet: a second look at a marker says nothing new."""
    return remembered is None or (remembered.marker, remembered.rules) != (marker, rules)


def vanished(remembered: Mapping[str, Remembered], listed: Sequence[str]) -> set[str]:
    """Return the remembered directories that are gone.

    A root that lists nothing is more likely an unmounted file system than an empty world.
    """
    return set(remembered) - set(listed) if listed else set()
