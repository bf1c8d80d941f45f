"""Rules about each network by itself: its subnet, bridge, gateway, name servers and DHCP range.

Addresses of machines stand in `addresses.py`, ranges that meet each other in `ranges.py`.
"""

import re
from collections.abc import Iterator
from ipaddress import IPv4Network

from platform_assets.spec.addresses import address_of, dhcp_range_of, network_of, whole
from platform_assets.spec.findings import Finding, Path, Severity, dotted
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.rules.grounds import Grounds, Rule

# IFNAMSIZ of linux/if.h is 16, with the NUL that ends the name.
BRIDGE_LENGTH = 15
BRIDGE = re.compile(r"[A-Za-z0-9_.-]+")
# What libvirt and Docker take for themselves when they are installed.
TAKEN = {
    "libvirt's network `default`": IPv4Network("192.168.122.0/24"),
    "Docker's bridge docker0": IPv4Network("172.17.0.0/16"),
}
PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
TAKEN_BRIDGES = {"virbr0": "libvirt's network `default`", "docker0": "Docker"}


def malformed_subnet(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A subnet is no IPv4 network in CIDR form.

    libvirt, Kubespray and every address check need the network; `192.168.100.10/24` names a host,
    not a network, and Ansible's `ipaddr('net')` takes it for none.
    """
    for _, path, network in estate.networks():
        yield from _checked_cidr(network.subnet, (*path, "subnet"), "192.168.100.0/24")
    cloud = estate.clusters.cloud
    if cloud is not None:
        inner: Path = ("clusters", "cloud", "kubernetes", "networking")
        networking = cloud.kubernetes.networking
        yield from _checked_cidr(networking.pod_cidr, (*inner, "pod_cidr"), "10.233.64.0/18")
        yield from _checked_cidr(networking.service_cidr, (*inner, "service_cidr"), "10.233.0.0/18")


def _checked_cidr(text: str, path: Path, example: str) -> Iterator[Finding]:
    if network_of(text) is not None:
        return
    address, _, length = text.partition("/")
    remedy = f"write the network in CIDR form, as in {example}"
    if address_of(address) is not None and length.isdecimal() and int(length) <= 32:
        meant = IPv4Network(text, strict=False)
        remedy = f"write {meant}, the network that holds {address}"
    message = f"{text!r} is no IPv4 network: expected an address and a length without host bits"
    yield Finding("malformed-subnet", Severity.ERROR, path, message, remedy)


def malformed_ip(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """An address is no IPv4 address.

    Leading zeros (`192.168.1.010`) are refused too: some programs read them as octal.
    """
    for path, text in _addresses(estate):
        if address_of(text) is None:
            yield Finding(
                "malformed-ip",
                Severity.ERROR,
                path,
                f"{text!r} is no IPv4 address: expected four numbers from 0 to 255",
                "write the address as in 192.168.100.10, without length and leading zeros",
            )


def _addresses(estate: Estate) -> Iterator[tuple[Path, str]]:
    for placed in estate.machines():
        if placed.machine.ip is not None:
            yield (*placed.path, "ip"), placed.machine.ip
    for _, path, network in estate.networks():
        if network.gateway is not None:
            yield (*path, "gateway"), network.gateway
        for index, server in enumerate(network.dns_servers):
            yield (*path, "dns_servers", index), server
        if network.dhcp_range is not None:
            yield (*path, "dhcp_range", "start"), network.dhcp_range.start
            yield (*path, "dhcp_range", "end"), network.dhcp_range.end
    cloud = estate.clusters.cloud
    if cloud is not None:
        inside: Path = ("clusters", "cloud", "kubernetes")
        if cloud.kubernetes.virtual_ip is not None:
            yield (*inside, "virtual_ip"), cloud.kubernetes.virtual_ip
        if cloud.kubernetes.ingress.load_balancer_ip is not None:
            yield (
                (*inside, "ingress", "load_balancer_ip"),
                cloud.kubernetes.ingress.load_balancer_ip,
            )


def bridge_name(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A bridge has a name that Linux refuses, or that another program takes.

    The kernel's interface names hold at most 15 characters; libvirt fails only when the network is
    started, with `Numerical result out of range`.
    """
    for _, path, network in estate.networks():
        bridge, at = network.bridge, (*path, "bridge")
        if bridge is None:
            continue
        if len(bridge) > BRIDGE_LENGTH:
            yield Finding(
                "bridge-name",
                Severity.ERROR,
                at,
                f"{bridge!r} has {len(bridge)} characters: Linux takes at most {BRIDGE_LENGTH}",
                f"shorten it, as in {bridge[:BRIDGE_LENGTH].rstrip('-_.')!r}",
            )
        elif not BRIDGE.fullmatch(bridge) or bridge in {".", ".."}:
            yield Finding(
                "bridge-name",
                Severity.ERROR,
                at,
                f"{bridge!r} is no name of an interface: expected letters, digits, '.', '_', '-'",
                "rename it, as in virbr100",
            )
        elif bridge in TAKEN_BRIDGES:
            yield Finding(
                "bridge-name",
                Severity.WARNING,
                at,
                f"{bridge!r} is the bridge of {TAKEN_BRIDGES[bridge]} on most hosts",
                "choose a name of your own, as in virbr100",
            )


def duplicate_bridge(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Two networks have one bridge.

    libvirt refuses to start the second network: `bridge name already in use`.
    """
    yield from _twice(estate, "bridge", "duplicate-bridge", "bridge", "give each network its own")


def duplicate_network_name(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Two libvirt networks have one name, which libvirt refuses."""
    yield from _twice(estate, "name", "duplicate-network-name", "name", "rename one of them")


def _twice(estate: Estate, key: str, rule: str, word: str, remedy: str) -> Iterator[Finding]:
    first: dict[str, Path] = {}
    for _, path, network in estate.networks():
        value = getattr(network, key)
        if value is None:
            continue
        if value in first:
            message = f"{word} {value!r} is also that of {dotted(first[value])}"
            yield Finding(rule, Severity.ERROR, (*path, key), message, remedy)
        first.setdefault(value, path)


def gateway_address(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A gateway lies outside its subnet, or is the subnet's network or broadcast address."""
    for _, path, network in estate.networks():
        subnet, gateway = network_of(network.subnet), address_of(network.gateway)
        if subnet is None or gateway is None:
            continue
        if gateway not in subnet:
            what = f"lies outside {subnet}"
        elif gateway in {subnet.network_address, subnet.broadcast_address}:
            is_network = gateway == subnet.network_address
            what = f"is the {'network' if is_network else 'broadcast'} address of {subnet}"
        else:
            continue
        remedy = f"take an address of {subnet}" + (
            f", as in {subnet[1]}" if subnet.num_addresses >= 4 else ""
        )
        message = f"gateway {gateway} {what}"
        yield Finding("gateway-address", Severity.ERROR, (*path, "gateway"), message, remedy)


def subnet_size(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A subnet has fewer addresses than its cluster has machines.

    Two addresses are the network's and its broadcast's, one is the host's.
    """
    for cluster, path, network in estate.networks():
        subnet = network_of(network.subnet)
        if subnet is None:
            continue
        machines = sum(1 for placed in estate.machines() if placed.cluster == cluster)
        room = max(subnet.num_addresses - 3, 0)
        if room < machines:
            yield Finding(
                "subnet-size",
                Severity.ERROR,
                (*path, "subnet"),
                f"{subnet} holds at most {room} beside the host; {machines} machines are declared",
                "take a larger network, as in a /24",
            )


def public_subnet(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A subnet is not private (RFC 1918), so that it hides a part of the internet."""
    for _, path, network in estate.networks():
        subnet = network_of(network.subnet)
        if subnet is not None and not any(subnet.subnet_of(private) for private in PRIVATE):
            yield Finding(
                "public-subnet",
                Severity.WARNING,
                (*path, "subnet"),
                f"{subnet} is no private network: whoever owns these addresses becomes unreachable",
                "take a network of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16",
            )


def taken_subnet(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A subnet meets one that libvirt or Docker takes by itself.

    Where that network exists, libvirt refuses ours: `Network is already in use by interface`.
    """
    for _, path, network in estate.networks():
        subnet = network_of(network.subnet)
        for whose, taken in TAKEN.items():
            if subnet is not None and subnet.overlaps(taken):
                yield Finding(
                    "taken-subnet",
                    Severity.WARNING,
                    (*path, "subnet"),
                    f"{subnet} overlaps {taken}, which {whose} takes unless told otherwise",
                    "choose another network, or remove that one from the host",
                )


def name_server(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A name server is a loopback address, so that each machine would ask itself.

    `127.0.0.53` is copied from the host's /etc/resolv.conf; on a node it makes CoreDNS forward to
    itself until it is killed (`Loop ... detected`).
    """
    for _, path, network in estate.networks():
        for index, text in enumerate(network.dns_servers):
            server = address_of(text)
            if server is not None and (server.is_loopback or server.is_unspecified):
                yield Finding(
                    "name-server",
                    Severity.ERROR,
                    (*path, "dns_servers", index),
                    f"name server {server} is each machine itself",
                    "name a server that machines reach: the gateway, or one of your provider",
                )


def dhcp_range(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A DHCP range is reversed, leaves its subnet, or holds an address that is nobody's to give."""
    for _, path, network in estate.networks():
        declared, subnet = network.dhcp_range, network_of(network.subnet)
        if declared is None or subnet is None:
            continue
        start, end, at = address_of(declared.start), address_of(declared.end), (*path, "dhcp_range")
        if start is None or end is None:
            continue
        pool = dhcp_range_of(declared)
        remedy = "give the lower address as start and the higher one as end"
        if pool is None:
            message = f"DHCP range is reversed: it starts at {start} and ends at {end}"
        elif not pool.lies_in(whole(subnet)):
            message = f"DHCP range {start} to {end} leaves the subnet {subnet}"
            remedy = f"keep both ends within {subnet}"
        elif subnet.network_address in pool or subnet.broadcast_address in pool:
            is_network = subnet.network_address in pool
            message = (
                f"DHCP range {start} to {end} holds the "
                f"{'network' if is_network else 'broadcast'} address of {subnet}"
            )
            remedy = "leave the first and the last address of the subnet out of it"
        else:
            continue
        yield Finding("dhcp-range", Severity.ERROR, at, message, remedy)


NETWORK_RULES: tuple[Rule, ...] = (
    malformed_subnet,
    malformed_ip,
    bridge_name,
    duplicate_bridge,
    duplicate_network_name,
    gateway_address,
    subnet_size,
    public_subnet,
    taken_subnet,
    name_server,
    dhcp_range,
)
