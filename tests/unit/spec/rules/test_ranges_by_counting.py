"""Comparing addresses by hand, one by one, gives what the rules on addresses find."""

from ipaddress import IPv4Address, IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from platform_assets.spec.addresses import AddressRange, network_of, range_of, whole
from platform_assets.spec.rules.addresses import (
    dhcp_range_too_short,
    duplicate_ip,
    ip_in_dhcp_range,
    ip_outside_subnet,
    reserved_ip,
)
from platform_assets.spec.rules.networks import dhcp_range, malformed_ip, malformed_subnet
from platform_assets.spec.rules.ranges import load_balancer_addresses, overlapping_ranges
from tests.unit.spec.rules.sound import GONE, found

BASE = int(IPv4Address("192.168.200.0"))
# Sixty-four addresses around the start of a /27, so that every case turns up often.
NEAR = st.integers(BASE - 16, BASE + 47).map(IPv4Address)
SUBNET = IPv4Network("192.168.200.0/27")
WORKERS = "clusters/cloud/workers"
NETWORK = {
    "clusters/cloud/network/subnet": str(SUBNET),
    "clusters/cloud/network/gateway": "192.168.200.1",
}


def networks() -> st.SearchStrategy[IPv4Network]:
    """Return networks that often meet: of 10.0.0.0/24, from a /24 to single addresses."""
    return st.builds(
        lambda offset, length: IPv4Network((int(IPv4Address("10.0.0.0")) + offset, length), False),
        st.integers(0, 255),
        st.integers(24, 32),
    )


def addresses(one: AddressRange) -> set[int]:
    return set(range(int(one.first), int(one.last) + 1))


@given(NEAR, NEAR, NEAR, NEAR, NEAR)
def test_ranges_are_sets_of_addresses(
    a: IPv4Address, b: IPv4Address, c: IPv4Address, d: IPv4Address, e: IPv4Address
) -> None:
    one, other = AddressRange(min(a, b), max(a, b)), AddressRange(min(c, d), max(c, d))
    assert len(one) == len(addresses(one))
    assert (e in one) == (int(e) in addresses(one))
    assert one.overlaps(other) == bool(addresses(one) & addresses(other))
    assert one.lies_in(other) == (addresses(one) <= addresses(other))
    assert range_of(f"{a}-{b}") == (AddressRange(a, b) if a <= b else None)


@given(networks(), networks())
def test_two_networks_overlap_if_they_share_an_address(
    hpc: IPv4Network, cloud: IPv4Network
) -> None:
    findings = found(
        overlapping_ranges,
        {
            "clusters/hpc/network/subnet": str(hpc),
            "clusters/cloud/network/subnet": str(cloud),
            "clusters/cloud/kubernetes/load_balancer": GONE,
        },
    )
    assert bool(findings) == bool({int(each) for each in hpc} & {int(each) for each in cloud})


@given(networks(), networks())
def test_pods_and_services_overlap_if_they_share_an_address(
    pods: IPv4Network, services: IPv4Network
) -> None:
    findings = found(
        overlapping_ranges,
        {
            "clusters/cloud/kubernetes/networking": {
                "pod_cidr": str(pods),
                "service_cidr": str(services),
            }
        },
    )
    assert bool(findings) == bool({int(each) for each in pods} & {int(each) for each in services})


@given(NEAR, NEAR, NEAR)
def test_a_machine_is_where_its_address_is(
    ip: IPv4Address, start: IPv4Address, end: IPv4Address
) -> None:
    changes = {
        **NETWORK,
        f"{WORKERS}/0/ip": str(ip),
        "clusters/cloud/network/dhcp_range": {"start": str(start), "end": str(end)},
    }
    mine = ("clusters", "cloud", "workers", 0, "ip")
    outside = [each for each in found(ip_outside_subnet, changes) if each.path == mine]
    inside = {int(each) for each in SUBNET}
    assert bool(outside) == (int(ip) not in inside)
    reserved = [each for each in found(reserved_ip, changes) if each.path == mine]
    assert bool(reserved) == (int(ip) in {min(inside), max(inside), BASE + 1})
    given_away = set(range(int(start), int(end) + 1))
    dynamic = [each for each in found(ip_in_dhcp_range, changes) if each.path == mine]
    assert bool(dynamic) == (int(ip) in given_away)
    wrong = [each for each in found(dhcp_range, changes) if each.path[1] == "cloud"]
    usable = inside - {min(inside), max(inside)}
    assert bool(wrong) == (not given_away or not given_away <= usable)


@given(NEAR, NEAR)
def test_a_load_balancer_lies_in_its_network_and_apart_from_dhcp(
    start: IPv4Address, end: IPv4Address
) -> None:
    dhcp = {"start": "192.168.200.10", "end": "192.168.200.20"}
    changes = {
        **NETWORK,
        "clusters/cloud/network/dhcp_range": dhcp,
        "clusters/cloud/kubernetes/load_balancer/addresses": f"{start}-{end}",
    }
    pool = set(range(int(start), int(end) + 1))
    sound = (
        pool
        and pool <= {int(each) for each in SUBNET}
        and not pool & set(range(BASE + 10, BASE + 21))
    )
    assert bool(found(load_balancer_addresses, changes)) == (not sound)


@given(
    st.lists(st.one_of(st.none(), st.integers(BASE, BASE + 31)), min_size=3, max_size=6),
    st.integers(BASE + 2, BASE + 30),
    st.integers(0, 6),
)
def test_dhcp_has_an_address_for_each_machine_without(
    ips: list[int | None], start: int, length: int
) -> None:
    node = {"cpu_cores": 1, "memory_gb": 1, "disk_gb": 1}
    workers = [
        {"name": f"w-{at}", **node, **({"ip": str(IPv4Address(ip))} if ip is not None else {})}
        for at, ip in enumerate(ips)
    ]
    end = min(start + length, BASE + 30)
    changes = {
        **NETWORK,
        "clusters/cloud/control_plane": [],
        WORKERS: workers,
        "clusters/cloud/kubernetes/ingress/load_balancer_ip": GONE,
        "clusters/cloud/network/dhcp_range": {
            "start": str(IPv4Address(start)),
            "end": str(IPv4Address(end)),
        },
    }
    free = set(range(start, end + 1)) - set(ips) - {BASE + 1}
    short = [each for each in found(dhcp_range_too_short, changes) if each.path[1] == "cloud"]
    assert bool(short) == (len(free) < ips.count(None))
    fixed = [ip for ip in ips if ip is not None]
    assert len(found(duplicate_ip, changes)) == len(fixed) - len(set(fixed))


@given(st.text(max_size=24) | st.from_regex(r"[0-9./-]{1,20}", fullmatch=True))
def test_any_text_is_an_address_a_network_or_told(text: str) -> None:
    def is_one(kind: type[IPv4Address] | type[IPv4Network]) -> bool:
        try:
            kind(text)
        except ValueError:
            return False
        return True

    assert bool(found(malformed_ip, {f"{WORKERS}/0/ip": text})) == (not is_one(IPv4Address))
    told = found(malformed_subnet, {"clusters/hpc/network/subnet": text})
    assert bool(told) == (not is_one(IPv4Network) or "/" not in text)
    network = network_of(text)
    assert network is None or range_of(text) == whole(network)
