"""Dialects of the estate itself, of its clusters, networks and SLURM."""

from platform_assets.spec.findings import Path, Severity
from platform_assets.spec.loading.dialect import (
    Dialect,
    is_foreign,
    move,
    section,
    tell_foreign,
)
from platform_assets.spec.loading.machine_dialects import machines, name_all, worker_kind, workers
from platform_assets.spec.loading.reading import Reading
from platform_assets.spec.loading.tree import Node
from platform_assets.spec.model.base import Declared
from platform_assets.spec.model.estate import CloudCluster, Clusters, Estate
from platform_assets.spec.model.hpc import HpcCluster, Slurm, SlurmDatabase
from platform_assets.spec.model.networks import Network

_CLUSTERS = ("hpc", "cloud")
_IMAGE = {"base_image_path": "image", "image_path": "image"}
# What belongs to SLURM, and where; it is found with the cluster, the controller or SLURM.
_SLURM_KEYS = {
    "slurm": "slurm",
    "slurm_config": "slurm",
    "slurm_accounting": "accounting",
    "enable_accounting": "enable_accounting",
    "enable_database": "enable_database",
    "database": "database",
}


def _estate(node: Node, path: Path, reading: Reading) -> None:
    for key in [key for key in node.keys if is_foreign(key)]:
        tell_foreign(node, key, path, reading)
    containers = node.keys.get("containers")
    if containers is not None and set(containers.keys) <= {"test_images"}:
        tell_foreign(node, "containers", path, reading)
    for key in ("name", "description"):
        if key in node.keys and (metadata := section(node, "metadata", node.keys[key])):
            move(node, key, (metadata, key), ("metadata",), reading)
    shared = node.keys.get("global")
    if shared is not None and shared.is_mapping:
        move(shared, "gpu_allocation", (node, "gpus"), path, reading)
        move(shared, "networks", (node, "networks"), path, reading)
        _rest_is_unknown(shared, ("global",), reading)
        del node.keys["global"]
    move(node, "gpu_allocation", (node, "gpus"), path, reading)
    networks = node.keys.get("networks")
    if networks is not None and (networks.is_mapping or networks.value is None):
        for cluster in _CLUSTERS:
            for key in (cluster, f"{cluster}_network"):
                _network_to_its_cluster(node, networks, key, cluster, reading)
        _rest_is_unknown(networks, ("networks",), reading)
        del node.keys["networks"]


def _network_to_its_cluster(
    node: Node, networks: Node, key: str, cluster: str, reading: Reading
) -> None:
    clusters = node.keys.get("clusters")
    if key not in networks.keys:
        return
    if clusters is None or cluster not in clusters.keys:
        network = networks.keys.pop(key)
        reading.tell(
            network,
            "network-without-cluster",
            ("networks", key),
            f"{key}: a network of the cluster {cluster}, which is not declared",
            f"declare `clusters.{cluster}`, or take the network out",
            severity=Severity.WARNING,
        )
        return
    target = section(clusters, cluster, clusters.keys[cluster])
    if target is not None:
        path = ("clusters", cluster)
        _read_dns(networks.keys[key], (*path, "network"), reading)
        move(networks, key, (target, "network"), path, reading)


def _rest_is_unknown(node: Node, path: Path, reading: Reading) -> None:
    for key, child in node.keys.items():
        remedy = "take it out, or write it where the reference of keys has it"
        reading.tell(child, "unknown-key", (*path, key), f"{key}: unknown here", remedy)


def _clusters(node: Node, path: Path, reading: Reading) -> None:
    """A cluster of which only comments are written is declared, though it has nothing."""
    del path, reading
    for key in _CLUSTERS:
        if key in node.keys and node.keys[key].value is None:
            node.keys[key] = node.keys[key].beside({})


def _cluster(node: Node, path: Path, reading: Reading) -> None:
    for key in [key for key in node.keys if is_foreign(key)]:
        tell_foreign(node, key, path, reading)


def _hpc(node: Node, path: Path, reading: Reading) -> None:
    _cluster(node, path, reading)
    controller = node.keys.get("controller")
    if controller is not None and controller.is_list and len(controller.items) == 1:
        controller = node.keys["controller"] = controller.items[0]
    for holder in (node, controller):
        if holder is not None:
            _slurm_of(holder, node, path, reading)
    if controller is not None and controller.is_mapping:
        name = controller.keys.get("name", controller.keys.get("hostname"))
        if name is None or name.value is None:
            controller.keys["name"] = controller.beside("controller")
    group = node.keys.get("compute_nodes")
    if group is not None:
        nodes = machines(group, (*path, "compute_nodes"), reading)
        name_all(nodes, lambda _: "compute")
        node.keys["compute_nodes"] = group.beside([*nodes])


def _slurm_of(holder: Node, cluster: Node, path: Path, reading: Reading) -> None:
    """Move what belongs to SLURM from the cluster or its controller to the cluster's `slurm`."""
    for key, name in _SLURM_KEYS.items():
        if key not in holder.keys or (key == "slurm" and holder is cluster):
            continue
        if name == "slurm":
            move(holder, key, (cluster, "slurm"), path, reading)
        elif slurm := section(cluster, "slurm", holder.keys[key]):
            move(holder, key, (slurm, name), (*path, "slurm"), reading)
    slurm = cluster.keys.get("slurm")
    for source in (holder, slurm):
        if source is not None and source is not cluster:
            move(source, "container_registry", (cluster, "container_registry"), path, reading)


def _cloud(node: Node, path: Path, reading: Reading) -> None:
    _cluster(node, path, reading)
    plane = node.keys.get("control_plane")
    if plane is not None:
        nodes = machines(plane, (*path, "control_plane"), reading)
        name_all(nodes, lambda _: "control-plane")
        node.keys["control_plane"] = plane.beside([*nodes])
    groups = [(key, node.keys.pop(key)) for key in ("workers", "worker_nodes") if key in node.keys]
    if groups:
        nodes = [
            machine for key, group in groups for machine in workers(group, (*path, key), reading)
        ]
        name_all(nodes, worker_kind)
        node.keys["workers"] = groups[0][1].beside(nodes)


def _read_dns(node: Node, path: Path, reading: Reading) -> None:
    """`dns: {enabled, nameservers}`, or a list of name servers."""
    dns = node.keys.get("dns")
    if dns is not None and dns.is_list:
        move(node, "dns", (node, "dns_servers"), path, reading)
    elif dns is not None and dns.is_mapping:
        del node.keys["dns"]
        enabled = dns.keys.pop("enabled", None)
        servers = dns.keys.pop("nameservers", None)
        if servers is not None and not (enabled and (enabled.text or "").lower() == "false"):
            node.keys["nameservers"] = servers
        _rest_is_unknown(dns, (*path, "dns"), reading)
    move(node, "nameservers", (node, "dns_servers"), path, reading)


ESTATE_DIALECTS: dict[type[Declared], Dialect] = {
    Estate: Dialect(
        elsewhere=frozenset(
            {"name", "description", "global", "networks", "gpu_allocation", "containers"}
        ),
        read=_estate,
    ),
    Clusters: Dialect(read=_clusters),
    HpcCluster: Dialect(
        spellings=_IMAGE,
        elsewhere=frozenset(_SLURM_KEYS) - {"slurm"},
        read=_hpc,
    ),
    CloudCluster: Dialect(
        spellings={**_IMAGE, "kubernetes_config": "kubernetes"},
        elsewhere=frozenset({"worker_nodes"}),
        read=_cloud,
    ),
    Network: Dialect(elsewhere=frozenset({"dns", "nameservers"}), read=_read_dns),
    Slurm: Dialect(spellings={"slurm_accounting": "accounting"}),
    SlurmDatabase: Dialect(spellings={"database": "name", "username": "user"}),
}
