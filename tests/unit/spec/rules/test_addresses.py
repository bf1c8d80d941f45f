"""Rules about addresses of machines: each offence with what a person reads."""

from typing import Any

import pytest

from platform_assets.spec.rules import addresses as rules
from platform_assets.spec.rules.grounds import Rule
from tests.unit.spec.rules.sound import GONE, said

OFFENCES: list[tuple[Rule, dict[str, Any], list[str]]] = [
    (
        rules.duplicate_ip,
        {"clusters/cloud/workers/1/ip": "192.168.200.11"},
        [
            (
                "clusters.cloud.workers[1].ip: 192.168.200.11 is also the address of "
                "clusters.cloud.workers[0].ip -> give each its own address"
            ),
        ],
    ),
    (
        rules.duplicate_ip,
        {
            "clusters/cloud/kubernetes/virtual_ip": "192.168.200.10",
            "clusters/cloud/kubernetes/ingress/load_balancer_ip": "192.168.200.11",
        },
        [
            (
                "clusters.cloud.kubernetes.virtual_ip: 192.168.200.10 is also the address of "
                "clusters.cloud.control_plane[0].ip -> give each its own address"
            ),
            (
                "clusters.cloud.kubernetes.ingress.load_balancer_ip: 192.168.200.11 is also "
                "the address of clusters.cloud.workers[0].ip -> give each its own address"
            ),
        ],
    ),
    (
        rules.duplicate_mac,
        {"clusters/hpc/compute_nodes/1/mac": "52-54-00-00-00-02"},
        [
            (
                "clusters.hpc.compute_nodes[1].mac: 52-54-00-00-00-02 is also the MAC address "
                "of clusters.hpc.compute_nodes[0] -> give each its own, or leave the key out: "
                "it is then made from the name"
            ),
        ],
    ),
    (
        rules.malformed_mac,
        {"clusters/hpc/controller/mac": "52:54:00:00:01"},
        [
            (
                "clusters.hpc.controller.mac: '52:54:00:00:01' is no MAC address: expected six "
                "pairs of hex digits -> write it as in 52:54:00:12:34:56 (52:54:00 is QEMU's "
                "own beginning)"
            ),
        ],
    ),
    (
        rules.malformed_mac,
        {"clusters/hpc/controller/mac": "53:54:00:00:00:01"},
        [
            (
                "clusters.hpc.controller.mac: 53:54:00:00:00:01 is a multicast address: the "
                "first pair must be even -> write it as in 52:54:00:12:34:56 (52:54:00 is "
                "QEMU's own beginning)"
            ),
        ],
    ),
    (
        rules.malformed_mac,
        {"clusters/hpc/controller/mac": "00:00:00:00:00:00"},
        [
            (
                "clusters.hpc.controller.mac: 00:00:00:00:00:00 is no machine's address -> "
                "write it as in 52:54:00:12:34:56 (52:54:00 is QEMU's own beginning)"
            ),
        ],
    ),
    (
        rules.ip_outside_subnet,
        {"clusters/cloud/workers/0/ip": "192.168.100.77"},
        [
            (
                "clusters.cloud.workers[0].ip: 192.168.100.77 lies outside 192.168.200.0/24, "
                "the network of cloud; it belongs to the network of hpc -> take an address of "
                "192.168.200.0/24, or change clusters.cloud.network.subnet"
            ),
        ],
    ),
    (
        rules.ip_outside_subnet,
        {"clusters/cloud/workers/0/ip": "10.0.0.1"},
        [
            (
                "clusters.cloud.workers[0].ip: 10.0.0.1 lies outside 192.168.200.0/24, the "
                "network of cloud -> take an address of 192.168.200.0/24, or change "
                "clusters.cloud.network.subnet"
            ),
        ],
    ),
    (
        rules.reserved_ip,
        {"clusters/cloud/workers/0/ip": "192.168.200.0"},
        [
            (
                "clusters.cloud.workers[0].ip: 192.168.200.0 is the network address of "
                "192.168.200.0/24 -> give the machine another address"
            ),
        ],
    ),
    (
        rules.reserved_ip,
        {"clusters/cloud/workers/0/ip": "192.168.200.255"},
        [
            (
                "clusters.cloud.workers[0].ip: 192.168.200.255 is the broadcast address of "
                "192.168.200.0/24 -> give the machine another address"
            ),
        ],
    ),
    (
        rules.reserved_ip,
        {"clusters/cloud/workers/0/ip": "192.168.200.1"},
        [
            (
                "clusters.cloud.workers[0].ip: 192.168.200.1 is the gateway's, which is the "
                "host -> give the machine another address"
            ),
        ],
    ),
    (
        rules.reserved_ip,
        {"clusters/cloud/workers/0/ip": "192.168.200.1", "clusters/cloud/network/gateway": GONE},
        [
            (
                "clusters.cloud.workers[0].ip: 192.168.200.1 is the gateway's, which is the "
                "host (the subnet's first, since no gateway is declared) -> give the machine "
                "another address"
            ),
        ],
    ),
    (
        rules.reserved_ip,
        {"clusters/hpc/network/subnet": "wrong", "clusters/cloud/workers/0/ip": "192.168.200.0"},
        [
            (
                "clusters.cloud.workers[0].ip: 192.168.200.0 is the network address of "
                "192.168.200.0/24 -> give the machine another address"
            ),
        ],
    ),
    (
        rules.reserved_ip,
        {
            "clusters/cloud/network/subnet": "192.168.200.8/30",
            "clusters/cloud/network/gateway": GONE,
            "clusters/cloud/workers/0/ip": "192.168.200.9",
        },
        [
            (
                "clusters.cloud.workers[0].ip: 192.168.200.9 is the gateway's, which is the "
                "host (the subnet's first, since no gateway is declared) -> give the machine "
                "another address"
            ),
        ],
    ),
    (
        rules.ip_in_dhcp_range,
        {"clusters/cloud/workers/0/ip": "192.168.200.200"},
        [
            (
                "[warning] clusters.cloud.workers[0].ip: 192.168.200.200 lies in the DHCP "
                "range 192.168.200.200 to 192.168.200.250: DHCP may give it to another machine "
                "-> move the machine out of the range, or shrink "
                "clusters.cloud.network.dhcp_range"
            ),
        ],
    ),
    (
        rules.dhcp_range_too_short,
        {
            "clusters/cloud/workers/0/ip": GONE,
            "clusters/cloud/workers/1/ip": GONE,
            "clusters/cloud/control_plane/0/ip": "192.168.200.201",
            "clusters/cloud/network/dhcp_range": {
                "start": "192.168.200.200",
                "end": "192.168.200.201",
            },
        },
        [
            (
                "clusters.cloud.network.dhcp_range: machines without address: 2; free "
                "addresses from 192.168.200.200 to 192.168.200.201: 1 -> lengthen the range, "
                "or give machines their own addresses by `ip`"
            ),
        ],
    ),
    (
        rules.machine_without_address,
        {"clusters/cloud/workers/0/ip": GONE, "clusters/cloud/network/dhcp_range": GONE},
        [
            (
                "clusters.cloud.workers[0]: cpu-worker-1 has no ip, and clusters.cloud.network "
                "has no dhcp_range to take one from -> give the machine an ip, or the network "
                "a dhcp_range"
            ),
        ],
    ),
    (
        rules.control_plane_by_dhcp,
        {"clusters/cloud/control_plane/0/ip": GONE},
        [
            (
                "[warning] clusters.cloud.control_plane[0]: control-plane-1 gets its address "
                "by DHCP; etcd and certificates hold it -> give it an ip outside the DHCP range"
            ),
        ],
    ),
    (
        rules.machines_without_network,
        {"clusters/hpc/network": GONE},
        [
            (
                "clusters.hpc: hpc has machines, but no network -> add network.subnet, as in "
                "192.168.100.0/24, and network.bridge"
            ),
        ],
    ),
]


@pytest.mark.parametrize(("rule", "changes", "expected"), OFFENCES)
def test_an_offence_is_told(rule: Rule, changes: dict[str, Any], expected: list[str]) -> None:
    assert said(rule, changes) == expected


def test_each_rule_has_an_offence() -> None:
    assert {rule for rule, _, _ in OFFENCES} == set(rules.ADDRESS_RULES)


def test_a_declared_gateway_is_the_host_and_the_first_address_is_free() -> None:
    changes: dict[str, Any] = {"clusters/cloud/network/gateway": "192.168.200.254"}
    taken = changes | {"clusters/cloud/workers/0/ip": "192.168.200.254"}
    assert len(said(rules.reserved_ip, taken)) == 1
    assert said(rules.reserved_ip, changes | {"clusters/cloud/workers/0/ip": "192.168.200.1"}) == []


@pytest.mark.parametrize("length", [31, 32])
def test_a_network_too_small_for_a_host_has_no_gateway(length: int) -> None:
    changes: dict[str, Any] = {
        "clusters/cloud/network/subnet": f"192.168.200.8/{length}",
        "clusters/cloud/network/gateway": GONE,
        "clusters/cloud/workers/0/ip": "192.168.200.8",
    }
    (found,) = said(rules.reserved_ip, changes)
    assert "the gateway's" not in found


def test_every_mac_is_looked_at() -> None:
    changes = {"clusters/hpc/compute_nodes/0/mac": "x", "clusters/cloud/workers/0/mac": "y"}
    paths = [text.partition(":")[0] for text in said(rules.malformed_mac, changes)]
    assert paths == ["clusters.hpc.compute_nodes[0].mac", "clusters.cloud.workers[0].mac"]


def test_a_control_plane_that_gets_no_address_at_all_is_told_by_one_rule() -> None:
    changes = {
        "clusters/cloud/control_plane/0/ip": GONE,
        "clusters/cloud/network/dhcp_range": GONE,
    }
    assert said(rules.control_plane_by_dhcp, changes) == []
    assert len(said(rules.machine_without_address, changes)) == 1
