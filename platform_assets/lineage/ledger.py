"""The append-only ledger: facts with an envelope, chained by hash, numbered without gaps.

`canonical` says what a fact is as bytes, `facts` what the facts of this platform say, `database`
how the database is reached. Here they are appended, found again and verified.

An interval ends by a later fact, never by an update: of two facts on one subject the one with the
higher seq holds. Fact 0 has kind `ledger/1` and carries the random id of this ledger.
"""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import rfc8785
import sqlalchemy as sa

from platform_assets.lineage.canonical import (
    ENVELOPE,
    FIRST_PREV,
    FactRefused,
    canonical_envelope,
    chained_hash,
    timestamp,
)
from platform_assets.lineage.database import (
    LedgerDenied,
    LedgerMissing,
    LedgerUnreachable,
    LockLost,
    LockTimeout,
    advisory_lock,
    make_engine,
    transaction,
)
from platform_assets.lineage.tables import facts as facts_table
from platform_assets.spec.errors import AiHowError

__all__ = [
    "ChainBroken",
    "Fact",
    "FactRefused",
    "Ledger",
    "LedgerDenied",
    "LedgerMissing",
    "LedgerReader",
    "LedgerState",
    "LedgerUnreachable",
    "LockLost",
    "LockTimeout",
]

FIRST_KIND: Final = "ledger/1"
FIRST_SUBJECT: Final = "ledger"
WRITER_ROLE: Final = "ledger_writer"
_MIGRATIONS: Final = Path(__file__).with_name("migrations")
_BATCH: Final = 1000


class ChainBroken(AiHowError):
    """A stored fact was changed, removed or put in; `seq` is the first place where it shows."""

    def __init__(self, seq: int, reason: str) -> None:
        """Say at which fact the chain breaks, and why."""
        super().__init__(
            f"ledger, fact {seq}: {reason}; facts before it are intact, "
            "compare the rest with an export or a backup"
        )
        self.seq = seq
        self.reason = reason


@dataclass(frozen=True)
class Fact:
    """One fact as it was recorded. Times are text, `YYYY-MM-DDThh:mm:ss.ffffffZ`."""

    seq: int
    kind: str
    subject: str
    body: dict[str, Any]
    valid_from: str
    recorded_at: str
    prev: str
    hash: str


@dataclass(frozen=True)
class LedgerState:
    """What a verified ledger looks like; keep `head` elsewhere to notice a cut-off end."""

    ledger_id: str
    facts: int
    head: str
    recorded_at: str


class LedgerReader:
    """Questions to the ledger within one transaction; predicates of `append_if` get it."""

    def __init__(self, connection: sa.Connection) -> None:
        """Ask over `connection`."""
        self._connection = connection

    def facts(
        self, kind: str | None = None, subject: str | None = None, until: datetime | None = None
    ) -> list[Fact]:
        """Return the facts of `kind` on `subject` valid from `until` or before, oldest first."""
        query = _matching(kind, subject, until).order_by(facts_table.c.seq)
        return [_fact(row) for row in self._connection.execute(query)]

    def latest(self, kind: str, subject: str, until: datetime | None = None) -> Fact | None:
        """Return the fact of `kind` that holds for `subject`: the one recorded last."""
        query = _matching(kind, subject, until).order_by(facts_table.c.seq.desc()).limit(1)
        row = self._connection.execute(query).first()
        return None if row is None else _fact(row)

    def latest_of_each(self, kind: str, until: datetime | None = None) -> dict[str, Fact]:
        """Return the fact of `kind` that holds for each subject that has one, by subject."""
        last = _matching(kind, None, until).with_only_columns(sa.func.max(facts_table.c.seq))
        query = sa.select(facts_table).where(
            facts_table.c.seq.in_(last.group_by(facts_table.c.subject))
        )
        return {row.subject: _fact(row) for row in self._connection.execute(query)}

    def head(self) -> Fact | None:
        """Return the last fact of all."""
        query = sa.select(facts_table).order_by(facts_table.c.seq.desc()).limit(1)
        row = self._connection.execute(query).first()
        return None if row is None else _fact(row)


Predicate = Callable[[LedgerReader], bool]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Ledger:
    """The ledger at a database URL. Nothing is contacted before the first question."""

    def __init__(self, url: str, clock: Callable[[], datetime] = _utc_now) -> None:
        """Name the database by its SQLAlchemy URL; `clock` says when a fact is recorded."""
        self._url = sa.make_url(url)
        self._clock = clock

    def __repr__(self) -> str:
        """Show the address, never a password."""
        return f"Ledger({self._url.render_as_string(hide_password=True)!r})"

    @cached_property
    def _engine(self) -> sa.Engine:
        return make_engine(self._url)

    def migrate(self) -> None:
        """Bring the schema up to date, let the writer read and append, write fact 0 if missing.

        Needs the owner's URL. Idempotent; two at once make one of everything.
        """
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        with transaction(self._engine, appends=True) as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            _grant_to_writer(connection)
            if LedgerReader(connection).head() is None:
                body = {"ledger_id": uuid.uuid4().hex}
                self._insert(connection, None, FIRST_KIND, FIRST_SUBJECT, body)

    def append(
        self,
        kind: str,
        subject: str,
        body: Mapping[str, Any],
        valid_from: datetime | None = None,
    ) -> Fact:
        """Append a fact; it holds from `valid_from`, or from now.

        Raises:
            FactRefused: kind, subject or body is outside its rule; nothing was written.
        """
        with transaction(self._engine, appends=True) as connection:
            head = self._started(connection)
            return self._insert(connection, head, kind, subject, body, valid_from)

    def append_if(
        self,
        predicate: Predicate,
        kind: str,
        subject: str,
        body: Mapping[str, Any],
        valid_from: datetime | None = None,
    ) -> Fact | None:
        """Append a fact if `predicate` holds; nobody appends between the question and the fact.

        The predicate must ask only the reader it gets, and be quick: everybody else waits.
        """
        with transaction(self._engine, appends=True) as connection:
            head = self._started(connection)
            if not predicate(LedgerReader(connection)):
                return None
            return self._insert(connection, head, kind, subject, body, valid_from)

    def facts(
        self, kind: str | None = None, subject: str | None = None, until: datetime | None = None
    ) -> list[Fact]:
        """Return the facts of `kind` on `subject` valid from `until` or before, oldest first."""
        with transaction(self._engine) as connection:
            return LedgerReader(connection).facts(kind, subject, until)

    def latest(self, kind: str, subject: str, until: datetime | None = None) -> Fact | None:
        """Return the fact of `kind` that holds for `subject`: the one recorded last."""
        with transaction(self._engine) as connection:
            return LedgerReader(connection).latest(kind, subject, until)

    def latest_of_each(self, kind: str, until: datetime | None = None) -> dict[str, Fact]:
        """Return the fact of `kind` that holds for each subject that has one, by subject."""
        with transaction(self._engine) as connection:
            return LedgerReader(connection).latest_of_each(kind, until)

    @contextmanager
    def reader(self) -> Iterator[LedgerReader]:
        """Open one connection for several questions."""
        with transaction(self._engine) as connection:
            yield LedgerReader(connection)

    def lock(self, name: str, timeout_s: float) -> AbstractContextManager[None]:
        """Hold the lock `name`, for as long as the context lasts or the process lives.

        Raises:
            LockTimeout: others held it for `timeout_s` seconds; the message says who.
            LockLost: the database let go of it before the end.
        """
        return advisory_lock(self._engine, name, timeout_s)

    def verify_chain(self) -> LedgerState:
        """Read every fact and recompute its hash, in batches.

        Raises:
            ChainBroken: a fact was changed, is missing, or was put in.
        """
        first: Fact | None = None
        last: Fact | None = None
        for batch in self._batches():
            for row in batch:
                last = _verified(row, last)
                first = first or last
        if first is None or last is None:
            raise ChainBroken(0, "there is none; a ledger begins with one")
        return LedgerState(str(first.body["ledger_id"]), last.seq + 1, last.hash, last.recorded_at)

    def _batches(self) -> Iterator[list[sa.Row[Any]]]:
        # From the lowest seq there is, for one below 0 must not hide.
        after: int | None = None
        while True:
            query = sa.select(facts_table).order_by(facts_table.c.seq).limit(_BATCH)
            if after is not None:
                query = query.where(facts_table.c.seq > after)
            with transaction(self._engine) as connection:
                rows = list(connection.execute(query))
            if not rows:
                return
            yield rows
            after = rows[-1].seq

    def _started(self, connection: sa.Connection) -> Fact:
        head = LedgerReader(connection).head()
        if head is None:
            where = self._url.render_as_string(hide_password=True)
            message = f"{where}: the ledger has no fact 0; run `ai-how up`"
            raise LedgerMissing(message)
        return head

    def _insert(  # noqa: PLR0917 - all of them are the fact
        self,
        connection: sa.Connection,
        head: Fact | None,
        kind: str,
        subject: str,
        body: Mapping[str, Any],
        valid_from: datetime | None = None,
    ) -> Fact:
        recorded_at = timestamp(self._clock())
        envelope: dict[str, Any] = {
            "seq": 0 if head is None else head.seq + 1,
            "kind": kind,
            "subject": subject,
            "valid_from": recorded_at if valid_from is None else timestamp(valid_from),
            "recorded_at": recorded_at,
        }
        canonical = canonical_envelope(**envelope, body=body)
        prev = FIRST_PREV if head is None else head.hash
        digest = chained_hash(prev, canonical)
        row = {**envelope, "canonical": canonical, "prev": prev, "hash": digest}
        connection.execute(facts_table.insert().values(row))
        return Fact(**envelope, body=json.loads(canonical)["body"], prev=prev, hash=digest)


def _grant_to_writer(connection: sa.Connection) -> None:
    if connection.dialect.name != "postgresql":
        return
    connection.execute(sa.text("REVOKE ALL ON facts, alembic_version FROM PUBLIC"))
    role = sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role")
    if connection.scalar(role, {"role": WRITER_ROLE}):
        connection.execute(sa.text(f"REVOKE ALL ON facts, alembic_version FROM {WRITER_ROLE}"))
        connection.execute(sa.text(f"GRANT SELECT, INSERT ON facts TO {WRITER_ROLE}"))
        connection.execute(sa.text(f"GRANT SELECT ON alembic_version TO {WRITER_ROLE}"))


def _matching(
    kind: str | None, subject: str | None, until: datetime | None
) -> sa.Select[tuple[Any, ...]]:
    query = sa.select(facts_table)
    if kind is not None:
        query = query.where(facts_table.c.kind == kind)
    if subject is not None:
        query = query.where(facts_table.c.subject == subject)
    if until is not None:
        query = query.where(facts_table.c.valid_from <= timestamp(until))
    return query


def _fact(row: sa.Row[Any]) -> Fact:
    envelope = json.loads(bytes(row.canonical))
    return Fact(**envelope, prev=row.prev, hash=row.hash)


def _verified(row: sa.Row[Any], before: Fact | None) -> Fact:
    expected_seq = 0 if before is None else before.seq + 1
    if row.seq != expected_seq:
        raise ChainBroken(min(row.seq, expected_seq), f"missing; fact {row.seq} is found there")
    canonical = bytes(row.canonical)
    if row.prev != (FIRST_PREV if before is None else before.hash):
        raise ChainBroken(row.seq, "its prev is not the hash of the fact before it")
    if row.hash != chained_hash(row.prev, canonical):
        raise ChainBroken(row.seq, "its hash does not fit its bytes")
    try:
        envelope = json.loads(canonical)
        is_canonical = rfc8785.dumps(envelope) == canonical and envelope.keys() == ENVELOPE
    except (ValueError, AttributeError, rfc8785.CanonicalizationError) as error:
        raise ChainBroken(row.seq, f"its bytes are no canonical JSON: {error}") from error
    if not is_canonical:
        raise ChainBroken(row.seq, "its bytes are no canonical envelope")
    for column in ("seq", "kind", "subject", "valid_from", "recorded_at"):
        if envelope[column] != getattr(row, column):
            raise ChainBroken(row.seq, f"its column {column} differs from its bytes")
    fact = Fact(**envelope, prev=row.prev, hash=row.hash)
    if before is None and (fact.kind != FIRST_KIND or "ledger_id" not in fact.body):
        raise ChainBroken(0, f"expected kind {FIRST_KIND} with a ledger_id, found {fact.kind}")
    return fact
