"""Which process executes a run, told so that it can be recognised after a crash or a reboot.

A process id alone is used again by the kernel. With the start time in clock ticks since boot, and
the boot's own id, it is not; and the wall clock, which may jump, has no part in it (proc(5)). The
run's id stands in the tag because Dagster copies a dead run's tags to the run that retries it.
"""

import os
from pathlib import Path

_ENDED_STATES = {"Z", "X", "x"}
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def _boot_id() -> str:
    return _BOOT_ID.read_text(encoding="ascii").strip()[:8]


def start_ticks(pid: int) -> int | None:
    """Return when process `pid` started, in clock ticks since boot; None when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field, the command in brackets, may itself hold spaces and brackets.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in _ENDED_STATES else int(fields[18])


def process_tag(run_id: str) -> str:
    """Return the tag by which run `run_id` names the process that is executing it: this one."""
    pid = os.getpid()
    return f"{pid}:{start_ticks(pid)}:{_boot_id()}:{run_id[:8]}"


def belongs_to(tag: str | None, run_id: str) -> bool:
    """Tell whether `tag` was set by run `run_id` itself, not copied from the run it retries."""
    return tag is not None and tag.count(":") == 3 and tag.endswith(f":{run_id[:8]}")


def is_gone(tag: str) -> bool:
    """Tell whether the process that set `tag` has ended, in this boot or with an earlier one."""
    pid, ticks, boot, _run = tag.split(":")
    return boot != _boot_id() or str(start_ticks(int(pid))) != ticks
