"""Whether a failed delivery is tried again, and when: decided here, from plain values."""

from datetime import datetime, timedelta
from enum import Enum

# After the first, second ... failed attempt. When the last one has failed too, people are asked.
SPACING = tuple(timedelta(seconds=s) for s in (15, 60, 300, 900, 3600))
MAX_ATTEMPTS = len(SPACING) + 1


class Outlook(Enum):
    """What becomes of a failed delivery. The value is the run's tag, read by people too."""

    WAITING = "waiting"
    SUPERSEDED = "another run took over"
    EXHAUSTED = "none: every attempt failed"
    DEFINITIVE = "none: the cause will not pass"


def due_at(attempt: int, ended: datetime) -> datetime | None:
    """Return when the attempt after `attempt`, which ended at `ended`, is due; None: never."""
    return ended + SPACING[attempt - 1] if 1 <= attempt < MAX_ATTEMPTS else None


def outlook(attempt: int, *, transient: bool) -> Outlook:
    """Decide what becomes of a delivery whose attempt `attempt` has failed."""
    if not transient:
        return Outlook.DEFINITIVE
    return Outlook.WAITING if attempt < MAX_ATTEMPTS else Outlook.EXHAUSTED
