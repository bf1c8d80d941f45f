"""How the ledger's database is reached: engine, transactions, advisory locks, and their errors.

No facts here. A connection lives for one call, so that nothing survives a fork or a restarted
server. PostgreSQL is the platform's; SQLite serves exports and has no named locks.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.pool import NullPool

from platform_assets.spec.errors import AiHowError

CONNECT_TIMEOUT_S: Final = 10
STATEMENT_TIMEOUT_S: Final = 60
# Two 32-bit keys are another key space than one of 64 bits: no named lock can meet this one.
APPEND_LOCK: Final = (0x4149484F, 0x4C454447)
_POLL_FIRST_S: Final = 0.02
_POLL_LONGEST_S: Final = 0.25
_APPLICATION_NAME_LENGTH: Final = 63
_WRITES: Final = "ledger_writes"


class LedgerUnreachable(AiHowError):
    """The ledger's database cannot be reached now; later it may."""


class LedgerMissing(AiHowError):
    """The database holds no ledger."""


class LedgerDenied(AiHowError):
    """The database refused what was asked of it."""


class LockTimeout(AiHowError):
    """Somebody else held the lock for longer than the caller would wait."""


class LockLost(AiHowError):
    """The database let go of a lock while it was needed; what it guarded may have met others."""


def make_engine(url: sa.URL) -> sa.Engine:
    """Return an engine that keeps no connection and waits for nothing without a limit."""
    if url.get_backend_name() != "postgresql":
        engine = sa.create_engine(url, poolclass=NullPool)
        event.listen(engine, "connect", _leave_transactions_to_us)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    milliseconds = STATEMENT_TIMEOUT_S * 1000
    options = (
        f"-c statement_timeout={milliseconds} "
        f"-c idle_in_transaction_session_timeout={milliseconds} "
        "-c client_connection_check_interval=5000"
    )
    return sa.create_engine(
        url,
        poolclass=NullPool,
        isolation_level="READ COMMITTED",
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_S,
            "options": options,
            "application_name": _application_name("ledger"),
        },
    )


def _application_name(purpose: str) -> str:
    name = f"ai-how process {os.getpid()}: {purpose}"
    return name.encode("ascii", "replace").decode("ascii")[:_APPLICATION_NAME_LENGTH]


def _leave_transactions_to_us(connection: Any, _record: object) -> None:  # noqa: ANN401
    connection.isolation_level = None


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def transaction(engine: sa.Engine, *, appends: bool = False) -> Iterator[sa.Connection]:
    """Open a connection with one transaction; with `appends` no other one appends meanwhile.

    A process that dies inside leaves nothing behind: the server rolls back and lets go.
    """
    with explained(engine.url), engine.connect() as connection:
        if appends and engine.dialect.name == "sqlite":
            connection = connection.execution_options(**{_WRITES: True})  # noqa: PLW2901
        with connection.begin():
            if appends and engine.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(*APPEND_LOCK)))
            yield connection


@contextmanager
def explained(url: sa.URL) -> Iterator[None]:
    """Turn the database driver's errors into ours, which say what to do and show no password."""
    where = url.render_as_string(hide_password=True)
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError) as error:
        if "no such table" in str(error.orig):
            message = f"{where}: holds no ledger; run `ai-how up`"
            raise LedgerMissing(message) from error
        reason = str(error.orig).strip()
        message = f"{where}: the ledger cannot be reached: {reason}; see `ai-how status`"
        raise LedgerUnreachable(message) from error
    except exc.ProgrammingError as error:
        if getattr(error.orig, "pgcode", None) == "42P01":
            message = f"{where}: holds no ledger; run `ai-how up`"
            raise LedgerMissing(message) from error
        message = f"{where}: the ledger refused: {str(error.orig).strip()}"
        raise LedgerDenied(message) from error
    except exc.IntegrityError as error:
        message = f"{where}: the ledger refused: {str(error.orig).strip()}"
        raise LedgerDenied(message) from error


def lock_key(name: str) -> int:
    """Return the key of a named lock: the first 64 bits of SHA-256(name), signed."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


@contextmanager
def advisory_lock(engine: sa.Engine, name: str, timeout_s: float) -> Iterator[None]:
    """Hold the lock `name` of this database; it is let go when the process dies, however.

    It is asked for again and again instead of waited for, so that a signal can end the wait.
    Taking a lock that this process holds already waits like any other.

    Raises:
        LockTimeout: others held it for `timeout_s` seconds.
        LockLost: the connection that held it broke before the end.
    """
    if engine.dialect.name != "postgresql":
        message = f"lock {name!r}: {engine.dialect.name} has no named locks; use PostgreSQL"
        raise LedgerDenied(message)
    key = lock_key(name)
    with explained(engine.url):
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    try:
        with explained(engine.url):
            _wait_for_lock(connection, name, key, timeout_s)
        yield
        _release(connection, name, key)
    finally:
        # Closing the socket is what lets go of the lock, whatever happened before.
        connection.invalidate()
        connection.close()


def _wait_for_lock(connection: sa.Connection, name: str, key: int, timeout_s: float) -> None:
    connection.execute(
        sa.text("SELECT set_config('application_name', :name, false)"),
        {"name": _application_name(f"lock {name}")},
    )
    deadline = time.monotonic() + timeout_s
    pause = _POLL_FIRST_S
    while not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(key))):
        if time.monotonic() >= deadline:
            message = (
                f"lock {name!r}: not free within {timeout_s:g} s, held by "
                f"{_holder(connection, key)}; wait until that has ended, or end it"
            )
            raise LockTimeout(message)
        time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        pause = min(pause * 2, _POLL_LONGEST_S)


def _holder(connection: sa.Connection, key: int) -> str:
    found = connection.execute(
        sa.text(
            "SELECT a.application_name, l.pid, a.query_start FROM pg_locks l "
            "JOIN pg_stat_activity a ON a.pid = l.pid "
            "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
            "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
            "AND (l.classid::bigint << 32) | l.objid::bigint = :key"
        ),
        {"key": key},
    ).first()
    if found is None:
        return "nobody any more (it was let go just now)"
    since = "an unknown time" if found.query_start is None else f"{found.query_start:%FT%TZ}"
    return f"{found.application_name!r} (PostgreSQL backend {found.pid}) since {since}"


def _release(connection: sa.Connection, name: str, key: int) -> None:
    try:
        released = connection.scalar(sa.select(sa.func.pg_advisory_unlock(key)))
    except exc.DBAPIError as error:
        message = f"lock {name!r}: lost before the end: {str(error.orig).strip()}; do it again"
        raise LockLost(message) from error
    if not released:
        message = f"lock {name!r}: was no longer held at the end; do it again"
        raise LockLost(message)
