"""An object store inside the lab's network: the platform's own SeaweedFS, reached from pods too.

Whoever tests with the platform's store outside of the lab lets pods reach that by a relay instead.
"""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

import httpx

from resources.object_store import ObjectStore
from resources.seaweedfs import PORTS, Identity, server_command, write_configuration
from tests.lab.mounts import enter_mounts
from tests.lab.processes import Servers, wait_until

NAME = "seaweedfs"
PORT = 8333
BUCKET = "models"
READY_S = 60.0
LOOPBACK_ONLY = "-ip.bind=127.0.0.1"


@dataclass(frozen=True)
class LabObjectStore:
    """Where it answers, and the files with the keys of who may write and who may only read."""

    url: str
    writer: Path
    reader: Path
    bucket: str = BUCKET


def ensure_object_store(servers: Servers, data: Path) -> LabObjectStore:
    """Start the store with its bucket, unless it lives already.

    Raises:
        LabFailed: it ended, or does not answer in time.
    """
    url = f"http://{servers.place.address}:{PORT}"
    home = data / "object-store"
    store = LabObjectStore(url, home / "writer.json", home / "reader.json")
    if NAME not in servers.living():
        _start(servers, home)
        wait_until(servers, [NAME], lambda: _objection(url), what=url, limit_s=READY_S)
        ObjectStore(url, BUCKET, store.writer).ensure_bucket()
    return store


def _start(servers: Servers, home: Path) -> None:
    home.mkdir(mode=0o700, exist_ok=True)
    (home / "volumes").mkdir(exist_ok=True)
    allowed = {
        "writer": ["Admin", "Read", "Write", "List", "Tagging"],
        "reader": [f"Read:{BUCKET}/*", f"List:{BUCKET}"],
    }
    identities = [
        Identity(name, f"lab-{name}", _key(home / f"{name}.json", name), actions)
        for name, actions in allowed.items()
    ]
    write_configuration(home, identities)
    ports = {name: PORT + count for count, name in enumerate(PORTS)}
    command = server_command(home / "volumes", home, servers.place.run, ports)
    # The network is the lab's alone, and the parts of the store still show each other certificates.
    everywhere = ["-ip.bind=0.0.0.0" if word == LOOPBACK_ONLY else word for word in command]
    # It puts sockets into /tmp, which is the lab's own where containerd lives.
    shell = ["/bin/sh", "-c", 'cd "$1" && shift && exec "$@"', "lab", home]
    servers.start(NAME, [*enter_mounts(servers), *shell, *everywhere])


def _key(file: Path, name: str) -> str:
    """The secret key of an identity, made once, in the form in which the platform keeps keys."""
    if not file.exists():
        file.touch(0o600)
        made = {"access_key": f"lab-{name}", "secret_key": secrets.token_hex(24)}
        file.write_text(json.dumps(made))
    return str(json.loads(file.read_text())["secret_key"])


def _objection(url: str) -> str:
    try:
        found = httpx.get(url, timeout=5, trust_env=False).status_code
    except httpx.HTTPError as error:
        return str(error)
    return "" if found == httpx.codes.FORBIDDEN else f"expected 403 without a key, found {found}"
