"""The parts of the embedded platform: how each is started, where it answers, when it is ready.

The order is the order of their start; it is turned round for stopping. What "ready" means stands in
`readiness.py`; who starts and watches them in `platform.py`.
"""

import hashlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ai_how.embedded import readiness
from ai_how.embedded.launch import Launch
from ai_how.embedded.layout import MARK, Layout
from ai_how.embedded.ports import SEAWEEDFS
from platform_assets.spec.applied import Addresses, AppliedEstate
from resources import postgresql, seaweedfs
from resources.postgresql import PostgresqlServer, RunAs
from resources.process import LOOPBACK
from resources.supervisor import Program

PYTHON = sys.executable
STORES = ("postgresql", "seaweedfs")
NAMES = (*STORES, "mlflow", "model-server", "code-server", "webserver", "daemon")


@dataclass(frozen=True)
class Part:
    """One supervised process; `needs` are parts that must be ready before it starts."""

    name: str
    launch: Launch
    where: str
    # Returns when the part does its work; raises NotReady otherwise. The POSIX time is its start.
    probe: Callable[[float], None]
    ports: Mapping[str, int]
    needs: tuple[str, ...] = ()
    stop_signal: str = "TERM"
    stop_wait_s: int = 10

    def program(self, layout: Layout) -> Program:
        """Return the part as supervisord keeps it running, after writing what it starts with."""
        file = layout.launches / f"{self.name}.json"
        text = self.launch.to_json()
        temporary = file.with_suffix(".tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(file)
        return Program(
            name=self.name,
            command=[PYTHON, "-m", "ai_how.embedded.launch", str(file)],
            directory=layout.state,
            log=layout.log(self.name),
            # Another launch is another program: supervisord then starts it anew.
            environment={"AI_HOW_LAUNCH": hashlib.sha256(text.encode()).hexdigest()[:16]},
            stop_signal=self.stop_signal,
            stop_wait_s=self.stop_wait_s,
        )


def addresses(layout: Layout, ports: Mapping[str, int]) -> Addresses:
    """Return where the parts answer."""
    return Addresses(
        postgresql_socket_dir=layout.postgresql_sockets,
        postgresql_port=postgresql.PORT,
        s3_url=f"http://{LOOPBACK}:{ports['seaweedfs-s3']}",
        mlflow_url=f"http://{LOOPBACK}:{ports['mlflow']}",
        model_server_url=f"http://{LOOPBACK}:{ports['model-server']}",
        dagster_url=f"http://{LOOPBACK}:{ports['webserver']}",
    )


def postgresql_part(layout: Layout, run_as: RunAs) -> Part:
    """PostgreSQL, as an unprivileged user where we are root."""
    server = postgresql.server_command(layout.cluster, layout.postgresql_sockets)
    asked = PostgresqlServer(layout.postgresql_sockets, layout.secrets / "postgres.pgpass")
    prefix = [str(part) for part in run_as.prefix]
    if prefix:
        prefix[0] = readiness.program(prefix[0])
    return Part(
        name="postgresql",
        launch=Launch(
            command=[*prefix, *server],
            directory=str(layout.state),
            environment={"PGDATA": str(layout.cluster)},
            uid=run_as.uid,
            gid=run_as.gid,
        ),
        where=f"{layout.postgresql_sockets}/.s.PGSQL.{postgresql.PORT}",
        probe=lambda _started: readiness.postgresql(asked),
        ports={},
        # Fast shutdown; TERM would wait for every client.
        stop_signal="INT",
        stop_wait_s=20,
    )


def seaweedfs_part(layout: Layout, ports: Mapping[str, int]) -> Part:
    """SeaweedFS: all its servers in one process."""
    own = {name: ports[remembered] for remembered, name in SEAWEEDFS.items()}
    configuration = layout.seaweedfs_configuration
    url = f"http://{LOOPBACK}:{own['s3']}"
    return Part(
        name="seaweedfs",
        launch=Launch(
            command=seaweedfs.server_command(layout.seaweedfs, configuration, layout.sockets, own),
            directory=str(configuration),
            environment={"HOME": str(configuration)},
        ),
        where=url,
        probe=lambda _started: readiness.seaweedfs(url),
        ports={name: ports[name] for name in SEAWEEDFS},
        # Its filer waits 15 s for subscribers in its own process; a kill loses nothing, since what
        # was acknowledged is with the kernel by then, and it starts from what a power cut leaves.
        stop_wait_s=2,
    )


def _module_part(name: str, port: int, module: str, options: list[str], path: str) -> Part:
    url = f"http://{LOOPBACK}:{port}"
    return Part(
        name=name,
        launch=Launch(command=[PYTHON, "-m", module, *options], directory="/"),
        where=url,
        probe=lambda _started: readiness.http(url + path),
        ports={name: port},
    )


def mlflow_part(ports: Mapping[str, int]) -> Part:
    """MLflow's tracking server and registry."""
    port = ports["mlflow"]
    part = _module_part("mlflow", port, "ai_how.mlflow_server", ["--port", str(port)], "/health")
    return replace(part, needs=STORES)


def model_server_part(ports: Mapping[str, int]) -> Part:
    """MLServer; it reads the disk alone."""
    port = ports["model-server"]
    options = ["--http-port", str(port)]
    return _module_part("model-server", port, "ai_how.model_server", options, "/v2/health/ready")


def dagster_parts(layout: Layout, ports: Mapping[str, int]) -> list[Part]:
    """Dagster's code server, webserver and daemon, and what must be done before they start."""
    free_dead_runs = [PYTHON, "-m", "sensors.dead_runs"]
    socket, workspace = str(layout.code_server_socket), str(layout.workspace)
    port = ports["webserver"]
    code_server = Part(
        name="code-server",
        launch=Launch(
            command=[
                *[PYTHON, "-m", "dagster", "code-server", "start"],
                *["-m", "ai_how.definitions", "-s", socket, "--location-name", "platform"],
                "--use-python-environment-entry-point",
            ],
            directory="/",
            before=[["/bin/rm", "-f", socket], free_dead_runs],
        ),
        where=socket,
        probe=lambda _started: readiness.code_server(layout.code_server_socket),
        ports={},
        needs=STORES,
    )
    webserver = _module_part(
        "webserver",
        port,
        "ai_how.webserver",
        ["--port", str(port), "--workspace", workspace],
        "/server_info",
    )
    daemon = Part(
        name="daemon",
        launch=Launch(
            command=[PYTHON, "-m", "dagster._daemon", "run", "-w", workspace],
            directory="/",
            before=[free_dead_runs],
        ),
        where="",
        probe=lambda started: readiness.daemon(layout.dagster_home, started),
        ports={},
        needs=(*STORES, "code-server"),
    )
    return [code_server, replace(webserver, needs=(*STORES, "code-server")), daemon]


def all_parts(applied: AppliedEstate, ports: Mapping[str, int], run_as: RunAs) -> list[Part]:
    """Return every part in the order of their start, each with the environment all of them have."""
    layout = Layout(applied.state)
    parts = [
        postgresql_part(layout, run_as),
        seaweedfs_part(layout, ports),
        mlflow_part(ports),
        model_server_part(ports),
        *dagster_parts(layout, ports),
    ]
    shared = {MARK: str(layout.state), "TMPDIR": str(layout.temporary), "PYTHONUNBUFFERED": "1"}
    ours = {"AI_HOW_STATE": str(layout.state), "DO_NOT_TRACK": "true"}
    dagster = {
        "DAGSTER_HOME": str(layout.dagster_home),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
    }
    finished = []
    for part in parts:
        environment = dict(shared)
        if part.name not in STORES:
            environment |= ours
        if part.name in ("code-server", "webserver", "daemon"):
            environment |= dagster
        environment |= part.launch.environment
        finished.append(replace(part, launch=replace(part.launch, environment=environment)))
    return finished


def log_tail(file: Path, lines: int = 12) -> str:
    """Return the last lines of a log, for a message."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return "(it logged nothing)"
    return "\n".join(f"  | {line}" for line in text.splitlines()[-lines:]) or "(it logged nothing)"
