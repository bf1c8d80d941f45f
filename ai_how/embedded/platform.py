"""The embedded platform as a whole: bring it up, whatever state it is in. See `shutdown.py` too.

`bring_up` converges: what runs as it should is left alone, what changed is started anew, what is
missing is started. It never leaves half a platform behind that it started itself.
"""

import fcntl
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ai_how.embedded.layout import MARK, Layout
from ai_how.embedded.parts import NAMES, Part, all_parts, log_tail
from ai_how.embedded.ports import check_free
from ai_how.embedded.preparation import Prepared, prepare
from ai_how.embedded.readiness import NotReady
from ai_how.embedded.shutdown import stop_everything
from ai_how.embedded.stores import ensure_buckets, ensure_databases
from ai_how.estate_file import estate_file
from ai_how.reload import ensure_loaded
from ai_how.runs import Dagster
from platform_assets.spec.errors import AiHowError
from resources.supervisor import (
    RUNNING,
    STARTING,
    ProgramState,
    Supervisor,
    SupervisorUnreachable,
    configuration,
    start_supervisord,
)

_LOCK_S = 300.0
_READY_S = 180.0
_POLL_S = 0.1
# What a part inherits from whoever called `up`; the rest, and every secret in it, stays outside.
_INHERITED = ("HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "TZ", "USER", "LD_LIBRARY_PATH")
_INHERITED_PREFIXES = ("LC_", "CUDA_", "NVIDIA_", "OMP_", "SSL_CERT_")
# What a store must hold before others may use it.
_FILLING: dict[str, tuple[str, Callable[[Prepared], None]]] = {
    "postgresql": ("roles, databases, ledger", ensure_databases),
    "seaweedfs": ("buckets, conditional writes", ensure_buckets),
}


class AtWork(AiHowError):
    """Another `ai-how up`, `down` or `purge` does not come to an end."""


class PartDied(AiHowError):
    """A part ended while it was being started."""


class PartNotReady(AiHowError):
    """A part runs and does not do its work."""


@contextmanager
def alone(layout: Layout) -> Iterator[None]:
    """Hold the lock of this platform: one `up`, `down` or `purge` at a time.

    Raises:
        AtWork: another one has held it for minutes.
    """
    layout.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _LOCK_S
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    message = (
                        f"{layout.lock}: another `ai-how up` or `down` has been at work for "
                        f"{_LOCK_S:.0f} s; see what it does (`fuser {layout.lock}`) and end it"
                    )
                    raise AtWork(message) from None
                time.sleep(_POLL_S)
            else:
                break
        yield
    finally:
        os.close(descriptor)


def inherited_environment() -> dict[str, str]:
    """Return what the parts take over of our environment."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }
    return {"PATH": os.defpath, **kept}


@dataclass
class Start:
    """One `up` at work: which parts it has to see through, and what it tells about them."""

    prepared: Prepared
    parts: list[Part]
    supervisor: Supervisor
    tell: Callable[[str, str], None]
    ready: set[str] = field(default_factory=set)
    asked: dict[str, float] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)

    def see_through(self) -> None:
        """Start every part as soon as what it needs is ready; return when all are.

        Raises:
            PartDied: one ended.
            PartNotReady: one does not become ready in time.
        """
        while len(self.ready) < len(self.parts):
            states = self.supervisor.states()
            for part in self.parts:
                if part.name in self.ready:
                    continue
                if part.name in self.asked:
                    self._judge(part, states[part.name])
                elif self.ready.issuperset(part.needs):
                    self._ask(part, states[part.name])
            time.sleep(_POLL_S)

    def _until_taken(self, make: Callable[[], None], name: str) -> None:
        """Do `make`, again while the store says that it is not ready."""
        deadline = time.monotonic() + _READY_S / 3
        while True:
            try:
                make()
            except NotReady as error:
                if time.monotonic() > deadline:
                    raise self._not_ready(name, error) from error
                time.sleep(_POLL_S)
            else:
                return

    def _ask(self, part: Part, state: ProgramState) -> None:
        if not state.is_alive:
            check_free(part.name, part.ports, self.prepared.layout)
            self.supervisor.start(part.name)
            self.tell(part.name, "starting")
        self.asked[part.name] = time.monotonic()

    def _judge(self, part: Part, state: ProgramState) -> None:
        pid = self.pids.setdefault(part.name, state.pid) or state.pid
        self.pids[part.name] = pid
        if state.state not in (RUNNING, STARTING) or (pid and state.pid != pid):
            log = self.prepared.layout.log(part.name)
            message = (
                f"{part.name}: it ended while it was being started (exit status "
                f"{state.exit_status}); its log is {log} and ends so:\n{log_tail(log)}"
            )
            raise PartDied(message)
        try:
            part.probe(state.since)
        except NotReady as error:
            if time.monotonic() - self.asked[part.name] > _READY_S:
                raise self._not_ready(part.name, error) from error
        else:
            if part.name in _FILLING:
                what, fill = _FILLING[part.name]
                self.tell(part.name, what)
                self._until_taken(lambda: fill(self.prepared), part.name)
            self.ready.add(part.name)
            self.tell(part.name, "ready")

    def _not_ready(self, name: str, error: NotReady) -> PartNotReady:
        log = self.prepared.layout.log(name)
        message = (
            f"{name}: it runs, but does not do its work: {error}; its log is {log} and ends so:\n"
            f"{log_tail(log)}"
        )
        return PartNotReady(message)


def bring_up(
    state: Path, tell: Callable[[str, str], None], only: Collection[str] = NAMES
) -> Prepared:
    """Bring the platform of `state` up and return when every part is ready.

    With `only`, no other part is started; what such a part needs must be among them. Where another
    estate is applied thereby, a platform that runs reads it anew; no part ends for it.
    """
    layout = Layout(state)
    with alone(layout):
        running = running_supervisor(layout)
        try:
            return _converge(state, running, tell, only)
        except BaseException:
            if running is None:
                stop_everything(layout)
            raise


def _converge(
    state: Path,
    running: Supervisor | None,
    tell: Callable[[str, str], None],
    only: Collection[str],
) -> Prepared:
    prepared = prepare(state, estate_file())
    layout = prepared.layout
    parts = all_parts(prepared.applied, prepared.ports, prepared.run_as)
    if running is None:
        # What a killed supervisord or a power cut left would stand in the way.
        stop_everything(layout)
        layout.make_sockets()
        _give_sockets(prepared)
        for part in parts:
            check_free(part.name, part.ports, layout)
    write_supervisor_configuration(layout, parts)
    if running is not None:
        running.reload()
    supervisor = running or start_supervisord(
        layout.supervisor_configuration,
        layout.supervisor_socket,
        layout.log("supervisord"),
        inherited_environment() | {MARK: str(state)},
    )
    wanted = [part for part in parts if part.name in only]
    Start(prepared, wanted, supervisor, tell).see_through()
    if "webserver" in only:
        _load(prepared, tell)
    return prepared


def apply_estate(state: Path, file: Path, tell: Callable[[str, str], None]) -> Prepared:
    """Apply the estate that `file` declares; a platform that runs reads it anew.

    Raises:
        EstateUnreadable, EstateRefused: the file is missing or wrong; nothing was touched.
    """
    layout = Layout(state)
    with alone(layout):
        prepared = prepare(state, file)
        if running_supervisor(layout) is not None:
            _load(prepared, tell)
    return prepared


def _load(prepared: Prepared, tell: Callable[[str, str], None]) -> None:
    if ensure_loaded(Dagster(prepared.applied.addresses.dagster_url), prepared.applied):
        tell("code-server", "another estate")


def _give_sockets(prepared: Prepared) -> None:
    """Give PostgreSQL's socket directory, made anew, to the user that it runs as."""
    if os.getuid() == 0:
        prepared.layout.sockets.chmod(0o711)
        if prepared.run_as.uid is not None:
            uid, gid = prepared.run_as.uid, prepared.run_as.gid or 0
            os.chown(prepared.layout.postgresql_sockets, uid, gid)


def write_supervisor_configuration(layout: Layout, parts: list[Part]) -> None:
    """Write supervisord's configuration and what each part is started with."""
    text = configuration(
        layout.supervisor_socket,
        layout.log("supervisord"),
        layout.sockets / "supervisord.pid",
        [part.program(layout) for part in parts],
    )
    temporary = layout.supervisor_configuration.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(layout.supervisor_configuration)


def running_supervisor(layout: Layout) -> Supervisor | None:
    """Return the supervisord of this platform if it answers."""
    supervisor = Supervisor(layout.supervisor_socket)
    try:
        supervisor.states()
    except SupervisorUnreachable:
        return None
    return supervisor


def part_states(layout: Layout) -> Mapping[str, ProgramState]:
    """Return what supervisord says about each part; nothing when there is none."""
    supervisor = running_supervisor(layout)
    return supervisor.states() if supervisor else {}
