"""The guarded servers, started directly as programs and stopped by SIGTERM."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from platform_assets.spec.applied import AppliedEstate, write_applied
from tests.applied_estates import applied_estate

DEADLINE_S = 120


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def applied_in(state: Path) -> AppliedEstate:
    applied = applied_estate(state)
    write_applied(applied)
    return applied


class Server:
    """A running program; `log` is what it printed so far."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path, url: str) -> None:
        self.process = process
        self.log_file = log
        self.url = url

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)


@contextmanager
def running(
    command: list[str], environment: dict[str, str], log: Path, port: int, ready: str
) -> Iterator[Server]:
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, *command],
            env={**os.environ, **environment},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(process, log, f"http://127.0.0.1:{port}")
    try:
        wait_until_ready(server, ready)
        yield server
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(DEADLINE_S)


def wait_until_ready(server: Server, path: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        assert server.process.poll() is None, server.log
        try:
            if httpx.get(server.url + path, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"not ready within {DEADLINE_S} s:\n{server.log}")
