"""Who holds what on the host: open GPU device files, listeners on port 53, Docker's daemon.

Another user's open files can be seen by root alone; how many processes kept theirs hidden is told.
References: proc(5), proc_net_tcp, https://docs.kernel.org/networking/proc_net_tcp.html
"""

import re
from dataclasses import dataclass
from pathlib import Path

from resources.host_files import FactUnread, text_if_there, text_of

_HELD = re.compile(r"/dev/(?:nvidia\d+|vfio/\d+|vfio/devices/\w+|dri/(?:card|renderD)\d+)")
_SOCKET = re.compile(r"socket:\[(\d+)\]")
_DNS = "0035"
_LISTENS = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}
_DAEMONS = ("dockerd",)


@dataclass(frozen=True)
class OpenDevice:
    """A process has a GPU's device file open."""

    node: str
    pid: int
    program: str


@dataclass(frozen=True)
class Listener:
    """A socket that takes port 53 on every address; `program` is None where it cannot be seen."""

    protocol: str
    program: str | None


@dataclass(frozen=True)
class Processes:
    """What running programs hold; `hidden` counts processes whose open files could not be seen."""

    open_devices: tuple[OpenDevice, ...]
    dns_listeners: tuple[Listener, ...]
    daemons: tuple[str, ...]
    hidden: int


def read_processes(root: Path) -> Processes:
    """Look at every process once.

    Raises:
        FactUnread: a table of sockets is not what the kernel writes.
        OSError: `/proc` is missing, or refuses.
    """
    inodes = _wildcard_dns(root)
    owners: dict[str, str] = {}
    devices: set[OpenDevice] = set()
    daemons: set[str] = set()
    hidden = 0
    for process in (root / "proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            program = text_of(process / "comm")
            daemons |= {program} & set(_DAEMONS)
            targets = _open_files(process)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        except PermissionError:
            hidden += 1
            continue
        for target in targets:
            if _HELD.fullmatch(target):
                devices.add(OpenDevice(target, int(process.name), program))
            elif (socket := _SOCKET.fullmatch(target)) and socket[1] in inodes:
                owners[socket[1]] = program
    return Processes(
        open_devices=tuple(sorted(devices, key=lambda one: (one.node, one.pid))),
        dns_listeners=tuple(
            Listener(protocol, owners.get(inode)) for inode, protocol in inodes.items()
        ),
        daemons=tuple(sorted(daemons)),
        hidden=hidden,
    )


def _open_files(process: Path) -> list[str]:
    targets = []
    for link in (process / "fd").iterdir():
        try:
            targets.append(str(link.readlink()))
        except FileNotFoundError:
            continue  # it was closed meanwhile
    return targets


def _wildcard_dns(root: Path) -> dict[str, str]:
    """Return the protocol by inode of each socket that listens on port 53 of every address."""
    found: dict[str, str] = {}
    text_of(root / "proc/net/tcp")  # without it nothing is known of sockets; udp6 may be missing
    for protocol, listens in _LISTENS.items():
        lines = (text_if_there(root / "proc/net" / protocol) or "").splitlines()[1:]
        for line in lines:
            words = line.split()
            if len(words) < 10 or ":" not in words[1]:
                message = f"/proc/net/{protocol}: expected a socket's line, found {line[:60]!r}"
                raise FactUnread(message)
            address, _, port = words[1].partition(":")
            if port == _DNS and not address.strip("0") and words[3] == listens:
                found[words[9]] = protocol
    return found
