"""Rules about the addresses of machines: IP, MAC, and what DHCP has left for them."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address

from platform_assets.spec.addresses import (
    AddressRange,
    address_of,
    dhcp_range_of,
    gateway_of,
    network_of,
)
from platform_assets.spec.findings import Finding, Path, Severity, dotted
from platform_assets.spec.model.estate import ClusterName, Estate, Placed
from platform_assets.spec.rules.grounds import Grounds, Rule

MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def _addressed(estate: Estate) -> Iterator[tuple[Placed, IPv4Address]]:
    for placed in estate.machines():
        address = address_of(placed.machine.ip)
        if address is not None:
            yield placed, address


def duplicate_ip(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Two machines, or a machine and a virtual address, have one IP address.

    Whichever answers ARP last gets the packets; Ansible then sets up one machine twice.
    """
    first: dict[IPv4Address, Path] = {}
    for path, address in _claims(estate):
        if address in first:
            yield Finding(
                "duplicate-ip",
                Severity.ERROR,
                path,
                f"{address} is also the address of {dotted(first[address])}",
                "give each its own address",
            )
        first.setdefault(address, path)


def _claims(estate: Estate) -> Iterator[tuple[Path, IPv4Address]]:
    for placed, address in _addressed(estate):
        yield (*placed.path, "ip"), address
    cloud = estate.clusters.cloud
    if cloud is None:
        return
    inside: Path = ("clusters", "cloud", "kubernetes")
    api, ingress = cloud.kubernetes.virtual_ip, cloud.kubernetes.ingress.load_balancer_ip
    for path, text in (
        ((*inside, "virtual_ip"), api),
        ((*inside, "ingress", "load_balancer_ip"), ingress),
    ):
        virtual = address_of(text)
        if virtual is not None:
            yield path, virtual


def duplicate_mac(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Two machines of one cluster have one MAC address, so that the bridge loses one of them."""
    first: dict[tuple[ClusterName, str], Path] = {}
    for placed in estate.machines():
        if placed.machine.mac is None:
            continue
        key = (placed.cluster, _normal(placed.machine.mac))
        if key in first:
            yield Finding(
                "duplicate-mac",
                Severity.ERROR,
                (*placed.path, "mac"),
                f"{placed.machine.mac} is also the MAC address of {dotted(first[key])}",
                "give each its own, or leave the key out: it is then made from the name",
            )
        first.setdefault(key, placed.path)


def malformed_mac(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A MAC address is malformed, all zeros, or one of a group, which libvirt refuses."""
    for placed in estate.machines():
        given = placed.machine.mac
        if given is None:
            continue
        mac, at = _normal(given), (*placed.path, "mac")
        if not MAC.fullmatch(mac):
            message = f"{given!r} is no MAC address: expected six pairs of hex digits"
        elif int(mac[:2], 16) & 1:
            message = f"{given} is a multicast address: the first pair must be even"
        elif set(mac) == {"0", ":"}:
            message = f"{given} is no machine's address"
        else:
            continue
        remedy = "write it as in 52:54:00:12:34:56 (52:54:00 is QEMU's own beginning)"
        yield Finding("malformed-mac", Severity.ERROR, at, message, remedy)


def _normal(mac: str) -> str:
    return mac.lower().replace("-", ":")


def ip_outside_subnet(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A machine's address is not one of its cluster's network, so that nothing reaches it."""
    subnets = {cluster: network_of(network.subnet) for cluster, _, network in estate.networks()}
    for placed, address in _addressed(estate):
        subnet = subnets.get(placed.cluster)
        if subnet is None or address in subnet:
            continue
        elsewhere = next((name for name, net in subnets.items() if net and address in net), None)
        hint = f"; it belongs to the network of {elsewhere}" if elsewhere else ""
        yield Finding(
            "ip-outside-subnet",
            Severity.ERROR,
            (*placed.path, "ip"),
            f"{address} lies outside {subnet}, the network of {placed.cluster}{hint}",
            f"take an address of {subnet}, or change clusters.{placed.cluster}.network.subnet",
        )


def reserved_ip(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A machine's address is the network's, its broadcast's, or that of the gateway (the host)."""
    for cluster, _, network in estate.networks():
        subnet, gateway = network_of(network.subnet), gateway_of(network)
        if subnet is None:
            continue
        roles = {
            subnet.network_address: f"the network address of {subnet}",
            subnet.broadcast_address: f"the broadcast address of {subnet}",
        }
        if gateway is not None:
            roles[gateway] = "the gateway's, which is the host" + (
                "" if network.gateway else " (the subnet's first, since no gateway is declared)"
            )
        for placed, address in _addressed(estate):
            if placed.cluster == cluster and address in roles:
                yield Finding(
                    "reserved-ip",
                    Severity.ERROR,
                    (*placed.path, "ip"),
                    f"{address} is {roles[address]}",
                    "give the machine another address",
                )


def ip_in_dhcp_range(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A fixed address lies in the DHCP range, where it may be given to another machine."""
    ranges = {name: dhcp_range_of(network.dhcp_range) for name, _, network in estate.networks()}
    for placed, address in _addressed(estate):
        pool = ranges.get(placed.cluster)
        if pool is not None and address in pool:
            yield Finding(
                "ip-in-dhcp-range",
                Severity.WARNING,
                (*placed.path, "ip"),
                f"{address} lies in the DHCP range {pool.first} to {pool.last}: "
                "DHCP may give it to another machine",
                f"move the machine out of the range, or shrink "
                f"clusters.{placed.cluster}.network.dhcp_range",
            )


def dhcp_range_too_short(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """DHCP has fewer addresses than there are machines without one.

    Addresses of the range that are taken already (by machines or the gateway) do not count.
    """
    for cluster, path, network in estate.networks():
        pool = dhcp_range_of(network.dhcp_range)
        if pool is None:
            continue
        asking = sum(1 for p in estate.machines() if p.cluster == cluster and not p.machine.ip)
        free = _free(pool, estate, cluster, gateway_of(network))
        if free < asking:
            yield Finding(
                "dhcp-range-too-short",
                Severity.ERROR,
                (*path, "dhcp_range"),
                f"machines without address: {asking}; free addresses from {pool.first} to "
                f"{pool.last}: {free}",
                "lengthen the range, or give machines their own addresses by `ip`",
            )


def _free(
    pool: AddressRange, estate: Estate, cluster: ClusterName, gateway: IPv4Address | None
) -> int:
    taken = {address for placed, address in _addressed(estate) if placed.cluster == cluster}
    taken |= {gateway} if gateway is not None else set()
    return len(pool) - sum(1 for address in taken if address in pool)


def machine_without_address(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A machine has no address, and its network gives none away."""
    for cluster, _, network in estate.networks():
        if network.dhcp_range is not None:
            continue
        for placed in estate.machines():
            if placed.cluster == cluster and placed.machine.ip is None:
                yield Finding(
                    "machine-without-address",
                    Severity.ERROR,
                    placed.path,
                    f"{placed.machine.name} has no ip, and clusters.{cluster}.network has no "
                    "dhcp_range to take one from",
                    "give the machine an ip, or the network a dhcp_range",
                )


def control_plane_by_dhcp(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A machine of the control plane gets its address by DHCP.

    etcd and the API server's certificate are bound to the address: another one after a lease ends
    and the cluster does not come up again.
    """
    dhcp = {name for name, _, network in estate.networks() if network.dhcp_range is not None}
    for placed in estate.machines():
        fixed = placed.machine.ip is not None or placed.cluster not in dhcp
        if placed.role == "control-plane" and not fixed:
            yield Finding(
                "control-plane-by-dhcp",
                Severity.WARNING,
                placed.path,
                f"{placed.machine.name} gets its address by DHCP; etcd and certificates hold it",
                "give it an ip outside the DHCP range",
            )


def machines_without_network(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A cluster has machines and no network for them to stand on."""
    named = {cluster for cluster, _, _ in estate.networks()}
    missing = {p.cluster: None for p in estate.machines() if p.cluster not in named}
    for cluster in missing:
        yield Finding(
            "machines-without-network",
            Severity.ERROR,
            ("clusters", cluster),
            f"{cluster} has machines, but no network",
            "add network.subnet, as in 192.168.100.0/24, and network.bridge",
        )


ADDRESS_RULES: tuple[Rule, ...] = (
    duplicate_ip,
    duplicate_mac,
    malformed_mac,
    ip_outside_subnet,
    reserved_ip,
    ip_in_dhcp_range,
    dhcp_range_too_short,
    machine_without_address,
    control_plane_by_dhcp,
    machines_without_network,
)
