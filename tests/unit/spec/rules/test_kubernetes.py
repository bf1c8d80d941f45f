"""Rules about the Kubernetes cluster as a whole: each offence with what a person reads."""

from typing import Any

import pytest

from platform_assets.spec.rules import kubernetes as rules
from platform_assets.spec.rules.grounds import Rule
from tests.unit.spec.rules.sound import said

OFFENCES: list[tuple[Rule, dict[str, Any], list[str]]] = [
    (
        rules.control_plane_count,
        {
            "clusters/cloud/control_plane/1": {
                "name": "control-plane-2",
                "ip": "192.168.200.20",
                "cpu_cores": 8,
                "memory_gb": 32,
                "disk_gb": 200,
            }
        },
        [
            (
                "clusters.cloud.control_plane: 2 machines: etcd on them needs an odd number to "
                "have a majority -> declare 1 or 3"
            ),
        ],
    ),
    (
        rules.workers_without_control_plane,
        {"clusters/cloud/control_plane": []},
        [
            (
                "clusters.cloud: 2 workers, and no machine under control_plane -> declare one "
                "machine under control_plane, or three"
            ),
        ],
    ),
    (
        rules.control_plane_without_workers,
        {"clusters/cloud/workers": []},
        [
            (
                "[warning] clusters.cloud: no workers: the control plane's taint keeps "
                "services and endpoints away -> declare machines under workers"
            ),
        ],
    ),
    (
        rules.several_control_planes,
        {
            "clusters/cloud/control_plane/1": {
                "name": "control-plane-2",
                "ip": "192.168.200.20",
                "cpu_cores": 8,
                "memory_gb": 32,
                "disk_gb": 200,
            },
            "clusters/cloud/control_plane/2": {
                "name": "control-plane-3",
                "ip": "192.168.200.21",
                "cpu_cores": 8,
                "memory_gb": 32,
                "disk_gb": 200,
            },
        },
        [
            (
                "[warning] clusters.cloud.control_plane: 3 machines, and no "
                "kubernetes.virtual_ip: the API is lost to its users with the one machine that "
                "they name -> set kubernetes.virtual_ip, and kubernetes.load_balancer.provider "
                "to kube-vip"
            ),
        ],
    ),
    (
        rules.high_availability_of_one,
        {"clusters/cloud/control_plane/0/high_availability": True},
        [
            (
                "[warning] clusters.cloud.control_plane[0].high_availability: "
                "high_availability: true, but it is the only machine of the control plane -> "
                "declare three machines, or set it to false"
            ),
        ],
    ),
    (
        rules.role_contradicted,
        {"clusters/cloud/workers/0/kubernetes_role": "control-plane"},
        [
            (
                "clusters.cloud.workers[0].kubernetes_role: kubernetes_role is "
                "'control-plane', but the machine is declared as worker -> move the machine, "
                "or remove the key"
            ),
        ],
    ),
    (
        rules.unknown_plugin,
        {
            "clusters/cloud/kubernetes/networking/cni": "weave",
            "clusters/cloud/kubernetes/runtime": "podman",
            "clusters/cloud/kubernetes/ingress/provider": "traefik",
        },
        [
            (
                "clusters.cloud.kubernetes.networking.cni: 'weave' is not supported -> choose "
                "one of calico, flannel, cilium, cni, kube-ovn, kube-router, macvlan, "
                "custom_cni"
            ),
            (
                "clusters.cloud.kubernetes.runtime: 'podman' is not supported -> choose one of "
                "containerd, crio, docker"
            ),
            (
                "clusters.cloud.kubernetes.ingress.provider: 'traefik' is not supported -> "
                "choose one of nginx, gateway-api"
            ),
        ],
    ),
    (
        rules.policies_not_enforced,
        {"clusters/cloud/kubernetes/networking/cni": "flannel"},
        [
            (
                "[warning] clusters.cloud.kubernetes.networking.cni: flannel enforces no "
                "network policies, security.network_policies wants them -> choose calico or "
                "cilium, or set security.network_policies to false"
            ),
        ],
    ),
    (
        rules.operating_systems_differ,
        {
            "images/cloud-base/operating_system": "Debian 12",
            "clusters/cloud/kubernetes/operating_system": "debian 13",
        },
        [
            (
                "clusters.cloud.kubernetes.operating_system: operating_system is 'debian 13', "
                "but the image 'cloud-base' holds 'Debian 12' -> write the same at both "
                "places, or leave it out here: the image decides"
            ),
        ],
    ),
    (
        rules.isolated_cloud,
        {"clusters/cloud/network/mode": "isolated"},
        [
            (
                "[warning] clusters.cloud.network.mode: mode isolated: Kubespray on these "
                "machines cannot fetch packages and images -> set the mode to nat, unless "
                "mirrors stand on that network"
            ),
        ],
    ),
    (
        rules.worker_type_contradicted,
        {
            "clusters/cloud/workers/1/worker_type": "cpu",
            "clusters/cloud/workers/0/worker_type": "gpu",
        },
        [
            (
                "clusters.cloud.workers[0].worker_type: worker_type of cpu-worker-1 is gpu, "
                "but it declares no GPU -> change worker_type, or the devices "
                "(pcie_passthrough, gpu, gpu_enabled)"
            ),
            (
                "clusters.cloud.workers[1].worker_type: worker_type of gpu-worker-1 is cpu, "
                "but it declares a GPU -> change worker_type, or the devices "
                "(pcie_passthrough, gpu, gpu_enabled)"
            ),
        ],
    ),
]


@pytest.mark.parametrize(("rule", "changes", "expected"), OFFENCES)
def test_an_offence_is_told(rule: Rule, changes: dict[str, Any], expected: list[str]) -> None:
    assert said(rule, changes) == expected


def test_each_rule_has_an_offence() -> None:
    assert {rule for rule, _, _ in OFFENCES} == set(rules.KUBERNETES_RULES)


def test_the_images_of_other_clusters_may_hold_another_system() -> None:
    changes = {
        "images/hpc-base/operating_system": "Ubuntu 22.04",
        "clusters/hpc/controller/image": "hpc-base",
    }
    assert said(rules.operating_systems_differ, changes) == []
