"""Rules about ranges of addresses that meet: networks, pods, services, load balancers.

Each range by itself is judged in `networks.py`.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

from platform_assets.spec.addresses import (
    AddressRange,
    address_of,
    dhcp_range_of,
    network_of,
    range_of,
    whole,
)
from platform_assets.spec.findings import Finding, Path, Severity, dotted
from platform_assets.spec.model.estate import CloudCluster, Estate
from platform_assets.spec.rules.grounds import Grounds, Rule

KUBERNETES: Path = ("clusters", "cloud", "kubernetes")
POOL: Path = (*KUBERNETES, "load_balancer", "addresses")
# kube-apiserver takes no more than 2^20 addresses (maxCIDRBits in its options/validation.go).
LARGEST_SERVICE_RANGE = 12


class _Named(NamedTuple):
    kind: str
    path: Path
    text: str
    range: AddressRange


def _ranges(estate: Estate) -> Iterator[_Named]:
    for cluster, path, network in estate.networks():
        subnet = network_of(network.subnet)
        if subnet is not None:
            place = (*path, "subnet")
            yield _Named(f"the network of {cluster}", place, network.subnet, whole(subnet))
    cloud = estate.clusters.cloud
    if cloud is None or not has_kubernetes(cloud):
        return
    networking = cloud.kubernetes.networking
    inner = (*KUBERNETES, "networking")
    for kind, key, text in (
        ("the pods' range", "pod_cidr", networking.pod_cidr),
        ("the services' range", "service_cidr", networking.service_cidr),
    ):
        network_range = network_of(text)
        if network_range is not None:
            yield _Named(kind, (*inner, key), text, whole(network_range))
    pool = cloud.kubernetes.load_balancer.addresses
    addresses = range_of(pool) if pool else None
    if pool and addresses is not None:
        yield _Named("the load balancer's range", POOL, pool, addresses)


def has_kubernetes(cloud: CloudCluster) -> bool:
    """Return whether there is anything for Kubernetes to stand on."""
    return bool(cloud.control_plane or cloud.workers)


def overlapping_ranges(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Two of the networks, pods', services' and load balancer's ranges share addresses.

    A packet for a shared address takes one of two ways, so that pods, services or machines are
    unreachable from some places; it shows as timeouts long after the installation. The load
    balancer's range may and must lie in its own cluster's network.
    """
    own = "the network of cloud"
    for one, other in combinations(_ranges(estate), 2):
        if not one.range.overlaps(other.range) or (one.kind == own and other.path == POOL):
            continue
        yield Finding(
            "overlapping-ranges",
            Severity.ERROR,
            other.path,
            f"{other.kind} {other.text} overlaps {one.kind} {one.text} ({dotted(one.path)})",
            "choose ranges that share no address, as in 192.168.100.0/24 and 192.168.200.0/24 "
            "for machines, 10.233.64.0/18 for pods, 10.233.0.0/18 for services",
        )


def service_range_size(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """The range of services is larger or smaller than the API server takes.

    kube-apiserver refuses to start with more than 2^20 addresses or fewer than eight.
    """
    cloud = estate.clusters.cloud
    if cloud is None or not has_kubernetes(cloud):
        return
    text = cloud.kubernetes.networking.service_cidr
    network = network_of(text)
    if network is not None and not LARGEST_SERVICE_RANGE <= network.prefixlen <= 29:
        yield Finding(
            "service-range-size",
            Severity.ERROR,
            (*KUBERNETES, "networking", "service_cidr"),
            f"{text} has {network.num_addresses} addresses: the API server takes a /12 to a /29",
            "take a /16 or a /18, as in 10.233.0.0/18",
        )


def pod_range_size(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """The range of pods has fewer blocks than there are nodes.

    Kubespray gives each node a /24 of it; a node without one gets no pods. Calico divides the range
    by itself, in blocks of a /26.
    """
    cloud = estate.clusters.cloud
    if cloud is None:
        return
    networking = cloud.kubernetes.networking
    network = network_of(networking.pod_cidr)
    if network is None:
        return
    block = 26 if networking.cni.lower() == "calico" else 24
    blocks = 2 ** max(block - network.prefixlen, 0) if network.prefixlen <= block else 0
    nodes = len(cloud.control_plane) + len(cloud.workers)
    if blocks < nodes:
        yield Finding(
            "pod-range-size",
            Severity.ERROR,
            (*KUBERNETES, "networking", "pod_cidr"),
            f"{networking.pod_cidr} has {blocks} blocks of a /{block}, one per node; "
            f"{nodes} nodes are declared",
            f"take a /{block - (nodes - 1).bit_length()} or larger, apart from all other networks",
        )


def load_balancer_addresses(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """The load balancer's addresses are no range, not of its network, or also DHCP's.

    MetalLB and kube-vip answer ARP for them, which works only on the machines' own network.
    """
    cloud = estate.clusters.cloud
    if cloud is None or cloud.kubernetes.load_balancer.addresses is None:
        return
    text = cloud.kubernetes.load_balancer.addresses
    pool = range_of(text)
    network = cloud.network
    subnet = network_of(network.subnet) if network is not None else None
    dhcp = dhcp_range_of(network.dhcp_range) if network is not None else None
    remedy = "write a CIDR or `first-last`, as in 192.168.200.100-192.168.200.120"
    if pool is None:
        message = f"{text!r} is no range of IPv4 addresses"
    elif subnet is not None and not pool.lies_in(whole(subnet)):
        message = f"{text} leaves {subnet}, the network of cloud, where it must answer"
        remedy = f"take a range within {subnet} that neither machines nor DHCP use"
    elif dhcp is not None and pool.overlaps(dhcp):
        message = f"{text} overlaps the DHCP range {dhcp.first} to {dhcp.last}"
        remedy = "keep the two apart"
    else:
        return
    yield Finding("load-balancer-addresses", Severity.ERROR, POOL, message, remedy)


def machine_in_load_balancer_range(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A machine or the API server has an address that the load balancer may give away."""
    cloud = estate.clusters.cloud
    pool = range_of(cloud.kubernetes.load_balancer.addresses or "") if cloud else None
    if cloud is None or pool is None:
        return
    claims: list[tuple[Path, str | None]] = [
        ((*placed.path, "ip"), placed.machine.ip) for placed in estate.machines()
    ]
    claims.append(((*KUBERNETES, "virtual_ip"), cloud.kubernetes.virtual_ip))
    for path, text in claims:
        address = address_of(text)
        if address is not None and address in pool:
            yield Finding(
                "machine-in-load-balancer-range",
                Severity.ERROR,
                path,
                f"{address} lies in {cloud.kubernetes.load_balancer.addresses}, which the load "
                "balancer gives to services",
                f"take an address outside, or shrink {dotted(POOL)}",
            )


RANGE_RULES: tuple[Rule, ...] = (
    overlapping_ranges,
    service_range_size,
    pod_range_size,
    load_balancer_addresses,
    machine_in_load_balancer_range,
)
