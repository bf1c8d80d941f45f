"""What goes wrong on the way, and with the container itself."""

import json
import os
import re
import signal
import socket
import threading
import time

import pytest

from tests.integration.faults.faulty_network import Fault, FaultyNetwork
from tests.integration.serving.object_store import published

MIB = 2**20
CHUNKED = b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"
FILES = {
    "MLmodel": b"flavors: {}\n",
    "empty": b"",
    "small.bin": os.urandom(50_000),
    "weights.bin": os.urandom(30 * MIB),
}


@pytest.fixture
def network(store):
    found = FaultyNetwork(store.endpoint_url)
    found.start()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def copy(store):
    prefix, manifest = published(store, "faults", FILES)
    return f"s3://{store.bucket}/{prefix}", manifest


class Seen:
    """Which requests passed; as the choice of a fault it meets those for one file."""

    def __init__(self, name):
        self.name = name
        self.ranges = []

    def __call__(self, request):
        if self.name not in request.path or "list-type" in request.path:
            return False
        found = re.search(rb"(?i)\r\nrange: bytes=(\d+)-(\d+)", request.head)
        self.ranges.append(tuple(map(int, found.groups())) if found else None)
        return True


PASSING = {
    "answers 500": lambda which: Fault("status", which, times=3, status=500, code="InternalError"),
    "answers 503": lambda which: Fault("status", which, times=3, code="SlowDown"),
    "dropped in mid-object": lambda which: Fault("drop-received", which, times=3),
    "slow": lambda which: Fault("slow", which, times=1, bytes_per_s=4_000_000),
    "bit flipped on its way": lambda which: Fault("flip-received", which, times=1),
}


@pytest.mark.parametrize("name", PASSING)
@pytest.mark.parametrize("file", ["weights.bin", "small.bin", "manifest.json"])
def test_what_passes_costs_only_time(pod, network, copy, name, file):
    source, manifest = copy
    pod.url = network.url
    with network.failing(PASSING[name](Seen(file))) as fault:
        ended = pod.run(source)
    assert fault.met > 0
    assert ended.result["tree_digest"] == manifest.tree_digest
    assert pod.files() == {**FILES, "manifest.json": manifest.to_bytes()}


def test_a_dropped_answer_goes_on_where_it_stopped(pod, network, copy):
    source, _ = copy
    pod.url = network.url
    seen = Seen("small.bin")
    with network.failing(Fault("drop-received", seen, times=1)):
        assert pod.run(source).code == 0
    whole, (start, stop) = seen.ranges
    assert whole is None
    assert 0 < start < stop == len(FILES["small.bin"]) - 1
    assert "trying again" in (pod.home / "log").read_text()


def test_listing_refused_for_a_while(pod, network, copy):
    source, _ = copy
    pod.url = network.url
    with network.failing(Fault("status", lambda r: "list-type" in r.path, times=2)):
        assert pod.run(source).code == 0


def test_bytes_that_change_on_their_way_every_time(pod, network, copy):
    source, _ = copy
    pod.url = network.url
    with network.failing(Fault("flip-received", Seen("weights.bin"))):
        ended = pod.run(source)
    assert ended.code == 3
    assert "weights.bin: expected SHA-256" in ended.message


def test_a_store_that_fails_to_the_end(pod, network, copy):
    source, _ = copy
    pod.url = network.url
    pod.environment["AI_HOW_PATIENCE_S"] = "2"
    with network.failing(Fault("status", Seen("weights.bin"))):
        ended = pod.run(source)
    assert ended.code == 5
    assert "weights.bin" in ended.message
    assert "the store answers 503 ServiceUnavailable (as the test wishes)" in ended.message
    assert "gave up after" in ended.message


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://no-such-host.invalid:8333"])
def test_a_store_that_cannot_be_reached(pod, copy, url):
    source, _ = copy
    pod.url = url
    pod.environment["AI_HOW_PATIENCE_S"] = "2"
    begun = time.monotonic()
    ended = pod.run(source)
    assert time.monotonic() - begun < 30
    assert ended.code == 5
    assert f"is the object store at {url} up, and reachable from this pod?" in ended.message


def test_a_store_that_comes_back(pod, network, copy):
    source, manifest = copy
    pod.url = network.url
    with network.failing(Fault("refuse")):
        process = pod.start(source)
        deadline = time.monotonic() + 60
        while "trying again" not in (pod.home / "log").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert pod.ended(process).result["tree_digest"] == manifest.tree_digest


def test_a_killed_container_goes_on_where_it_stopped(pod, network, store):
    data = os.urandom(96 * MIB) * 2
    prefix, manifest = published(store, "killed", {"a.bin": data, "b.bin": b"x" * MIB})
    source = f"s3://{store.bucket}/{prefix}"
    pod.url = network.url
    first, again = Seen("a.bin"), Seen("a.bin")
    with network.failing(Fault("slow", first, bytes_per_s=20_000_000)):
        process = pod.start(source)
        hidden = pod.models / f".incoming-{manifest.tree_digest[:16]}"
        deadline = time.monotonic() + 60
        while not list(hidden.glob("*.hashed")):
            assert time.monotonic() < deadline, (pod.home / "log").read_text()
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    assert "a.bin" not in {path.name for path in pod.models.iterdir()}
    with network.failing(Fault("slow", again, bytes_per_s=2_000_000_000)):
        ended = pod.run(source)
    assert ended.result["bytes"] == len(data) + MIB
    assert pod.files()["a.bin"] == data
    assert min(start for start, _ in again.ranges) >= 64 * MIB


def test_what_an_earlier_life_finished_is_hashed_again_and_not_downloaded(pod, network, copy):
    source, manifest = copy
    pod.url = network.url
    assert pod.run(source).code == 0
    (pod.models / "small.bin").write_bytes(FILES["small.bin"][:-1] + b"?")
    seen = Seen(".bin")
    with network.failing(Fault("slow", seen, bytes_per_s=2_000_000_000)):
        assert pod.run(source).result["tree_digest"] == manifest.tree_digest
    assert seen.ranges == [None]
    assert pod.files() == {**FILES, "manifest.json": manifest.to_bytes()}


def test_a_write_that_the_kernel_refuses_is_told(pod, copy):
    source, _ = copy
    ended = pod.ended(pod.start(source, largest_blocks=10 * 1024))
    assert ended.code == 6
    assert f"{pod.models}: {sum(map(len, FILES.values()))} bytes are to be written" in ended.message
    assert "weights.bin" not in pod.files()


def test_a_pod_that_is_deleted_ends_at_once(pod, network, copy):
    source, _ = copy
    pod.url = network.url
    with network.failing(Fault("slow", bytes_per_s=1000)):
        process = pod.start(source)
        deadline = time.monotonic() + 60
        while "downloading" not in (pod.home / "log").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 128 + signal.SIGTERM


def answering(answer: bytes) -> str:
    """Serve one answer to whoever asks, on a real socket; return the address."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            client, _ = listener.accept()
            with client:
                client.recv(65536)
                client.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (
            b"HTTP/1.1 307 See\r\nLocation: http://elsewhere/x\r\nContent-Length: 0\r\n\r\n",
            4,
            "sent on to 'http://elsewhere/x': redirects are not followed",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 5, "expected an answer of HTTP/1.1, found"),
        (b"HTTP/1.1 200 OK\r\n\r\nwhatever", 3, "expected SHA-256"),
        (
            CHUNKED + b"19\r\n<Error><Code>NoSuchBucket\r\n7;x=y\r\n</Code>\r\n0\r\n\r\n",
            3,
            "there is none (404 NoSuchBucket); is SOURCE right",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n", 3, "expected at most 67108864"),
    ],
)
def test_a_server_that_is_no_object_store(pod, answer, code, words):
    pod.url = answering(answer)
    pod.environment["AI_HOW_PATIENCE_S"] = "1"
    ended = pod.run(f"s3://models/models/digits/sha256-{'0' * 64}/")
    assert ended.code == code
    assert words in ended.message


def test_the_last_words_fit_what_kubernetes_keeps(pod, store):
    files = {f"{'x' * 200}/{'y' * 200}/{number}ä": b"z" for number in range(20)}
    prefix, _ = published(store, "words", files)
    for path in files:
        store.delete(prefix + path)
    ended = pod.run(f"s3://{store.bucket}/{prefix}")
    assert ended.code == 3
    assert len(ended.message.encode()) <= 4096
    assert "and 15 more" in ended.message
    assert json.dumps(ended.message)
