"""The real parts of a delivery, started directly: an object store as the publisher sees it, MLflow."""

import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from resources import seaweedfs
from resources.mlflow import Mlflow
from resources.object_store import ObjectStore, StoreUnavailable
from tests.integration.guards.programs import free_port, running
from tests.integration.serving.conftest import LOGIN, MLFLOW

DEADLINE_S = 120
ACTIONS = {
    "admin": ["Admin"],
    "publisher": [f"{verb}:models/models/*" for verb in ("Read", "Write", "List", "Tagging")],
}


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    directory = tmp_path_factory.mktemp("seaweedfs")
    identities = [
        seaweedfs.Identity(name, name, secrets.token_hex(16), actions)
        for name, actions in ACTIONS.items()
    ]
    for identity in identities:
        keys = {"access_key": identity.access_key, "secret_key": identity.secret_key}
        (directory / f"s3-{identity.name}.json").write_text(json.dumps(keys))
    data = directory / "data"
    data.mkdir()
    seaweedfs.write_configuration(directory, identities)
    ports = {name: free_port() for name in seaweedfs.PORTS}
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            seaweedfs.server_command(data, directory, directory, ports),
            cwd=directory,
            env=os.environ | {"HOME": str(directory)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{ports['s3']}"
        admin = ObjectStore(url, "models", directory / "s3-admin.json")
        _await_ready(admin, process, directory / "log")
        yield replace(admin, credentials_file=directory / "s3-publisher.json")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(DEADLINE_S)
        for stray in seaweedfs.stray_sockets(ports):
            stray.unlink(missing_ok=True)


def _await_ready(admin: ObjectStore, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            admin.ensure_bucket()
            admin.put("ready", b"ready")
            admin.delete("ready")
        except StoreUnavailable:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        else:
            return


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    directory = tmp_path_factory.mktemp("mlflow")
    credentials = directory / "credentials.ini"
    credentials.write_text(
        f"[mlflow]\nmlflow_tracking_username = {LOGIN[0]}\nmlflow_tracking_password = {LOGIN[1]}\n"
    )
    port = free_port()
    command = ["-c", MLFLOW, f"sqlite:///{directory}/mlflow.db", str(port), *LOGIN]
    with running(command, {}, directory / "mlflow.log", port, "/health") as server:
        yield Mlflow(server.url, credentials)
