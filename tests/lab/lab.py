"""A lab: a whole Kubernetes on this machine, in a network of its own, up in seconds.

What each part is stands in the module of its name; here they are started in the right order, and
found again. `record.py` removes them.
"""

import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.lab import containerd, control_plane, kubelet, kwok_nodes
from tests.lab.api_client import ApiClient
from tests.lab.api_server import ADMINISTRATOR, ApiServer
from tests.lab.commands import LabFailed
from tests.lab.control_groups import ensure_groups
from tests.lab.mounts import KEEPER, start_mounts
from tests.lab.network import ensure_network, enter_command
from tests.lab.node import NODE, advertise_gpus, wait_for_node
from tests.lab.object_store import LabObjectStore, ensure_object_store
from tests.lab.place import Place
from tests.lab.processes import Servers
from tests.lab.programs import program
from tests.lab.record import Record, claim, hand_over, record_of, remove

RELAY = Path(__file__).with_name("relay.py")
COMMANDS = ("containerd", "ctr", "runc", "ip", "nft", "nsenter", "unshare")
PROGRAMS = (*control_plane.PROGRAMS, kubelet.NAME, "pause")
ESSENTIAL = (*control_plane.PROGRAMS, kubelet.NAME, containerd.NAME, KEEPER)

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Lab:
    """One running lab."""

    record: Record

    @property
    def place(self) -> Place:
        """Its names and addresses."""
        return self.record.place

    @property
    def directory(self) -> Path:
        """Where its files lie."""
        return Path(self.record.directory)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig; it works inside and outside of the lab's network."""
        return self.directory / "kubeconfig"

    @property
    def enter(self) -> list[str]:
        """What goes before a command that shall run in the lab's network."""
        return enter_command(self.place)

    @property
    def node(self) -> str:
        """The name of the real node."""
        return NODE

    @property
    def address(self) -> str:
        """The address of the node and of all servers, from pods as from this machine."""
        return self.place.address

    @property
    def servers(self) -> Servers:
        """Its servers; more can be started beside them, and end with the lab."""
        return self.record.servers

    @cached_property
    def api(self) -> ApiClient:
        """Requests as the administrator."""
        url = f"https://{self.address}:{control_plane.PORT}"
        return ApiClient(url, _data(self.directory) / "control-plane" / "pki", ADMINISTRATOR)

    @property
    def object_store(self) -> LabObjectStore:
        """An object store in the lab's network, started when it is first asked for."""
        return ensure_object_store(self.servers, _data(self.directory))

    @property
    def s3_url(self) -> str:
        """Where that object store answers, from pods as from this machine."""
        return self.object_store.url

    def relay(self, port: int) -> str:
        """Let pods reach a server of this machine that listens on 127.0.0.1; return its URL."""
        name = f"relay-{port}"
        if name not in self.servers.living():
            command = [sys.executable, RELAY, self.place.host_address, port, port]
            self.servers.start(name, command, inside=False)
        return f"http://{self.place.host_address}:{port}"

    def import_image(self, archive: Path) -> None:
        """Give the node an image from an OCI archive."""
        containerd.import_image(self.servers, archive)

    def images(self) -> list[str]:
        """Return the names of the images that the node has."""
        return containerd.images(self.servers)

    def add_kwok_nodes(self, count: int, gpus: int = 2) -> list[str]:
        """Add nodes that KWOK plays; return their names when all are ready."""
        return kwok_nodes.add_kwok_nodes(self.api, self.servers, self.kubeconfig, count, gpus)

    def remove_kwok_nodes(self, names: Sequence[str]) -> None:
        """Remove nodes that KWOK plays."""
        kwok_nodes.remove_kwok_nodes(self.api, names)

    def down(self) -> None:
        """Remove all of it."""
        if "api" in self.__dict__:
            self.api.close()
        remove(self.record)


def bring_up(directory: Path, *, keep: bool, tell: Tell = print) -> Lab:
    """Start a lab in `directory`; with `keep` it outlives this process.

    Labs that nobody will take down any more are removed first.

    Raises:
        LabFailed: something is missing or did not start; of the lab only its logs are left.
    """
    started = time.monotonic()
    refuse_poor_machine()
    for name in PROGRAMS:
        program(name)
    record = claim(directory)
    try:
        lab = _start(record, keep=keep)
    except BaseException:
        remove(record, keep_logs=True)
        raise
    tell(f"{record.place.name}: up after {time.monotonic() - started:.1f} s")
    return lab


def find_lab(directory: Path) -> Lab | None:
    """Return the lab of `directory` when it is up and all live that every lab has."""
    record = record_of(directory)
    if record is None or not record.up:
        return None
    return Lab(record) if set(ESSENTIAL) <= set(record.servers.living()) else None


def refuse_poor_machine() -> None:
    """Raise when this machine or user cannot carry a lab.

    Raises:
        LabFailed: not root, or a command is missing.
    """
    if os.geteuid() != 0:
        message = f"uid {os.geteuid()}: a lab needs root, for namespaces and control groups"
        raise LabFailed(message)
    missing = [name for name in COMMANDS if shutil.which(name) is None]
    if missing:
        message = f"{', '.join(missing)}: not on PATH; `make lab-setup` installs what is missing"
        raise LabFailed(message)


def _start(record: Record, *, keep: bool) -> Lab:
    place, servers = record.place, record.servers
    lab = Lab(record)
    data = _data(lab.directory)
    shutil.rmtree(servers.logs, ignore_errors=True)  # of an attempt that failed
    data.mkdir(parents=True, exist_ok=True)
    ensure_network(place)
    ensure_groups(place)
    with ThreadPoolExecutor(1) as beside:
        runtime = beside.submit(_start_runtime, servers, data)
        api_server = control_plane.start_api_server(servers, data)
        control_plane.start_controllers(servers, api_server)
        runtime.result()
    kubelet.start_kubelet(servers, api_server, NODE, data)
    control_plane.start_proxy(servers, api_server, NODE)
    _write_entrances(lab, api_server)
    advertise_gpus(lab.api, servers)
    wait_for_node(lab.api, servers)
    return Lab(hand_over(record, keep=keep))


def _start_runtime(servers: Servers, data: Path) -> None:
    start_mounts(servers, data)
    containerd.start_containerd(servers, data)
    pause = data / "pause.tar"
    containerd.write_pause_image(pause)
    containerd.wait_for_containerd(servers)
    containerd.import_image(servers, pause)
    pause.unlink()


def _write_entrances(lab: Lab, api_server: ApiServer) -> None:
    shutil.copy2(api_server.kubeconfig, lab.kubeconfig)
    enter = lab.directory / "enter"
    words = " ".join(lab.enter)
    enter.write_text(f'#!/bin/sh\n# Runs a command in the network of the lab.\nexec {words} "$@"\n')
    enter.chmod(0o755)


def _data(directory: Path) -> Path:
    return directory / "data"
