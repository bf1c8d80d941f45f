"""Rules about virtual addresses: each offence with what a person reads."""

from typing import Any

import pytest

from platform_assets.spec.rules import virtual_ips as rules
from platform_assets.spec.rules.grounds import Rule
from tests.unit.spec.rules.sound import GONE, said

OFFENCES: list[tuple[Rule, dict[str, Any], list[str]]] = [
    (
        rules.virtual_ip_without_load_balancer,
        {
            "clusters/cloud/kubernetes/load_balancer": GONE,
            "clusters/cloud/kubernetes/virtual_ip": "192.168.200.5",
        },
        [
            (
                "clusters.cloud.kubernetes.ingress.load_balancer_ip: 192.168.200.100 is to be "
                "the virtual address of the ingress, but kubernetes.load_balancer declares no "
                "provider that announces it -> set kubernetes.load_balancer.provider to "
                "metallb (or kube-vip), and addresses to a range of 192.168.200.0/24 that "
                "holds it"
            ),
            (
                "clusters.cloud.kubernetes.virtual_ip: 192.168.200.5 is to be the virtual "
                "address of the API server, but kubernetes.load_balancer declares no provider "
                "that announces it -> set kubernetes.load_balancer.provider to kube-vip"
            ),
        ],
    ),
    (
        rules.api_address_by_metallb,
        {"clusters/cloud/kubernetes/virtual_ip": "192.168.200.5"},
        [
            (
                "[warning] clusters.cloud.kubernetes.virtual_ip: MetalLB cannot announce "
                "192.168.200.5: it runs on the cluster whose API server the address is for -> "
                "set kubernetes.load_balancer.provider to kube-vip, which announces both kinds"
            ),
        ],
    ),
    (
        rules.ingress_ip_outside_range,
        {"clusters/cloud/kubernetes/ingress/load_balancer_ip": "192.168.200.99"},
        [
            (
                "clusters.cloud.kubernetes.ingress.load_balancer_ip: 192.168.200.99 is not one "
                "of 192.168.200.100-192.168.200.120, the addresses that the load balancer "
                "gives -> take an address of that range, or widen "
                "kubernetes.load_balancer.addresses"
            ),
        ],
    ),
    (
        rules.virtual_ip_off_network,
        {
            "clusters/cloud/kubernetes/virtual_ip": "192.168.201.5",
            "clusters/cloud/kubernetes/ingress/load_balancer_ip": "192.168.200.255",
        },
        [
            (
                "clusters.cloud.kubernetes.virtual_ip: 192.168.201.5 lies outside "
                "192.168.200.0/24, the network of cloud -> take a free address of "
                "192.168.200.0/24, outside the DHCP range"
            ),
            (
                "clusters.cloud.kubernetes.ingress.load_balancer_ip: 192.168.200.255 is taken "
                "by the network itself -> take a free address of 192.168.200.0/24, outside the "
                "DHCP range"
            ),
        ],
    ),
    (
        rules.virtual_ip_off_network,
        {
            "clusters/cloud/kubernetes/virtual_ip": "192.168.200.1",
            "clusters/cloud/kubernetes/ingress/load_balancer_ip": "192.168.200.201",
        },
        [
            (
                "clusters.cloud.kubernetes.virtual_ip: 192.168.200.1 is taken by the network "
                "itself -> take a free address of 192.168.200.0/24, outside the DHCP range"
            ),
            (
                "clusters.cloud.kubernetes.ingress.load_balancer_ip: 192.168.200.201 lies in "
                "the DHCP range 192.168.200.200 to 192.168.200.250 -> take a free address of "
                "192.168.200.0/24, outside the DHCP range"
            ),
        ],
    ),
    (
        rules.load_balancer_without_addresses,
        {"clusters/cloud/kubernetes/load_balancer/addresses": GONE},
        [
            (
                "clusters.cloud.kubernetes.load_balancer: metallb has no addresses to give, "
                "every service would stay pending -> add addresses, as in "
                "192.168.200.100-192.168.200.120"
            ),
        ],
    ),
    (
        rules.load_balancer_without_addresses,
        {
            "clusters/cloud/kubernetes/load_balancer": {"provider": "kube-vip"},
            "clusters/cloud/kubernetes/ingress/load_balancer_ip": GONE,
            "clusters/cloud/mlops/mlflow/service": {"type": "LoadBalancer"},
        },
        [
            (
                "clusters.cloud.kubernetes.load_balancer: kube-vip has no addresses to give, "
                "every service would stay pending -> add addresses, as in "
                "192.168.200.100-192.168.200.120"
            ),
        ],
    ),
    (
        rules.service_without_load_balancer,
        {
            "clusters/cloud/kubernetes/load_balancer": GONE,
            "clusters/cloud/mlops/minio/service/type": "LoadBalancer",
        },
        [
            (
                "clusters.cloud.mlops.minio.service.type: type LoadBalancer, but "
                "kubernetes.load_balancer declares no provider -> set "
                "kubernetes.load_balancer.provider to metallb or kube-vip, or the type to "
                "ClusterIP or NodePort"
            ),
        ],
    ),
]


@pytest.mark.parametrize(("rule", "changes", "expected"), OFFENCES)
def test_an_offence_is_told(rule: Rule, changes: dict[str, Any], expected: list[str]) -> None:
    assert said(rule, changes) == expected


def test_each_rule_has_an_offence() -> None:
    assert {rule for rule, _, _ in OFFENCES} == set(rules.VIRTUAL_IP_RULES)


def test_without_load_balancer_metallb_is_not_named() -> None:
    changes = {
        "clusters/cloud/kubernetes/load_balancer": GONE,
        "clusters/cloud/kubernetes/virtual_ip": "192.168.200.5",
    }
    assert said(rules.api_address_by_metallb, changes) == []


def test_a_service_behind_a_load_balancer_gets_its_address() -> None:
    changes = {"clusters/cloud/mlops/minio/service/type": "LoadBalancer"}
    assert said(rules.service_without_load_balancer, changes) == []


def test_a_service_that_is_off_needs_no_address() -> None:
    changes: dict[str, Any] = {
        "clusters/cloud/kubernetes/load_balancer": GONE,
        "clusters/cloud/mlops/minio": {"enabled": False, "service": {"type": "LoadBalancer"}},
    }
    assert said(rules.service_without_load_balancer, changes) == []
