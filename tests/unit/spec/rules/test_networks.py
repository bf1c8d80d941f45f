"""Rules about each network by itself: each offence with what a person reads."""

from typing import Any

import pytest

from platform_assets.spec.rules import networks as rules
from platform_assets.spec.rules.grounds import Rule
from tests.unit.spec.rules.sound import GONE, GROUNDS, estate, said

OFFENCES: list[tuple[Rule, dict[str, Any], list[str]]] = [
    (
        rules.malformed_subnet,
        {"clusters/hpc/network/subnet": "192.168.100.10/24"},
        [
            (
                "clusters.hpc.network.subnet: '192.168.100.10/24' is no IPv4 network: expected "
                "an address and a length without host bits -> write 192.168.100.0/24, the "
                "network that holds 192.168.100.10"
            ),
        ],
    ),
    (
        rules.malformed_subnet,
        {"clusters/hpc/network/subnet": "hpc"},
        [
            (
                "clusters.hpc.network.subnet: 'hpc' is no IPv4 network: expected an address "
                "and a length without host bits -> write the network in CIDR form, as in "
                "192.168.100.0/24"
            ),
        ],
    ),
    (
        rules.malformed_subnet,
        {"clusters/cloud/kubernetes/networking/pod_cidr": "10.300.0.0/16"},
        [
            (
                "clusters.cloud.kubernetes.networking.pod_cidr: '10.300.0.0/16' is no IPv4 "
                "network: expected an address and a length without host bits -> write the "
                "network in CIDR form, as in 10.233.64.0/18"
            ),
        ],
    ),
    (
        rules.malformed_subnet,
        {"clusters/cloud/kubernetes/networking/service_cidr": "10.96.0.0"},
        [
            (
                "clusters.cloud.kubernetes.networking.service_cidr: '10.96.0.0' is no IPv4 "
                "network: expected an address and a length without host bits -> write the "
                "network in CIDR form, as in 10.233.0.0/18"
            ),
        ],
    ),
    (
        rules.malformed_ip,
        {"clusters/cloud/workers/0/ip": "192.168.200.011", "clusters/hpc/network/gateway": "gw"},
        [
            (
                "clusters.cloud.workers[0].ip: '192.168.200.011' is no IPv4 address: expected "
                "four numbers from 0 to 255 -> write the address as in 192.168.100.10, without "
                "length and leading zeros"
            ),
            (
                "clusters.hpc.network.gateway: 'gw' is no IPv4 address: expected four numbers "
                "from 0 to 255 -> write the address as in 192.168.100.10, without length and "
                "leading zeros"
            ),
        ],
    ),
    (
        rules.malformed_ip,
        {"clusters/cloud/network/dhcp_range": {"start": "a", "end": "b"}},
        [
            (
                "clusters.cloud.network.dhcp_range.start: 'a' is no IPv4 address: expected "
                "four numbers from 0 to 255 -> write the address as in 192.168.100.10, without "
                "length and leading zeros"
            ),
            (
                "clusters.cloud.network.dhcp_range.end: 'b' is no IPv4 address: expected four "
                "numbers from 0 to 255 -> write the address as in 192.168.100.10, without "
                "length and leading zeros"
            ),
        ],
    ),
    (
        rules.malformed_ip,
        {
            "clusters/cloud/network/dns_servers": ["8.8.8"],
            "clusters/cloud/kubernetes/virtual_ip": "192.168.200.5/24",
            "clusters/cloud/kubernetes/ingress/load_balancer_ip": "::1",
        },
        [
            (
                "clusters.cloud.network.dns_servers[0]: '8.8.8' is no IPv4 address: expected "
                "four numbers from 0 to 255 -> write the address as in 192.168.100.10, without "
                "length and leading zeros"
            ),
            (
                "clusters.cloud.kubernetes.virtual_ip: '192.168.200.5/24' is no IPv4 address: "
                "expected four numbers from 0 to 255 -> write the address as in "
                "192.168.100.10, without length and leading zeros"
            ),
            (
                "clusters.cloud.kubernetes.ingress.load_balancer_ip: '::1' is no IPv4 address: "
                "expected four numbers from 0 to 255 -> write the address as in "
                "192.168.100.10, without length and leading zeros"
            ),
        ],
    ),
    (
        rules.bridge_name,
        {"clusters/hpc/network/bridge": "hyperscaler-hpc-net"},
        [
            (
                "clusters.hpc.network.bridge: 'hyperscaler-hpc-net' has 19 characters: Linux "
                "takes at most 15 -> shorten it, as in 'hyperscaler-hpc'"
            ),
        ],
    ),
    (
        rules.bridge_name,
        {"clusters/hpc/network/bridge": "br/hpc"},
        [
            (
                "clusters.hpc.network.bridge: 'br/hpc' is no name of an interface: expected "
                "letters, digits, '.', '_', '-' -> rename it, as in virbr100"
            ),
        ],
    ),
    (
        rules.bridge_name,
        {"clusters/hpc/network/bridge": "virbr0"},
        [
            (
                "[warning] clusters.hpc.network.bridge: 'virbr0' is the bridge of libvirt's "
                "network `default` on most hosts -> choose a name of your own, as in virbr100"
            ),
        ],
    ),
    (
        rules.duplicate_bridge,
        {"clusters/cloud/network/bridge": "virbr100"},
        [
            (
                "clusters.cloud.network.bridge: bridge 'virbr100' is also that of "
                "clusters.hpc.network -> give each network its own"
            ),
        ],
    ),
    (
        rules.duplicate_network_name,
        {"clusters/cloud/network/name": "hpc-net"},
        [
            (
                "clusters.cloud.network.name: name 'hpc-net' is also that of "
                "clusters.hpc.network -> rename one of them"
            ),
        ],
    ),
    (
        rules.gateway_address,
        {"clusters/hpc/network/gateway": "192.168.200.1"},
        [
            (
                "clusters.hpc.network.gateway: gateway 192.168.200.1 lies outside "
                "192.168.100.0/24 -> take an address of 192.168.100.0/24, as in 192.168.100.1"
            ),
        ],
    ),
    (
        rules.gateway_address,
        {"clusters/hpc/network/gateway": "192.168.100.0"},
        [
            (
                "clusters.hpc.network.gateway: gateway 192.168.100.0 is the network address of "
                "192.168.100.0/24 -> take an address of 192.168.100.0/24, as in 192.168.100.1"
            ),
        ],
    ),
    (
        rules.gateway_address,
        {"clusters/hpc/network/gateway": "192.168.100.255"},
        [
            (
                "clusters.hpc.network.gateway: gateway 192.168.100.255 is the broadcast "
                "address of 192.168.100.0/24 -> take an address of 192.168.100.0/24, as in "
                "192.168.100.1"
            ),
        ],
    ),
    (
        rules.subnet_size,
        {"clusters/hpc/network/subnet": "192.168.100.8/30"},
        [
            (
                "clusters.hpc.network.subnet: 192.168.100.8/30 holds at most 1 beside the "
                "host; 3 machines are declared -> take a larger network, as in a /24"
            ),
        ],
    ),
    (
        rules.public_subnet,
        {"clusters/hpc/network/subnet": "8.8.8.0/24"},
        [
            (
                "[warning] clusters.hpc.network.subnet: 8.8.8.0/24 is no private network: "
                "whoever owns these addresses becomes unreachable -> take a network of "
                "10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"
            ),
        ],
    ),
    (
        rules.taken_subnet,
        {"clusters/hpc/network/subnet": "192.168.122.0/24"},
        [
            (
                "[warning] clusters.hpc.network.subnet: 192.168.122.0/24 overlaps "
                "192.168.122.0/24, which libvirt's network `default` takes unless told "
                "otherwise -> choose another network, or remove that one from the host"
            ),
        ],
    ),
    (
        rules.taken_subnet,
        {"clusters/hpc/network/subnet": "172.16.0.0/12"},
        [
            (
                "[warning] clusters.hpc.network.subnet: 172.16.0.0/12 overlaps 172.17.0.0/16, "
                "which Docker's bridge docker0 takes unless told otherwise -> choose another "
                "network, or remove that one from the host"
            ),
        ],
    ),
    (
        rules.name_server,
        {"clusters/hpc/network/dns_servers": ["192.168.100.1", "127.0.0.53"]},
        [
            (
                "clusters.hpc.network.dns_servers[1]: name server 127.0.0.53 is each machine "
                "itself -> name a server that machines reach: the gateway, or one of your "
                "provider"
            ),
        ],
    ),
    (
        rules.dhcp_range,
        {"clusters/hpc/network/dhcp_range": {"start": "192.168.100.250", "end": "192.168.100.200"}},
        [
            (
                "clusters.hpc.network.dhcp_range: DHCP range is reversed: it starts at "
                "192.168.100.250 and ends at 192.168.100.200 -> give the lower address as "
                "start and the higher one as end"
            ),
        ],
    ),
    (
        rules.dhcp_range,
        {"clusters/hpc/network/dhcp_range": {"start": "192.168.100.250", "end": "192.168.101.10"}},
        [
            (
                "clusters.hpc.network.dhcp_range: DHCP range 192.168.100.250 to 192.168.101.10 "
                "leaves the subnet 192.168.100.0/24 -> keep both ends within 192.168.100.0/24"
            ),
        ],
    ),
    (
        rules.dhcp_range,
        {"clusters/hpc/network/dhcp_range": {"start": "192.168.100.250", "end": "192.168.100.255"}},
        [
            (
                "clusters.hpc.network.dhcp_range: DHCP range 192.168.100.250 to "
                "192.168.100.255 holds the broadcast address of 192.168.100.0/24 -> leave the "
                "first and the last address of the subnet out of it"
            ),
        ],
    ),
    (
        rules.dhcp_range,
        {"clusters/hpc/network/dhcp_range": {"start": "192.168.100.0", "end": "192.168.100.9"}},
        [
            (
                "clusters.hpc.network.dhcp_range: DHCP range 192.168.100.0 to 192.168.100.9 "
                "holds the network address of 192.168.100.0/24 -> leave the first and the last "
                "address of the subnet out of it"
            ),
        ],
    ),
]


@pytest.mark.parametrize(("rule", "changes", "expected"), OFFENCES)
def test_an_offence_is_told(rule: Rule, changes: dict[str, Any], expected: list[str]) -> None:
    assert said(rule, changes) == expected


def test_each_rule_has_an_offence() -> None:
    assert {rule for rule, _, _ in OFFENCES} == set(rules.NETWORK_RULES)


@pytest.mark.parametrize("wrong", ["start", "end"])
def test_a_range_with_an_end_that_is_no_address_is_told_once(wrong: str) -> None:
    pool = {"start": "192.168.100.200", "end": "192.168.100.250", wrong: "x"}
    changes = {"clusters/hpc/network/dhcp_range": pool}
    assert said(rules.dhcp_range, changes) == []
    assert len(said(rules.malformed_ip, changes)) == 1


def test_networks_after_a_malformed_one_are_looked_at() -> None:
    changes = {
        "clusters/hpc/network/subnet": "wrong",
        "clusters/cloud/network/subnet": "192.168.200.0/30",
    }
    (found,) = said(rules.subnet_size, changes)
    assert found.startswith("clusters.cloud.network.subnet: 192.168.200.0/30 holds at most 1 ")


@pytest.mark.parametrize(("cluster", "machines"), [("hpc", 3), ("cloud", 4)])
def test_only_the_machines_of_its_cluster_count_for_a_network(cluster: str, machines: int) -> None:
    changes: dict[str, Any] = {f"clusters/{cluster}/network/subnet": "192.168.77.0/30"}
    changes["clusters/cloud/workers/2"] = {
        "name": "w",
        "cpu_cores": 4,
        "memory_gb": 8,
        "disk_gb": 50,
    }
    (found,) = said(rules.subnet_size, changes)
    assert f"holds at most 1 beside the host; {machines} machines are declared" in found


@pytest.mark.parametrize("first", ["192.168.100.1", GONE, "x"])
def test_the_gateway_of_every_network_is_looked_at(first: Any) -> None:
    changes = {"clusters/hpc/network/gateway": first, "clusters/cloud/network/gateway": "10.0.0.1"}
    (found,) = said(rules.gateway_address, changes)
    assert found.startswith("clusters.cloud.network.gateway: gateway 10.0.0.1 ")


def test_a_range_in_a_malformed_subnet_is_not_judged() -> None:
    assert said(rules.dhcp_range, {"clusters/hpc/network/subnet": "wrong"}) == []


def test_a_malformed_subnet_is_told_by_one_rule_alone() -> None:
    changes = {"clusters/hpc/network/subnet": "wrong"}
    told = [rule.__name__ for rule in rules.NETWORK_RULES if list(rule(estate(changes), GROUNDS))]
    assert told == ["malformed_subnet"]
