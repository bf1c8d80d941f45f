"""Processes and listening sockets of this machine: finding those that bear a mark, ending them.

A mark is a variable in a process's environment, which its children inherit. PostgreSQL overwrites
its own environment to show what it is doing, so a process is also found by its working directory.
References: proc(5), credentials(7).
"""

import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from resources.errors import ResourceError

LOOPBACK = "127.0.0.1"
_KILL_WAIT_S = 10.0


class WouldNotEnd(ResourceError):
    """Processes live on although they were killed."""


def marked_processes(variable: str, value: str) -> list[psutil.Process]:
    """Return the living processes that were started with `variable` set to `value`."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(variable) == value and _lives(process):
                found.append(process)
    return found


def processes_in(directory: Path) -> list[psutil.Process]:
    """Return the living processes whose working directory is `directory` or below it."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if Path(process.cwd()).is_relative_to(directory) and _lives(process):
                found.append(process)
    return found


def _lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def end_processes(processes: Iterable[psutil.Process], signal: int, grace_s: float) -> None:
    """Send `signal`, waking those that are suspended; kill those that stay after `grace_s`.

    Raises:
        WouldNotEnd: some live on all the same.
    """
    waiting = list(processes)
    for process in waiting:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal)
            process.resume()
    _, waiting = psutil.wait_procs(waiting, timeout=grace_s)
    for process in waiting:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    _, waiting = psutil.wait_procs(waiting, timeout=_KILL_WAIT_S)
    left = [process for process in waiting if process.is_running() and _lives(process)]
    if left:
        listed = ", ".join(f"{process.pid} ({process.name()})" for process in left)
        message = f"processes {listed}: were killed and live on; look at them with `ps`"
        raise WouldNotEnd(message)


def port_is_free(port: int) -> bool:
    """Tell whether a server could listen on 127.0.0.1 at `port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((LOOPBACK, port))
            attempt.listen(1)
        except OSError:
            return False
    return True


def listener(port: int) -> str:
    """Say which process listens at `port`, as well as this user may know it."""
    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections(kind="tcp"):
            address = connection.laddr
            if (
                address
                and address.port == port
                and connection.status == psutil.CONN_LISTEN
                and connection.pid
            ):
                process = psutil.Process(connection.pid)
                return f"process {process.pid} ({' '.join(process.cmdline())[:120]})"
    return "a process of another user"
