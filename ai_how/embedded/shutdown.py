"""Stopping everything, whatever state it is in: parts, runs, a dead or suspended supervisord.

Supervisord is asked first. Whoever lives on afterwards is found by the mark in its environment, or
by standing in PostgreSQL's data directory, and is ended.
"""

import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil

from ai_how.embedded.layout import MARK, Layout
from ai_how.embedded.parts import NAMES, STORES
from ai_how.embedded.ports import SEAWEEDFS, PortsRefused, remembered_ports
from platform_assets.spec.applied import FILE_NAME
from platform_assets.spec.errors import AiHowError
from resources import seaweedfs
from resources.process import end_processes, marked_processes, processes_in
from resources.supervisor import Supervisor, SupervisorError

_CANCEL_S = 15.0
_STOP_S = 30.0
_GRACE_S = 5.0
_POSTGRESQL_GRACE_S = 15.0
_POLL_S = 0.05


class StillUp(AiHowError):
    """The platform must be down for this, and is not."""


class PurgeRefused(AiHowError):
    """The name does not confirm what is to be removed."""


def cancel_runs(layout: Layout) -> int:
    """Cancel the runs that are executing, and wait a little for them; return how many there were.

    Queued runs stay queued. Whatever goes wrong here, the processes are ended afterwards.
    """
    import dagster as dg
    from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES

    from sensors.failures import mark_interrupted

    in_progress = dg.RunsFilter(
        statuses=[s for s in IN_PROGRESS_RUN_STATUSES if s is not dg.DagsterRunStatus.QUEUED]
    )
    with dg.DagsterInstance.from_config(str(layout.dagster_home)) as instance:
        runs = instance.get_runs(in_progress)
        for run in runs:
            if run.status is not dg.DagsterRunStatus.CANCELING:
                mark_interrupted(instance, run.run_id)
                instance.run_launcher.terminate(run.run_id)
        deadline = time.monotonic() + _CANCEL_S
        while instance.get_runs(in_progress) and time.monotonic() < deadline:
            time.sleep(4 * _POLL_S)
    return len(runs)


def take_down(layout: Layout) -> list[str]:
    """Cancel runs and stop everything; return what could not be done in good order."""
    problems: list[str] = []
    supervisor = Supervisor(layout.supervisor_socket)
    try:
        states = supervisor.states()
        if states["daemon"].is_alive:
            # No new run is launched while the others are being cancelled.
            supervisor.stop("daemon")
            supervisor.wait_stopped("daemon", _STOP_S)
        if states["postgresql"].is_alive and states["code-server"].is_alive:
            try:
                cancel_runs(layout)
            except Exception as error:  # noqa: BLE001 - what is wrong with it, it must end
                problems.append(f"runs could not be cancelled: {error}")
        # Those who write are gone before the stores go.
        for names in (reversed(NAMES[len(STORES) :]), STORES):
            stopping = list(names)
            for name in stopping:
                supervisor.stop(name)
            for name in stopping:
                supervisor.wait_stopped(name, _STOP_S)
        supervisor.shutdown()
        _wait_gone(layout)
    except (SupervisorError, KeyError) as error:
        if marked_processes(MARK, str(layout.state)):
            problems.append(f"supervisord does not do its work: {error}")
    stop_everything(layout)
    return problems


def _wait_gone(layout: Layout) -> None:
    deadline = time.monotonic() + _STOP_S
    while marked_processes(MARK, str(layout.state)) and time.monotonic() < deadline:
        time.sleep(_POLL_S)


def stop_everything(layout: Layout) -> None:
    """End every process of this platform and remove its sockets; nothing is asked of anybody.

    Raises:
        WouldNotEnd: a process survived being killed.
    """
    state = str(layout.state)
    # Supervisord first, or it starts anew what we end.
    supervisord = [p for p in marked_processes(MARK, state) if _is_supervisord(p)]
    end_processes(supervisord, signal.SIGKILL, 0.0)
    postgres = processes_in(layout.cluster)
    others = [p for p in marked_processes(MARK, state) if p not in postgres]
    end_processes(others, signal.SIGTERM, _GRACE_S)
    postmaster = [p for p in postgres if _is_first(p, postgres)]
    end_processes(postmaster, signal.SIGINT, _POSTGRESQL_GRACE_S)
    # Whoever was started meanwhile, and what a killed postmaster left.
    end_processes(
        [*marked_processes(MARK, state), *processes_in(layout.cluster)], signal.SIGKILL, 0.0
    )
    # It names a process that is gone. PostgreSQL would take whoever has that number now for itself.
    (layout.cluster / "postmaster.pid").unlink(missing_ok=True)
    shutil.rmtree(layout.sockets, ignore_errors=True)
    try:
        ports = remembered_ports(layout) or {}
    except PortsRefused:
        ports = {}
    own = {name: ports[key] for key, name in SEAWEEDFS.items() if key in ports}
    for stray in seaweedfs.stray_sockets(own):
        with suppress(OSError):
            stray.unlink(missing_ok=True)


def _is_supervisord(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return "supervisor.supervisord" in process.cmdline()
    return False


def _is_first(process: psutil.Process, among: list[psutil.Process]) -> bool:
    with suppress(psutil.Error):
        return process.ppid() not in {other.pid for other in among}
    return False


def purge(layout: Layout, name: str, confirmed: str) -> list[Path]:
    """Remove everything that the platform keeps; return what was removed.

    Raises:
        PurgeRefused: `confirmed` is not the estate's name.
        StillUp: a process of the platform lives.
    """
    if confirmed != name:
        message = (
            f"purge: expected --confirm {name}, found --confirm {confirmed}; this removes all "
            f"data under {layout.state}"
        )
        raise PurgeRefused(message)
    alive = [*marked_processes(MARK, str(layout.state)), *processes_in(layout.cluster)]
    if alive:
        message = (
            f"purge: the platform of {layout.state} runs ({len(alive)} processes); "
            "`ai-how down` first"
        )
        raise StillUp(message)
    removed = []
    for path in (
        layout.data,
        layout.secrets,
        layout.logs,
        layout.sensors,
        layout.launches,
        layout.dagster_home,
        layout.state / "sensors",
        layout.supervisor_configuration,
        layout.ports,
        layout.state / FILE_NAME,
        layout.sockets,
    ):
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
        else:
            continue
        removed.append(path)
    return removed
