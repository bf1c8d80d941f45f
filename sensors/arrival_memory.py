"""What the arrivals sensor remembers between ticks: one row per judged directory, in SQLite.

It is a cache. Losing it costs judging every checkpoint once more and nothing else, since run keys
keep a second run from starting. A row of a taken checkpoint counts only when the tick that asked
for its run was itself committed by Dagster: the tick's id goes into the sensor's cursor, and rows
of a tick whose id does not come back are forgotten. So a tick that dies on its way loses no run.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sensors.arrival_decision import Remembered

_SCHEMA = """
create table if not exists judged (
    name blob primary key, marker text not null, rules text not null, key text, reason text,
    again_at real, tick text
) without rowid
"""


@dataclass(frozen=True)
class ArrivalMemory:
    """The rows in `file`; a file that is damaged is begun anew."""

    file: Path

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.file, timeout=10)) as connection, connection:
            connection.execute(_SCHEMA)
            yield connection

    def recall(self, committed_tick: str | None) -> dict[str, Remembered]:
        """Return what is remembered, by directory; None: no tick was ever committed.

        Rows that an uncommitted tick left are dropped, so that their checkpoints are asked for
        again.
        """
        try:
            return self._recall(committed_tick)
        except sqlite3.OperationalError:
            raise  # locked, or no space: the file itself is sound
        except sqlite3.DatabaseError:
            self.file.unlink(missing_ok=True)
            return self._recall(None)

    def _recall(self, committed_tick: str | None) -> dict[str, Remembered]:
        with self._opened() as db:
            if committed_tick is None:
                db.execute("delete from judged")
            else:
                db.execute("update judged set tick = null where tick = ?", [committed_tick])
                db.execute("delete from judged where tick is not null")
            rows = db.execute("select name, marker, rules, key, reason, again_at from judged")
            return {os.fsdecode(name): Remembered(*rest) for name, *rest in rows}

    def remember(self, judged: Iterable[tuple[str, Remembered, str | None]]) -> None:
        """Keep what was found out: name, row, and the tick that must be committed for it."""
        with self._opened() as db:
            db.executemany(
                "insert or replace into judged values (?, ?, ?, ?, ?, ?, ?)",
                [
                    (os.fsencode(name), r.marker, r.rules, r.key, r.reason, r.again_at, tick)
                    for name, r, tick in judged
                ],
            )

    def forget(self, names: Iterable[str]) -> None:
        """Drop the rows of directories that are gone."""
        with self._opened() as db:
            db.executemany(
                "delete from judged where name = ?", [(os.fsencode(name),) for name in names]
            )
