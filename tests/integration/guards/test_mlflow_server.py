"""The real MLflow server: who may speak to it, and where artifacts may lie."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.guards.programs import Server, free_port, running

LOGIN = ("ai-how", "a-password")
# As `main` does it, with a database that needs no server of its own.
PROGRAM = """
import sys
from ai_how.loopback_guard import Login
from ai_how.mlflow_server import StoreAccess, mlflow_application, serve

database, port = sys.argv[1], int(sys.argv[2])
access = StoreAccess(database, "http://127.0.0.1:9", "key", "secret")
serve(mlflow_application(access, Login(*sys.argv[3:]), port), port)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory: Path = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    command = ["-c", PROGRAM, f"sqlite:///{directory}/mlflow.db", str(port), *LOGIN]
    with running(command, {}, directory / "mlflow.log", port, "/health") as server:
        yield server
        assert server.stop() == 0, server.log


def call(server: Server, path: str, body: dict[str, Any], **kwargs: Any) -> httpx.Response:
    kwargs.setdefault("auth", LOGIN)
    url = f"{server.url}/{kwargs.pop('api', 'api')}/2.0/mlflow/{path}"
    return httpx.post(url, json=body, timeout=60, **kwargs)


def test_health_is_open_and_everything_else_needs_the_login(server: Server) -> None:
    assert httpx.get(f"{server.url}/health", timeout=60).status_code == 200
    for auth in (None, ("ai-how", "wrong"), ("other", "a-password")):
        for path in ("/", "/version", "/api/2.0/mlflow/experiments/get?experiment_id=0"):
            assert httpx.get(server.url + path, auth=auth, timeout=60).status_code == 401
    assert httpx.get(f"{server.url}/version", auth=LOGIN, timeout=60).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"host": "evil.example"}, {"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}],
)
def test_a_foreign_page_is_refused_even_with_the_login(
    server: Server, headers: dict[str, str]
) -> None:
    assert call(server, "experiments/search", {}, headers=headers).status_code == 403
    assert httpx.get(f"{server.url}/health", headers=headers, timeout=60).status_code == 403


@pytest.mark.parametrize("api", ["api", "ajax-api"])
@pytest.mark.parametrize("location", ["file:///etc", "/etc", "etc", "ftp://h/x", "S3x://b"])
def test_experiments_keep_artifacts_in_s3_only(server: Server, location: str, api: str) -> None:
    body = {"name": f"{api}-{location}", "artifact_location": location}
    refusal = call(server, "experiments/create", body, api=api)
    assert refusal.status_code == 400, refusal.text
    assert call(
        server, "experiments/create", body | {"artifactLocation": location}, api=api
    ).is_error


def test_an_experiment_without_location_lies_in_our_bucket(server: Server) -> None:
    created = call(server, "experiments/create", {"name": "plain"})
    assert created.status_code == 200, created.text
    body = {"experiment_id": created.json()["experiment_id"]}
    url = f"{server.url}/api/2.0/mlflow/experiments/get"
    found = httpx.get(url, params=body, auth=LOGIN, timeout=60).json()["experiment"]
    assert found["artifact_location"].startswith("s3://mlflow/")
    assert call(
        server, "experiments/create", {"name": "own", "artifact_location": "s3://mlflow/own"}
    ).is_success


def test_versions_come_from_s3_only(server: Server) -> None:
    assert call(server, "registered-models/create", {"name": "digits"}).is_success
    for source in ("file:///etc", "/etc/passwd", "etc", "http://h/x", " s3://b/p"):
        refusal = call(server, "model-versions/create", {"name": "digits", "source": source})
        assert refusal.status_code == 400, f"{source}: {refusal.text}"
    source = "s3://models/models/digits/sha256-00/"
    created = call(server, "model-versions/create", {"name": "digits", "source": source})
    assert created.status_code == 200, created.text
    assert created.json()["model_version"]["source"] == source


@pytest.mark.parametrize(
    "path",
    [
        "/ajax-api/3.0/mlflow/assistant/config",
        "/gateway/mlflow/v1/chat/completions",
        "/api/2.0/mlflow/webhooks",
        "/ajax-api/3.0/jobs/x",
    ],
)
def test_what_acts_on_its_own_is_not_offered(server: Server, path: str) -> None:
    refusal = httpx.get(server.url + path, auth=LOGIN, timeout=60)
    assert refusal.status_code == 403
    assert "not offered here" in refusal.text


def test_artifacts_do_not_pass_through_the_server(server: Server) -> None:
    url = f"{server.url}/api/2.0/mlflow-artifacts/artifacts/x"
    assert httpx.put(url, content=b"x", auth=LOGIN, timeout=60).status_code >= 400
