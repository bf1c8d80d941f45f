"""Supervisor (supervisord): its configuration, its start, and its XML-RPC interface.

It is spoken to over its unix socket; nothing listens on a port. No program starts by itself: who
starts supervisord starts them in an order of its own. Reference: supervisord.org, "Configuration
File" and "XML-RPC API Documentation".
"""

import http.client
import os
import shlex
import socket
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resources.errors import ResourceError

RUNNING = "RUNNING"
STARTING = "STARTING"
STOPPED = "STOPPED"
_ALIVE = frozenset({RUNNING, STARTING, "STOPPING"})
_START_S = 20.0
_POLL_S = 0.05
_NOT_RUNNING = 70
_ALREADY_STARTED = 60
_BAD_NAME = 10
_LOG_BYTES = "20MB"


class SupervisorError(ResourceError):
    """Supervisord could not be started, or refused."""


class SupervisorUnreachable(SupervisorError):
    """No supervisord answers at the socket."""


@dataclass(frozen=True)
class Program:
    """One process to keep running: it stays in the foreground and logs to its output."""

    name: str
    command: Sequence[str]
    directory: Path
    log: Path
    environment: Mapping[str, str]
    stop_signal: str = "TERM"
    stop_wait_s: int = 10


@dataclass(frozen=True)
class ProgramState:
    """What supervisord says about a program; `since` is a POSIX time."""

    name: str
    state: str
    pid: int
    since: int
    exit_status: int

    @property
    def is_alive(self) -> bool:
        """Tell whether a process of it exists."""
        return self.state in _ALIVE


def _quoted(value: str) -> str:
    return value.replace("%", "%%")


def configuration(socket_file: Path, log: Path, pid_file: Path, programs: Sequence[Program]) -> str:
    """Return the text of supervisord's configuration file."""
    lines = [
        "[supervisord]",
        "nodaemon=true",
        "silent=true",
        "umask=077",
        "minfds=1024",
        f"logfile={_quoted(str(log))}",
        f"logfile_maxbytes={_LOG_BYTES}",
        "logfile_backups=1",
        f"pidfile={_quoted(str(pid_file))}",
        f"directory={_quoted(str(log.parent))}",
        f"childlogdir={_quoted(str(log.parent))}",
        "[unix_http_server]",
        f"file={_quoted(str(socket_file))}",
        "chmod=0700",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
    ]
    for program in programs:
        environment = ",".join(f'{k}="{_quoted(v)}"' for k, v in program.environment.items())
        lines += [
            f"[program:{program.name}]",
            f"command={_quoted(shlex.join(program.command))}",
            f"directory={_quoted(str(program.directory))}",
            f"environment={environment}",
            "autostart=false",
            "autorestart=true",
            "startsecs=2",
            "startretries=3",
            f"stopsignal={program.stop_signal}",
            f"stopwaitsecs={program.stop_wait_s}",
            "stopasgroup=true" if program.stop_signal == "TERM" else "stopasgroup=false",
            "killasgroup=true",
            "redirect_stderr=true",
            f"stdout_logfile={_quoted(str(program.log))}",
            f"stdout_logfile_maxbytes={_LOG_BYTES}",
            "stdout_logfile_backups=1",
        ]
    return "\n".join(lines) + "\n"


def start_supervisord(
    config: Path, socket_file: Path, log: Path, environment: Mapping[str, str]
) -> "Supervisor":
    """Start supervisord in a session of its own and wait until it answers.

    Raises:
        SupervisorError: it ended or stayed silent; the message holds its last words.
    """
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)]
    with log.open("ab") as output, Path(os.devnull).open("rb") as nothing:
        process = subprocess.Popen(
            command,
            stdin=nothing,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=dict(environment),
            cwd=config.parent,
        )
    supervisor = Supervisor(socket_file)
    deadline = time.monotonic() + _START_S
    while True:
        try:
            supervisor.states()
        except SupervisorUnreachable as error:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                process.wait()
                last = "".join(log.read_text(errors="replace").splitlines(keepends=True)[-5:])
                message = f"supervisord did not start: {last.strip() or error}; its log is {log}"
                raise SupervisorError(message) from error
            time.sleep(_POLL_S)
        else:
            return supervisor


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, file: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._file = file

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._file))


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, file: Path, timeout_s: float) -> None:
        super().__init__()
        self._file = file
        self._timeout_s = timeout_s

    def make_connection(self, host: object) -> http.client.HTTPConnection:  # noqa: ARG002
        return _UnixConnection(self._file, self._timeout_s)


@dataclass(frozen=True)
class Supervisor:
    """A running supervisord, reached at its unix socket."""

    socket_file: Path
    timeout_s: float = 5.0

    def _call(self, method: str, *arguments: object) -> Any:  # noqa: ANN401 - XML-RPC has no types
        transport = _UnixTransport(self.socket_file, self.timeout_s)
        proxy = xmlrpc.client.ServerProxy("http://localhost", transport=transport)
        try:
            return getattr(proxy.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            message = f"{self.socket_file}: {method}{arguments}: {fault.faultString}"
            error = SupervisorError(message)
            error.code = fault.faultCode  # type: ignore[attr-defined]
            raise error from fault
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
            message = f"{self.socket_file}: no supervisord answers ({error})"
            raise SupervisorUnreachable(message) from error

    def states(self) -> dict[str, ProgramState]:
        """Return the state of every program."""
        return {
            info["name"]: ProgramState(
                name=info["name"],
                state=info["statename"],
                pid=info["pid"],
                since=info["start"],
                exit_status=info["exitstatus"],
            )
            for info in self._call("getAllProcessInfo")
        }

    def pid(self) -> int:
        """Return supervisord's own process id."""
        return int(self._call("getPID"))

    def start(self, name: str) -> None:
        """Ask for a program to be started; whether it stays up shows in its state."""
        self._tolerating(_ALREADY_STARTED, "startProcess", name, False)

    def stop(self, name: str) -> None:
        """Ask for a program to be stopped, without waiting for it."""
        self._tolerating(_NOT_RUNNING, "stopProcess", name, False)

    def _tolerating(self, code: int, method: str, *arguments: object) -> None:
        try:
            self._call(method, *arguments)
        except SupervisorUnreachable:
            raise
        except SupervisorError as error:
            if getattr(error, "code", None) != code:
                raise

    def wait_stopped(self, name: str, timeout_s: float) -> None:
        """Wait until no process of a program is left.

        Raises:
            SupervisorError: it is still there after `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while (state := self.states().get(name)) is not None and state.is_alive:
            if time.monotonic() > deadline:
                message = f"{name}: still {state.state} after {timeout_s:.0f} s; kill {state.pid}"
                raise SupervisorError(message)
            time.sleep(_POLL_S)

    def reload(self) -> list[str]:
        """Read the configuration file again; stop what changed or went; return what is new."""
        added, changed, removed = self._call("reloadConfig")[0]
        for name in [*changed, *removed]:
            self.stop(name)
            self.wait_stopped(name, 60.0)
            self._call("removeProcessGroup", name)
        for name in [*added, *changed]:
            self._call("addProcessGroup", name)
        return [*added, *changed]

    def shutdown(self) -> None:
        """Ask supervisord to stop everything and end."""
        self._call("shutdown")
