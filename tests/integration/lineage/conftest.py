"""A real ledger: its own database in a real PostgreSQL, owner and writer as on the platform.

The server is started here and not as a part of the platform, because these tests tamper with it.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import psycopg2.extensions
import pytest
import sqlalchemy as sa

from platform_assets.lineage.ledger import Ledger
from resources.postgresql import (
    PORT,
    PostgresqlNotReady,
    PostgresqlServer,
    RunAs,
    ensure_cluster,
    passfile_line,
    server_command,
    unprivileged_way,
)

DEADLINE_S = 120
NOBODY = 65534
PASSWORD = "only-for-this-test"
ROLES = ("postgres", "ledger_owner", "ledger_writer")


@dataclass(frozen=True)
class LedgerDatabase:
    socket_dir: Path
    secrets: Path
    database: str = "ledger"
    port: int = PORT

    def passfile(self, role: str) -> Path:
        return self.secrets / f"{role}.pgpass"

    def url(self, role: str) -> str:
        query = {
            "host": str(self.socket_dir),
            "port": str(self.port),
            "passfile": str(self.passfile(role)),
        }
        url = sa.URL.create("postgresql+psycopg2", role, database=self.database, query=query)
        return url.render_as_string()

    def execute(self, role: str, *statements: str) -> None:
        connection = psycopg2.connect(
            host=str(self.socket_dir),
            port=self.port,
            user=role,
            dbname=self.database,
            passfile=str(self.passfile(role)),
        )
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        finally:
            connection.close()


def _unprivileged(directory: Path) -> RunAs:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return RunAs()
    directory.chmod(0o755)
    way = unprivileged_way([directory], NOBODY, NOBODY)
    assert way.run_as is not None, way.tried
    if way.run_as.uid is not None:
        os.chown(directory, NOBODY, NOBODY)
    return way.run_as


def _write_passfiles(secrets: Path) -> None:
    secrets.mkdir(mode=0o700)
    for role in ROLES:
        file = secrets / f"{role}.pgpass"
        file.touch(0o600)
        file.write_text(passfile_line(role, PASSWORD), encoding="utf-8")


def _await_ready(server: PostgresqlServer, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            server.probe()
        except PostgresqlNotReady:
            assert process.poll() is None, log.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
            time.sleep(0.1)
        else:
            return


@pytest.fixture(scope="session")
def ledger_server() -> Iterator[PostgresqlServer]:
    directory = Path(tempfile.mkdtemp(prefix="ai-how-ledger-"))
    _write_passfiles(directory / "secrets")
    run_as = _unprivileged(directory)
    identity = {}
    if run_as.uid is not None:
        identity = {"user": run_as.uid, "group": run_as.gid, "extra_groups": []}
    ensure_cluster(directory / "data", PASSWORD, run_as)
    command = [*run_as.prefix, *server_command(directory / "data", directory), "-c", "fsync=off"]
    log = directory / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd="/", stdout=out, stderr=out, **identity)
    try:
        server = PostgresqlServer(directory, directory / "secrets" / "postgres.pgpass")
        _await_ready(server, process, log)
        for role in ROLES[1:]:
            server.ensure_role(role, PASSWORD)
        yield server
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(DEADLINE_S)
        shutil.rmtree(directory)


@pytest.fixture
def database(ledger_server: PostgresqlServer) -> Iterator[LedgerDatabase]:
    ledger_server.ensure_database("ledger", "ledger_owner", {"ledger_writer": "USAGE"})
    secrets = ledger_server.passfile.parent
    yield LedgerDatabase(ledger_server.socket_dir, secrets)
    LedgerDatabase(ledger_server.socket_dir, secrets, "postgres").execute(
        "postgres", "DROP DATABASE ledger WITH (FORCE)"
    )


@pytest.fixture
def ledger(database: LedgerDatabase) -> Ledger:
    Ledger(database.url("ledger_owner")).migrate()
    return Ledger(database.url("ledger_writer"))
