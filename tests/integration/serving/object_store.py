"""A real SeaweedFS with one bucket, started directly; and copies published to it by hand."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from platform_assets.lineage.manifest import FileEntry, Manifest, copy_prefix
from resources.object_store import ObjectStore, StoreUnavailable
from tests.integration.guards.programs import free_port

WEED = Path(sys.executable).with_name("weed")
KEYS = {"access_key": "key", "secret_key": "a-secret-key"}
DEADLINE_S = 120


def command(directory: Path, port: int, volume_mb: int, volumes: int) -> list[str]:
    credentials = {"accessKey": KEYS["access_key"], "secretKey": KEYS["secret_key"]}
    identity = {"name": "test", "credentials": [credentials]}
    config = directory / "s3.json"
    config.write_text(json.dumps({"identities": [identity | {"actions": ["Admin"]}]}))
    ports = {
        name: free_port()
        for part in ("master", "volume", "filer")
        for name in (f"{part}.port", f"{part}.port.grpc")
    }
    ports |= {"s3.port": port, "s3.port.grpc": free_port()}
    return [
        str(WEED),
        "server",
        "-s3",
        f"-dir={directory}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-master.volumeSizeLimitMB={volume_mb}",
        f"-volume.max={volumes}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={config}",
        *(f"-{name}={number}" for name, number in ports.items()),
    ]


@contextmanager
def seaweedfs(directory: Path, *, volume_mb: int = 64, volumes: int = 100) -> Iterator[ObjectStore]:
    port = free_port()
    credentials = directory / "credentials.json"
    credentials.write_text(json.dumps(KEYS))
    log = (directory / "log").open("wb")
    process = subprocess.Popen(
        command(directory, port, volume_mb, volumes), stdout=log, stderr=log, start_new_session=True
    )
    try:
        store = ObjectStore(f"http://127.0.0.1:{port}", "models", credentials)
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                store.ensure_bucket()
                store.put("probe", b"ready")
                break
            except StoreUnavailable:
                assert process.poll() is None, (directory / "log").read_text()
                assert time.monotonic() < deadline, (directory / "log").read_text()
                time.sleep(0.2)
        yield store
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(DEADLINE_S)
        log.close()


def published(store: ObjectStore, model: str, files: Mapping[str, bytes]) -> tuple[str, Manifest]:
    """Publish `files` as a copy; return its prefix and its manifest."""
    entries = (
        FileEntry(path, len(data), hashlib.sha256(data).hexdigest()) for path, data in files.items()
    )
    manifest = Manifest(tuple(entries))
    prefix = copy_prefix(model, manifest.tree_digest)
    for path, data in files.items():
        store.put(prefix + path, data)
    store.put(prefix + "manifest.json", manifest.to_bytes())
    return prefix, manifest
