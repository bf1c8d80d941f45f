"""The servers of one lab: started into its network and control group, found again by anybody.

What was started stands in the lab's run directory (command, process id, start time), so that a
later command or another process can look at a server, stop it and start it again.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from tests.lab.commands import LabFailed
from tests.lab.control_groups import servers_group
from tests.lab.network import enter_command
from tests.lab.place import Place

END_S = 40.0  # an API server drains for up to 30 s
LOG_END = 3000


@dataclass(frozen=True)
class Server:
    """One started process, and how to start it again."""

    name: str
    command: Sequence[str]
    directory: str
    environment: Mapping[str, str] = field(default_factory=dict)
    inside: bool = True  # of the lab's network; all belong to its control group
    pid: int = 0
    started: float = 0.0

    @property
    def process(self) -> psutil.Process | None:
        """The living process; none when it ended, though its id may be another's now."""
        try:
            found = psutil.Process(self.pid)
            if found.create_time() == self.started and found.status() != psutil.STATUS_ZOMBIE:
                return found
        except psutil.NoSuchProcess:
            pass
        return None


@dataclass(frozen=True)
class Servers:
    """The servers of the lab at `place`, whose logs go to `logs`."""

    place: Place
    logs: Path

    @property
    def prefix(self) -> list[str]:
        """What goes before a command so that its process belongs to the lab from its first step."""
        return self._prefix(inside=True)

    def _prefix(self, *, inside: bool) -> list[str]:
        group = servers_group(self.place) / "cgroup.procs"
        enter = " ".join(enter_command(self.place)) if inside else ""
        return ["/bin/sh", "-c", f'echo $$ >"{group}" && exec {enter} "$@"', "lab"]

    def start(
        self,
        name: str,
        command: Sequence[object],
        *,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        inside: bool = True,
    ) -> None:
        """Start a server as part of the lab, `inside` its network or beside it.

        Raises:
            LabFailed: a server of this name lives.
        """
        words = [str(word) for word in command]
        place = str(directory or self.logs.parent)
        self._launch(Server(name, words, place, environment or {}, inside=inside))

    def adopt(self, name: str, process: "subprocess.Popen[bytes]", directory: Path) -> None:
        """Take a process for the lab's own that was started with `prefix` elsewhere.

        Its log is the file of its name in `directory`.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        self.log(name).hardlink_to(directory / f"{name}.log")
        words = [str(word) for word in process.args]  # type: ignore[union-attr]
        self._record(Server(name, words[len(self.prefix) :], str(directory), pid=process.pid))

    def restart(self, name: str, stop_signal: int = signal.SIGTERM) -> None:
        """Stop a server, wait until it is gone, and start it as it was started before."""
        self.stop(name, stop_signal)
        self._launch(self._server(name))

    def stop(self, name: str, stop_signal: int = signal.SIGTERM) -> None:
        """End a server and wait until it is gone; one that is gone already is no error.

        Raises:
            LabFailed: it lives on after a signal that it may refuse.
        """
        process = self._server(name).process
        if process is None:
            return
        process.send_signal(stop_signal)
        try:
            process.wait(END_S)
        except psutil.TimeoutExpired as error:
            message = f"{name} (process {process.pid}): lives on {END_S:g} s after a signal"
            raise LabFailed(message) from error

    def all(self) -> list[Server]:
        """Return every server that was started, in the order of their names."""
        return [self._read(file) for file in sorted(self._records.glob("*.json"))]

    def living(self) -> dict[str, int]:
        """Return the process ids of the servers that live."""
        return {server.name: server.pid for server in self.all() if server.process}

    def fail_if_ended(self, *names: str) -> None:
        """Raise with the end of its log when one of these servers is gone.

        Raises:
            LabFailed: a server is gone.
        """
        for name in names:
            if self._server(name).process is None:
                message = f"{name} ended; the end of {self.log(name)}:\n{self.log_end(name)}"
                raise LabFailed(message)

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def log_end(self, name: str) -> str:
        with suppress(FileNotFoundError):
            return self.log(name).read_text(errors="replace")[-LOG_END:]
        return "(no log)"

    @property
    def _records(self) -> Path:
        return self.place.run / "servers"

    def _launch(self, server: Server) -> None:
        if (self._records / f"{server.name}.json").exists():
            living = self._server(server.name).process
            if living is not None:
                message = f"{server.name}: lives already as process {living.pid}"
                raise LabFailed(message)
        self.logs.mkdir(parents=True, exist_ok=True)
        with self.log(server.name).open("ab") as log:
            started = subprocess.Popen(
                [*self._prefix(inside=server.inside), *server.command],
                cwd=server.directory,
                env=os.environ | dict(server.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._record(Server(**asdict(server) | {"pid": started.pid}))

    def _record(self, server: Server) -> None:
        with suppress(psutil.NoSuchProcess):
            started = psutil.Process(server.pid).create_time()
            server = Server(**asdict(server) | {"started": started})
        self._records.mkdir(exist_ok=True)
        unfinished = self._records / f".{server.name}"
        unfinished.write_text(json.dumps(asdict(server)))
        unfinished.replace(self._records / f"{server.name}.json")

    def _server(self, name: str) -> Server:
        file = self._records / f"{name}.json"
        if not file.exists():
            known = ", ".join(server.name for server in self.all())
            message = f"{name}: no server of this lab; it has {known}"
            raise LabFailed(message)
        return self._read(file)

    @staticmethod
    def _read(file: Path) -> Server:
        return Server(**json.loads(file.read_text()))


def wait_until(
    servers: Servers, names: Sequence[str], done: Callable[[], str], *, what: str, limit_s: float
) -> None:
    """Ask `done` until it has no more objection, as long as these servers live.

    Raises:
        LabFailed: a server ended, or the objection stays; it is shown.
    """
    deadline = time.monotonic() + limit_s
    while objection := done():
        servers.fail_if_ended(*names)
        if time.monotonic() > deadline:
            ends = "\n".join(f"end of {servers.log(n)}:\n{servers.log_end(n)}" for n in names)
            message = f"{what}: not within {limit_s:g} s: {objection}\n{ends}"
            raise LabFailed(message)
        time.sleep(0.05)
