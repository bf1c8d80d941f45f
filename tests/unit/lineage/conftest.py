"""A ledger in a SQLite file with a clock that ticks once a second: enough for what is no race."""

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from platform_assets.lineage.ledger import Ledger

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path):
    ticks = count()
    ledger = Ledger(
        f"sqlite:///{tmp_path}/ledger.sqlite", lambda: START + timedelta(seconds=next(ticks))
    )
    ledger.migrate()
    return ledger
