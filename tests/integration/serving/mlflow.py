"""A real MLflow server behind our guard, with a database of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resources.mlflow import Mlflow
from tests.integration.guards.programs import free_port, running

LOGIN = ("ai-how", "a-password")
MLFLOW = """
import sys
from ai_how.loopback_guard import Login
from ai_how.mlflow_server import StoreAccess, mlflow_application, serve

database, port = sys.argv[1], int(sys.argv[2])
access = StoreAccess(database, "http://127.0.0.1:9", "key", "secret")
serve(mlflow_application(access, Login(*sys.argv[3:]), port), port)
"""


@contextmanager
def real_mlflow(directory: Path) -> Iterator[Mlflow]:
    credentials = directory / "credentials.ini"
    credentials.write_text(
        f"[mlflow]\nmlflow_tracking_username = {LOGIN[0]}\nmlflow_tracking_password = {LOGIN[1]}\n"
    )
    port = free_port()
    command = ["-c", MLFLOW, f"sqlite:///{directory}/mlflow.db", str(port), *LOGIN]
    with running(command, {}, directory / "mlflow.log", port, "/health") as server:
        yield Mlflow(server.url, credentials)
