"""What a lab could leave on this machine, looked at as a whole, for a comparison before and after.

The look does not use what the lab knows of itself, except to leave out other labs that stand here.
"""

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.lab.commands import run
from tests.lab.place import LABS, PREFIX
from tests.lab.record import records

# What the kubelet and containerd change in the kernel of a machine that is theirs.
SETTINGS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "net/ipv4/ip_forward",
)
# Where containerd, the kubelet and network plugins keep things unless told otherwise.
PLACES = (
    "/run/containerd",
    "/run/netns",
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/lib/containerd",
)
PLACES_OF_LOGS = ("/var/log/pods", "/var/log/containers")
# Programs that a lab runs: other namespaces alone prove nothing on a machine with browsers.
PROGRAMS = (
    "containerd",
    "etcd",
    "kserve",
    "kube",
    "kwok",
    "pause",
    "runc",
    "sh",
    "sleep",
    "unshare",
    "weed",
)


@dataclass(frozen=True)
class Traces:
    """One look at the machine."""

    processes: frozenset[str]
    network_namespaces: frozenset[str]
    links: frozenset[str]
    routes: frozenset[str]
    packet_rules: str
    mounts: frozenset[str]
    control_groups: frozenset[str]
    files: frozenset[str]
    settings: dict[str, str]


def look() -> Traces:
    """Look at everything that a lab touches."""
    others = _other_labs()
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    groups = [place for place, _, _ in os.walk("/sys/fs/cgroup") if PREFIX in place]
    links = [link.name for link in Path("/sys/class/net").iterdir()]
    namespaces = run("ip", "netns", "list").splitlines()
    routes = run("ip", "-4", "route", "show", "table", "all").splitlines()
    processes = _processes()
    # One may have come while we looked.
    others |= _other_labs()

    def ours(lines: list[str]) -> frozenset[str]:
        foreign = re.compile("|".join(rf"{re.escape(name)}(?!\d)" for name in others) or r"(?!)")
        return frozenset(line for line in lines if not foreign.search(line))

    return Traces(
        ours(processes),
        ours(namespaces),
        ours(links),
        ours(routes),
        run("nft", "list", "ruleset"),
        ours(mounted),
        ours(groups),
        frozenset(_files()),
        {name: Path("/proc/sys", name).read_text() for name in SETTINGS},
    )


def _other_labs() -> set[str]:
    return {record.place.name for record in records() if record.directory}


def _processes() -> list[str]:
    """Our children, programs of ours in other namespaces, members of a lab's control group."""
    found = []
    for process in psutil.process_iter():
        proc = Path(f"/proc/{process.pid}")
        with suppress(psutil.Error, OSError):
            strange = process.name().startswith(PROGRAMS) and any(
                (proc / "ns" / kind).readlink() != Path(f"/proc/self/ns/{kind}").readlink()
                for kind in ("net", "mnt")
            )
            groups = (proc / "cgroup").read_text().replace("\n", " ")
            if strange or PREFIX in groups or process.ppid() == os.getpid():
                line = " ".join(process.cmdline())
                found.append(f"{process.pid} {process.name()} {line[:100]} {groups}")
    return found


def _files() -> list[str]:
    found = [str(entry) for place in (*PLACES, *PLACES_OF_LOGS) for entry in Path(place).glob("*")]
    left = [entry for entry in LABS.glob("[0-9]*") if not (entry / "record.json").exists()]
    return [entry for entry in found + [str(entry) for entry in left] if PREFIX not in entry]
