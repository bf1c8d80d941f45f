"""Rules about ranges that meet: each offence with what a person reads."""

from typing import Any

import pytest

from platform_assets.spec.rules import ranges as rules
from platform_assets.spec.rules.grounds import Rule
from tests.unit.spec.rules.sound import GONE, said

OFFENCES: list[tuple[Rule, dict[str, Any], list[str]]] = [
    (
        rules.overlapping_ranges,
        {"clusters/cloud/network/subnet": "192.168.0.0/16"},
        [
            (
                "clusters.cloud.network.subnet: the network of cloud 192.168.0.0/16 overlaps "
                "the network of hpc 192.168.100.0/24 (clusters.hpc.network.subnet) -> choose "
                "ranges that share no address, as in 192.168.100.0/24 and 192.168.200.0/24 for "
                "machines, 10.233.64.0/18 for pods, 10.233.0.0/18 for services"
            ),
        ],
    ),
    (
        rules.overlapping_ranges,
        {"clusters/cloud/kubernetes/networking/pod_cidr": "192.168.0.0/16"},
        [
            (
                "clusters.cloud.kubernetes.networking.pod_cidr: the pods' range 192.168.0.0/16 "
                "overlaps the network of hpc 192.168.100.0/24 (clusters.hpc.network.subnet) -> "
                "choose ranges that share no address, as in 192.168.100.0/24 and "
                "192.168.200.0/24 for machines, 10.233.64.0/18 for pods, 10.233.0.0/18 for "
                "services"
            ),
            (
                "clusters.cloud.kubernetes.networking.pod_cidr: the pods' range 192.168.0.0/16 "
                "overlaps the network of cloud 192.168.200.0/24 "
                "(clusters.cloud.network.subnet) -> choose ranges that share no address, as in "
                "192.168.100.0/24 and 192.168.200.0/24 for machines, 10.233.64.0/18 for pods, "
                "10.233.0.0/18 for services"
            ),
            (
                "clusters.cloud.kubernetes.load_balancer.addresses: the load balancer's range "
                "192.168.200.100-192.168.200.120 overlaps the pods' range 192.168.0.0/16 "
                "(clusters.cloud.kubernetes.networking.pod_cidr) -> choose ranges that share "
                "no address, as in 192.168.100.0/24 and 192.168.200.0/24 for machines, "
                "10.233.64.0/18 for pods, 10.233.0.0/18 for services"
            ),
        ],
    ),
    (
        rules.overlapping_ranges,
        {"clusters/cloud/kubernetes/networking/pod_cidr": "10.233.0.0/16"},
        [
            (
                "clusters.cloud.kubernetes.networking.service_cidr: the services' range "
                "10.233.0.0/18 overlaps the pods' range 10.233.0.0/16 "
                "(clusters.cloud.kubernetes.networking.pod_cidr) -> choose ranges that share "
                "no address, as in 192.168.100.0/24 and 192.168.200.0/24 for machines, "
                "10.233.64.0/18 for pods, 10.233.0.0/18 for services"
            ),
        ],
    ),
    (
        rules.overlapping_ranges,
        {"clusters/cloud/kubernetes/load_balancer/addresses": "192.168.100.100-192.168.100.120"},
        [
            (
                "clusters.cloud.kubernetes.load_balancer.addresses: the load balancer's range "
                "192.168.100.100-192.168.100.120 overlaps the network of hpc 192.168.100.0/24 "
                "(clusters.hpc.network.subnet) -> choose ranges that share no address, as in "
                "192.168.100.0/24 and 192.168.200.0/24 for machines, 10.233.64.0/18 for pods, "
                "10.233.0.0/18 for services"
            ),
        ],
    ),
    (
        rules.service_range_size,
        {"clusters/cloud/kubernetes/networking/service_cidr": "10.0.0.0/8"},
        [
            (
                "clusters.cloud.kubernetes.networking.service_cidr: 10.0.0.0/8 has 16777216 "
                "addresses: the API server takes a /12 to a /29 -> take a /16 or a /18, as in "
                "10.233.0.0/18"
            ),
        ],
    ),
    (
        rules.service_range_size,
        {"clusters/cloud/kubernetes/networking/service_cidr": "10.96.0.0/30"},
        [
            (
                "clusters.cloud.kubernetes.networking.service_cidr: 10.96.0.0/30 has 4 "
                "addresses: the API server takes a /12 to a /29 -> take a /16 or a /18, as in "
                "10.233.0.0/18"
            ),
        ],
    ),
    (
        rules.pod_range_size,
        {"clusters/cloud/kubernetes/networking/pod_cidr": "10.244.0.0/25"},
        [
            (
                "clusters.cloud.kubernetes.networking.pod_cidr: 10.244.0.0/25 has 2 blocks of "
                "a /26, one per node; 3 nodes are declared -> take a /24 or larger, apart "
                "from all other networks"
            ),
        ],
    ),
    (
        rules.pod_range_size,
        {
            "clusters/cloud/kubernetes/networking/pod_cidr": "10.244.0.0/23",
            "clusters/cloud/kubernetes/networking/cni": "flannel",
        },
        [
            (
                "clusters.cloud.kubernetes.networking.pod_cidr: 10.244.0.0/23 has 2 blocks of "
                "a /24, one per node; 3 nodes are declared -> take a /22 or larger, apart "
                "from all other networks"
            ),
        ],
    ),
    (
        rules.load_balancer_addresses,
        {"clusters/cloud/kubernetes/load_balancer/addresses": "192.168.200.100-120"},
        [
            (
                "clusters.cloud.kubernetes.load_balancer.addresses: '192.168.200.100-120' is "
                "no range of IPv4 addresses -> write a CIDR or `first-last`, as in "
                "192.168.200.100-192.168.200.120"
            ),
        ],
    ),
    (
        rules.load_balancer_addresses,
        {"clusters/cloud/kubernetes/load_balancer/addresses": "192.168.200.120-192.168.200.100"},
        [
            (
                "clusters.cloud.kubernetes.load_balancer.addresses: "
                "'192.168.200.120-192.168.200.100' is no range of IPv4 addresses -> write a "
                "CIDR or `first-last`, as in 192.168.200.100-192.168.200.120"
            ),
        ],
    ),
    (
        rules.load_balancer_addresses,
        {"clusters/cloud/kubernetes/load_balancer/addresses": "10.1.0.0/28"},
        [
            (
                "clusters.cloud.kubernetes.load_balancer.addresses: 10.1.0.0/28 leaves "
                "192.168.200.0/24, the network of cloud, where it must answer -> take a range "
                "within 192.168.200.0/24 that neither machines nor DHCP use"
            ),
        ],
    ),
    (
        rules.load_balancer_addresses,
        {"clusters/cloud/kubernetes/load_balancer/addresses": "192.168.200.240-192.168.200.254"},
        [
            (
                "clusters.cloud.kubernetes.load_balancer.addresses: "
                "192.168.200.240-192.168.200.254 overlaps the DHCP range 192.168.200.200 to "
                "192.168.200.250 -> keep the two apart"
            ),
        ],
    ),
    (
        rules.machine_in_load_balancer_range,
        {
            "clusters/cloud/workers/0/ip": "192.168.200.101",
            "clusters/cloud/kubernetes/virtual_ip": "192.168.200.102",
        },
        [
            (
                "clusters.cloud.workers[0].ip: 192.168.200.101 lies in "
                "192.168.200.100-192.168.200.120, which the load balancer gives to services -> "
                "take an address outside, or shrink "
                "clusters.cloud.kubernetes.load_balancer.addresses"
            ),
            (
                "clusters.cloud.kubernetes.virtual_ip: 192.168.200.102 lies in "
                "192.168.200.100-192.168.200.120, which the load balancer gives to services -> "
                "take an address outside, or shrink "
                "clusters.cloud.kubernetes.load_balancer.addresses"
            ),
        ],
    ),
]


@pytest.mark.parametrize(("rule", "changes", "expected"), OFFENCES)
def test_an_offence_is_told(rule: Rule, changes: dict[str, Any], expected: list[str]) -> None:
    assert said(rule, changes) == expected


def test_each_rule_has_an_offence() -> None:
    assert {rule for rule, _, _ in OFFENCES} == set(rules.RANGE_RULES)


def test_a_load_balancer_beside_a_network_without_dhcp() -> None:
    changes = {"clusters/cloud/network/dhcp_range": GONE}
    assert said(rules.load_balancer_addresses, changes) == []


@pytest.mark.parametrize(("cni", "length"), [("calico", 26), ("flannel", 24)])
def test_a_range_of_one_block_is_for_one_node(cni: str, length: int) -> None:
    networking = "clusters/cloud/kubernetes/networking"
    changes: dict[str, Any] = {
        f"{networking}/cni": cni,
        f"{networking}/pod_cidr": f"10.244.0.0/{length}",
    }
    (found,) = said(rules.pod_range_size, changes)
    assert f"has 1 blocks of a /{length}, one per node; 3 nodes" in found
    changes[f"{networking}/pod_cidr"] = f"10.244.0.0/{length + 1}"
    (found,) = said(rules.pod_range_size, changes)
    assert f"has 0 blocks of a /{length}, one per node; 3 nodes" in found


def test_as_many_blocks_as_nodes_are_enough() -> None:
    changes: dict[str, Any] = {
        "clusters/cloud/workers/1": GONE,
        "clusters/cloud/kubernetes/networking/pod_cidr": "10.244.0.0/25",
    }
    assert said(rules.pod_range_size, changes) == []


@pytest.mark.parametrize("key", ["hpc/network/subnet", "cloud/kubernetes/networking/pod_cidr"])
def test_a_malformed_range_is_not_compared(key: str) -> None:
    for rule in rules.RANGE_RULES:
        assert said(rule, {f"clusters/{key}": "wrong"}) == []


def test_a_malformed_pool_is_not_compared() -> None:
    changes = {"clusters/cloud/kubernetes/load_balancer/addresses": "some"}
    assert said(rules.overlapping_ranges, changes) == []


@pytest.mark.parametrize("nodes", ["control_plane", "workers"])
def test_nodes_of_either_kind_make_a_cluster_whose_ranges_count(nodes: str) -> None:
    other = {"control_plane": "workers", "workers": "control_plane"}[nodes]
    changes: dict[str, Any] = {
        f"clusters/cloud/{other}": [],
        "clusters/cloud/kubernetes/networking/pod_cidr": "192.168.100.0/24",
    }
    assert len(said(rules.overlapping_ranges, changes)) == 1
