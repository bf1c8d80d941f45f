"""Who reaches whom: pods the stores, this machine the pods, both a Service."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from resources.object_store import ObjectStore
from resources.s3_errors import StoreRefused
from tests.lab.commands import LabFailed, run
from tests.lab.lab import Lab
from tests.lab.test_pods import TOLERATION, MakePod, make_pod, status, until  # noqa: F401

CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)"


@pytest.fixture
def pod_network(lab: Lab, make_pod: MakePod) -> list[str]:  # noqa: F811
    """Return what runs a command in the network of a running pod."""
    name = "reaching"
    make_pod(name, tolerations=[TOLERATION])
    until(lambda: status(lab, name)["phase"] == "Running")
    container = status(lab, name)["containerStatuses"][0]["containerID"].removeprefix(
        "containerd://"
    )
    [pid] = [
        process.read_text().split()[0]
        for process in Path("/sys/fs/cgroup/pids", lab.place.name).glob(
            f"**/{container}/cgroup.procs"
        )
    ]
    return ["nsenter", f"--net=/proc/{pid}/ns/net", "--"]


def test_pods_and_this_machine_reach_the_object_store(lab: Lab, pod_network: list[str]) -> None:
    found = lab.object_store
    writer = ObjectStore(found.url, found.bucket, found.writer)
    reader = ObjectStore(found.url, found.bucket, found.reader)
    writer.put_if_absent("models/one", b"content")
    assert reader.get("models/one", 100) == b"content"
    with pytest.raises(StoreRefused):
        reader.put_if_absent("models/two", b"content")
    run(*pod_network, "python3", "-c", CONNECT, lab.address, found.url.rpartition(":")[2])
    assert lab.object_store == found


@contextmanager
def loopback_server() -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_pods_reach_a_server_of_this_machine_by_a_relay(lab: Lab, pod_network: list[str]) -> None:
    with loopback_server() as port:
        url = lab.relay(port)
        until(lambda: reached(url))
        body = bytes(range(256)) * 100_000
        assert httpx.post(url, content=body, trust_env=False).content == body
        run(*pod_network, "python3", "-c", CONNECT, lab.place.host_address, str(port))
    assert not reached(url)
    lab.servers.stop(f"relay-{port}")


def reached(url: str) -> bool:
    try:
        return httpx.post(url, content=b"x", trust_env=False).is_success
    except httpx.TransportError:
        return False


def test_a_service_is_reached_from_a_pod(lab: Lab, pod_network: list[str]) -> None:
    service = lab.api.get("/api/v1/namespaces/default/services/kubernetes")
    run(*pod_network, "python3", "-c", CONNECT, service["spec"]["clusterIP"], "443")


def test_a_server_is_stopped_and_started_again(lab: Lab) -> None:
    lab.servers.stop("kube-apiserver")
    with pytest.raises(httpx.TransportError):
        lab.api.get("/version")
    lab.servers.restart("kube-apiserver")
    until(lambda: answers(lab))
    assert lab.api.get("/version")["major"] == "1"


def answers(lab: Lab) -> bool:
    try:
        return bool(lab.api.get("/version"))
    except (httpx.TransportError, LabFailed):
        return False
