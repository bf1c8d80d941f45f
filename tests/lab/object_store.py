"""The platform's object store in the lab: SeaweedFS as `resources/seaweedfs.py` starts it.

Its S3 port stands on the lab's address, for pods and for this machine; its other ports stay on the
loopback of the lab's network. It ends with the lab.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from resources import seaweedfs
from resources.object_store import ObjectStore, StoreUnavailable
from tests.lab.lab import Lab
from tests.lab.place import Place
from tests.lab.processes import wait_until

NAME = "seaweedfs"
BUCKET = "models"
READY_S = 60.0
FIRST_PORT = 8400
_ACTIONS = {
    "publisher": ["Admin", "Read", "Write", "List", "Tagging"],
    "reader": [f"Read:{BUCKET}/*", f"List:{BUCKET}"],
}


@dataclass(frozen=True)
class LabStore:
    """The store as the platform sees it, and the keys that pods get."""

    url: str
    publisher: ObjectStore
    reader_credentials: Path

    @property
    def endpoint(self) -> str:
        """Host and port, as KServe's annotation of a Secret wants them."""
        return self.url.removeprefix("http://")

    def reader_keys(self) -> dict[str, str]:
        """Return the keys of the identity that may only read."""
        return dict(json.loads(self.reader_credentials.read_text()))


def ensure_object_store(lab: Lab) -> LabStore:
    """Return the lab's store with its bucket, started if need be, when it takes objects.

    Raises:
        LabFailed: it ended, or takes nothing in time.
    """
    directory = lab.directory / NAME
    credentials = {name: directory / f"{name}.json" for name in _ACTIONS}
    ports = _ports(lab.place)
    if NAME not in lab.servers.living():  # else another session of tests started it
        _start(lab, directory, credentials, ports)
    url = f"http://{lab.address}:{ports['s3']}"
    store = LabStore(url, ObjectStore(url, BUCKET, credentials["publisher"]), credentials["reader"])

    def objection() -> str:
        try:
            store.publisher.ensure_bucket()
            store.publisher.put("probe", b"ready")
        except StoreUnavailable as error:
            return str(error)
        return ""

    wait_until(lab.servers, [NAME], objection, what="the object store", limit_s=READY_S)
    return store


def _start(
    lab: Lab, directory: Path, credentials: Mapping[str, Path], ports: Mapping[str, int]
) -> None:
    (directory / "data").mkdir(parents=True, exist_ok=True)
    identities = []
    for name, file in credentials.items():
        keys = {"access_key": secrets.token_hex(10), "secret_key": secrets.token_hex(24)}
        file.touch(0o600)
        file.write_text(json.dumps(keys))
        identities.append(seaweedfs.Identity(name, *keys.values(), _ACTIONS[name]))
    seaweedfs.write_configuration(directory, identities)
    # Its sockets' names must be short, and go with the lab.
    command = seaweedfs.server_command(directory / "data", directory, lab.place.run, ports)
    lab.servers.start(NAME, [*command, f"-s3.ip.bind={lab.address}"], directory=directory)


def remove_stray_sockets(place: Place) -> None:
    """Remove what SeaweedFS leaves in /tmp beside its ports, when the lab is gone."""
    for socket in seaweedfs.stray_sockets(_ports(place)):
        socket.unlink(missing_ok=True)


def _ports(place: Place) -> dict[str, int]:
    """Ports of this lab alone: SeaweedFS names files after them that all labs would share."""
    first = FIRST_PORT + place.number * len(seaweedfs.PORTS)
    return {name: first + number for number, name in enumerate(seaweedfs.PORTS)}
