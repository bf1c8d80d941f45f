"""The lab's network: a namespace of its own, and one cable from it to this machine.

Reference: ip-netns(8), veth(4). Addresses stand in `place.py`; the network of pods inside the
namespace is the container runtime's matter.
"""

import ipaddress
import json
import os
from pathlib import Path
from typing import Any

from tests.lab.commands import LabFailed, run
from tests.lab.place import Place

# Packets between pods of one bridge must pass the rules that turn Services into pods.
SETTINGS = {"net.ipv4.ip_forward": "1", "net.bridge.bridge-nf-call-iptables": "1"}


def taken_by(place: Place) -> str:
    """Say what on this machine uses the lab's addresses already; empty when nothing does."""
    ours = [ipaddress.ip_network(place.cable_network), ipaddress.ip_network(place.pod_network)]
    for route in _json("ip", "-json", "-4", "route", "show", "table", "all"):
        destination = route.get("dst", "default")
        if destination == "default" or route.get("dev") == place.cable:
            continue
        network = ipaddress.ip_network(destination, strict=False)
        if network.prefixlen > 0 and any(network.overlaps(own) for own in ours):
            return f"route {destination} of {route.get('dev')}"
    return ""


def ensure_network(place: Place) -> None:
    """Make namespace and cable, so that this machine, the lab and its pods reach each other."""
    cable = place.cable
    run("ip", "netns", "add", place.name)
    run("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", place.name)
    inside = f"""
        link set lo up
        address add {place.address}/30 dev eth0
        link set eth0 up
        route add default via {place.host_address}
    """
    run("ip", "-netns", place.name, "-batch", "-", given=inside)
    outside = f"""
        address add {place.host_address}/30 dev {cable}
        link set {cable} up
        route add {place.pod_network} via {place.address} dev {cable}
    """
    run("ip", "-batch", "-", given=outside)
    for key, value in SETTINGS.items():
        file = Path("/proc/sys", *key.split("."))
        # The file shows the namespace of whoever opens it.
        run(*enter_command(place), "tee", file, given=value)


def remove_network(place: Place) -> None:
    """Remove cable and namespace as far as they exist."""
    if Path("/sys/class/net", place.cable).exists():
        run("ip", "link", "delete", place.cable)
    if place.network_namespace.exists():
        run("ip", "netns", "delete", place.name)


def enter_command(place: Place) -> list[str]:
    """Return what goes before a command that shall run in the lab's network.

    `ip netns exec` would hide /sys/fs/cgroup behind a fresh /sys.
    """
    return ["nsenter", f"--net={place.network_namespace}", "--"]


def processes_inside(place: Place) -> list[int]:
    """Return the processes whose network is the lab's, whoever started them."""
    try:
        wanted = place.network_namespace.stat()
    except FileNotFoundError:
        return []
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                there = (process / "ns/net").stat()
            except OSError:
                continue  # it ended, or is the kernel's
            if (there.st_dev, there.st_ino) == (wanted.st_dev, wanted.st_ino):
                found.append(int(process.name))
    return found


def _json(*command: str) -> list[dict[str, Any]]:
    text = run(*command)
    try:
        answer = json.loads(text or "[]")
    except json.JSONDecodeError as error:
        message = f"`{' '.join(command)}`: expected JSON, found {text[:200]!r}"
        raise LabFailed(message) from error
    return [entry for entry in answer if entry]
