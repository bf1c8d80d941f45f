"""Dagster's real webserver: what a foreign page cannot do with it."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.guards.programs import Server, free_port, running

QUERY = "{ version }"
ASSETS = "{ assetNodes { assetKey { path } } }"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home: Path = tmp_path_factory.mktemp("dagster")
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    (home / "shown.py").write_text(
        "import dagster as dg\n\n\n@dg.asset\ndef shown() -> None: ...\n\n\n"
        "defs = dg.Definitions([shown])\n"
    )
    workspace = home / "workspace.yaml"
    workspace.write_text(f"load_from:\n  - python_file: {home}/shown.py\n")
    port = free_port()
    command = ["-m", "ai_how.webserver", "--port", str(port), "--workspace", str(workspace)]
    environment = {"DAGSTER_HOME": str(home)}
    with running(command, environment, home / "log", port, "/server_info") as server:
        yield server
        assert server.stop() == 0, server.log


def post(server: Server, headers: dict[str, str], query: str = QUERY) -> httpx.Response:
    url = f"{server.url}/graphql"
    return httpx.post(url, json={"query": query}, headers=headers, timeout=60)


def test_our_own_requests_are_answered(server: Server) -> None:
    own = {"origin": server.url, "sec-fetch-site": "same-origin"}
    for headers in ({}, own):
        reply = post(server, headers, ASSETS)
        assert reply.json()["data"]["assetNodes"] == [{"assetKey": {"path": ["shown"]}}]
    page = httpx.get(server.url, headers={"accept": "text/html"}, timeout=60)
    assert page.status_code == 200
    assert '"telemetryEnabled": false' in page.text or '"telemetryEnabled":false' in page.text


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
    ],
)
def test_a_foreign_page_cannot_post_a_query(server: Server, headers: dict[str, str]) -> None:
    refusal = post(server, headers)
    assert refusal.status_code == 403
    assert "Refused" in refusal.json()["message"]
    plain = headers | {"content-type": "text/plain"}
    url = f"{server.url}/graphql"
    assert httpx.post(url, params={"query": QUERY}, headers=plain, timeout=60).status_code == 403


def test_queries_by_get_are_refused_and_the_query_page_is_not(server: Server) -> None:
    url = f"{server.url}/graphql"
    assert httpx.get(url, params={"query": QUERY}, timeout=60).status_code == 405
    page = httpx.get(url, headers={"accept": "text/html"}, timeout=60)
    assert page.status_code == 200
    assert "<html" in page.text


@pytest.mark.parametrize(
    ("origin", "status"), [("http://evil.example", b"403"), (None, b"101"), ("own", b"101")]
)
def test_a_foreign_page_gets_no_websocket(
    server: Server, origin: str | None, status: bytes
) -> None:
    port = int(server.url.rsplit(":", 1)[1])
    lines = [
        "GET /graphql HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: graphql-ws",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    if origin:
        lines.append(f"Origin: {server.url if origin == 'own' else origin}")
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        assert connection.recv(64).split()[1] == status
