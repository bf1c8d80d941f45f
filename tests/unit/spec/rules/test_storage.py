"""Rules about BeeGFS, shared directories and volumes: each offence with what a person reads."""

from typing import Any

import pytest

from platform_assets.spec.rules import storage as rules
from platform_assets.spec.rules.grounds import Rule
from tests.unit.spec.rules.sound import GONE, said

OFFENCES: list[tuple[Rule, dict[str, Any], list[str]]] = [
    (
        rules.beegfs_node,
        {
            "clusters/hpc/storage/beegfs/management_node": "mgmt",
            "clusters/hpc/storage/beegfs/storage_nodes": ["compute-1", "compute-3"],
        },
        [
            (
                "clusters.hpc.storage.beegfs.management_node: no machine of hpc is called "
                "'mgmt' -> use the name of a machine: controller, compute-1, compute-2"
            ),
            (
                "clusters.hpc.storage.beegfs.storage_nodes[1]: no machine of hpc is called "
                "'compute-3' -> use the name of a machine: controller, compute-1, compute-2"
            ),
        ],
    ),
    (
        rules.beegfs_parts,
        {
            "clusters/hpc/storage/beegfs/management_node": GONE,
            "clusters/hpc/storage/beegfs/storage_nodes": [],
        },
        [
            (
                "clusters.hpc.storage.beegfs: BeeGFS is enabled without management_node, "
                "storage_nodes -> name a machine for each, or set enabled to false"
            ),
        ],
    ),
    (
        rules.mounts,
        {"clusters/hpc/compute_nodes/0/virtio_fs_mounts/1/tag": "data"},
        [
            (
                "clusters.hpc.compute_nodes[0].virtio_fs_mounts[1].tag: tag 'data' is used "
                "twice on compute-1 -> give each directory a short tag and an absolute mount "
                "point of its own"
            ),
        ],
    ),
    (
        rules.mounts,
        {"clusters/hpc/compute_nodes/0/virtio_fs_mounts/1/tag": "x" * 37},
        [
            (
                "clusters.hpc.compute_nodes[0].virtio_fs_mounts[1].tag: tag "
                "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' has not 1 to 36 bytes -> give each "
                "directory a short tag and an absolute mount point of its own"
            ),
        ],
    ),
    (
        rules.mounts,
        {"clusters/hpc/compute_nodes/0/virtio_fs_mounts/1/mount_point": "/data"},
        [
            (
                "clusters.hpc.compute_nodes[0].virtio_fs_mounts[1].mount_point: /data is "
                "mounted twice -> give each directory a short tag and an absolute mount point "
                "of its own"
            ),
        ],
    ),
    (
        rules.mounts,
        {"clusters/hpc/compute_nodes/0/virtio_fs_mounts/1/mount_point": "home"},
        [
            (
                "clusters.hpc.compute_nodes[0].virtio_fs_mounts[1].mount_point: 'home' is no "
                "absolute path -> give each directory a short tag and an absolute mount point "
                "of its own"
            ),
        ],
    ),
    (
        rules.mounts_switched_off,
        {"clusters/hpc/storage/virtio_fs/enabled": False},
        [
            (
                "[warning] clusters.hpc.compute_nodes[0].virtio_fs_mounts: compute-1 declares "
                "shared directories, but clusters.hpc.storage.virtio_fs.enabled is false -> "
                "set it to true, or remove the mounts"
            ),
        ],
    ),
    (
        rules.class_without_provisioner,
        {
            "clusters/cloud/kubernetes/storage/classes/0/provisioner": GONE,
            "clusters/cloud/kubernetes/storage/classes/1/provisioner": "",
        },
        [
            (
                "clusters.cloud.kubernetes.storage.classes[0]: storage class 'local-path' has "
                "no provisioner: nothing makes its volumes -> add provisioner, as in "
                "rancher.io/local-path"
            ),
            (
                "clusters.cloud.kubernetes.storage.classes[1]: storage class 'nfs' has no "
                "provisioner: nothing makes its volumes -> add provisioner, as in "
                "nfs.csi.k8s.io"
            ),
        ],
    ),
    (
        rules.duplicate_class,
        {"clusters/cloud/kubernetes/storage/classes/1/name": "local-path"},
        [
            (
                "clusters.cloud.kubernetes.storage.classes[1].name: storage class 'local-path' "
                "is declared twice -> remove or rename one of them"
            ),
        ],
    ),
    (
        rules.default_class,
        {"clusters/cloud/kubernetes/storage/default_class": "ceph"},
        [
            (
                "clusters.cloud.kubernetes.storage.default_class: 'ceph' is not declared; "
                "classes: local-path, nfs -> declare it under kubernetes.storage.classes, or "
                "choose another"
            ),
        ],
    ),
    (
        rules.undeclared_class,
        {"clusters/cloud/mlops/minio/storage": {"class": "ceph"}},
        [
            (
                "clusters.cloud.mlops.minio.storage.class: minio wants the storage class "
                "'ceph', which is not declared; classes: local-path, nfs -> declare it under "
                "kubernetes.storage.classes, or choose another"
            ),
        ],
    ),
    (
        rules.no_default_class,
        {
            "clusters/cloud/kubernetes/storage/default_class": GONE,
            "clusters/cloud/mlops/minio/enabled": False,
            "clusters/cloud/monitoring": {},
        },
        [
            (
                "clusters.cloud.mlops.postgresql.storage: postgresql's volume names no class, "
                "and there is no default one -> set kubernetes.storage.default_class, as in "
                "local-path"
            ),
        ],
    ),
    (
        rules.node_local_volume,
        {"clusters/cloud/mlops/postgresql/replicas": 3},
        [
            (
                "[warning] clusters.cloud.mlops.postgresql.storage.class: postgresql has 3 "
                "replicas on 'local-path', whose volumes stay on their node: a pod cannot "
                "leave a node that fails -> take a class whose volumes can move "
                "(nfs.csi.k8s.io, Longhorn, Ceph), or one replica"
            ),
        ],
    ),
    (
        rules.server_of_other_cluster,
        {"clusters/cloud/kubernetes/storage/classes/1/parameters/server": "192.168.100.10"},
        [
            (
                "[warning] clusters.cloud.kubernetes.storage.classes[1].parameters.server: "
                "storage class 'nfs' lives on 192.168.100.10 (controller) in hpc, behind "
                "another NAT network -> take a server on the host or in the cloud, or set both "
                "networks to mode routed"
            ),
        ],
    ),
    (
        rules.server_of_other_cluster,
        {
            "clusters/cloud/kubernetes/storage/classes/1/parameters/server": "192.168.100.99",
            "mode": "sequential",
        },
        [
            (
                "clusters.cloud.kubernetes.storage.classes[1].parameters.server: storage class "
                "'nfs' lives on 192.168.100.99 in hpc, which is off while the cloud runs -> "
                "take a server on the host or in the cloud"
            ),
        ],
    ),
]


@pytest.mark.parametrize(("rule", "changes", "expected"), OFFENCES)
def test_an_offence_is_told(rule: Rule, changes: dict[str, Any], expected: list[str]) -> None:
    assert said(rule, changes) == expected


def test_each_rule_has_an_offence() -> None:
    assert {rule for rule, _, _ in OFFENCES} == set(rules.STORAGE_RULES)


@pytest.mark.parametrize("cluster", ["hpc", "cloud"])
def test_the_storage_of_either_cluster_is_looked_at(cluster: str) -> None:
    beegfs = {"management_node": "nobody"}
    (found,) = said(rules.beegfs_node, {f"clusters/{cluster}/storage/beegfs": beegfs})
    assert found.startswith(f"clusters.{cluster}.storage.beegfs.management_node: ")


@pytest.mark.parametrize(("replicas", "told"), [(1, 0), (2, 1)])
def test_two_pods_on_volumes_of_their_nodes_are_told(replicas: int, told: int) -> None:
    changes = {"clusters/cloud/mlops/postgresql/replicas": replicas}
    assert len(said(rules.node_local_volume, changes)) == told


def test_a_file_system_that_is_off_hides_no_other() -> None:
    changes: dict[str, Any] = {
        "clusters/hpc/storage/beegfs/enabled": False,
        "clusters/cloud/storage/beegfs": {"management_node": "cpu-worker-1"},
    }
    (found,) = said(rules.beegfs_parts, changes)
    assert "BeeGFS is enabled without metadata_nodes, storage_nodes" in found
    changes["clusters/cloud/storage/beegfs"]["management_node"] = "nobody"
    assert len(said(rules.beegfs_node, changes)) == 1


def test_a_file_system_without_management_is_told_by_one_rule() -> None:
    changes = {"clusters/hpc/storage/beegfs/management_node": GONE}
    assert said(rules.beegfs_node, changes) == []
    assert len(said(rules.beegfs_parts, changes)) == 1
