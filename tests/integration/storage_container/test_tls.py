"""The object store behind TLS: only the authority that is told is trusted."""

import socket
import ssl
import threading
from contextlib import suppress

import pytest

from resources import seaweedfs
from tests.integration.serving.object_store import published

FILES = {"MLmodel": b"x", "weights.bin": b"w" * 9_000_000}


def pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def tls(tmp_path, store):
    """End TLS on a port of its own in front of the store; give the address and the authority."""
    seaweedfs.write_configuration(tmp_path, [])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    host, _, port = store.endpoint_url.removeprefix("http://").partition(":")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                plain, _ = listener.accept()
                threading.Thread(target=relay, args=(plain,), daemon=True).start()

    def relay(plain: socket.socket) -> None:
        with suppress(OSError):
            client = context.wrap_socket(plain, server_side=True)
            server = socket.create_connection((host, int(port)))
            threading.Thread(target=pump, args=(client, server), daemon=True).start()
            pump(server, client)

    threading.Thread(target=serve, daemon=True).start()
    yield f"https://127.0.0.1:{listener.getsockname()[1]}", tmp_path / "certificate.pem"
    listener.close()


def test_a_copy_arrives_whole_through_tls(store, pod, tls):
    prefix, manifest = published(store, "tls", FILES)
    pod.url, authority = tls
    pod.environment["AWS_CA_BUNDLE"] = str(authority)
    ended = pod.run(f"s3://{store.bucket}/{prefix}")
    assert ended.result["tree_digest"] == manifest.tree_digest
    assert pod.files() == {**FILES, "manifest.json": manifest.to_bytes()}


def test_an_authority_that_nobody_told_is_not_trusted(store, pod, tls):
    prefix, _ = published(store, "tls", FILES)
    pod.url, _ = tls
    ended = pod.run(f"s3://{store.bucket}/{prefix}")
    assert ended.code == 4
    assert f"{pod.url}: its certificate is not trusted" in ended.message
    assert "s3-cabundle-configmap" in ended.message
    pod.environment["S3_VERIFY_SSL"] = "0"
    assert pod.run(f"s3://{store.bucket}/{prefix}").code == 0
