"""Rules about storage: BeeGFS, shared directories, storage classes and their volumes."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from platform_assets.spec.addresses import address_of, network_of
from platform_assets.spec.findings import Finding, Path, Severity, dotted
from platform_assets.spec.machine_names import Machines
from platform_assets.spec.model.estate import CloudCluster, ClusterName, Estate
from platform_assets.spec.model.hpc import Beegfs, ClusterStorage
from platform_assets.spec.rules.grounds import Grounds, Rule
from platform_assets.spec.volumes import volumes

CLASSES: Path = ("clusters", "cloud", "kubernetes", "storage")
# Kubespray's addon installs this class when it is asked for by name.
LOCAL_PATH = "local-path"
LOCAL_PROVISIONERS = ("rancher.io/local-path", "kubernetes.io/no-provisioner")
# The kernel's virtio-fs: char tag[36] in linux/virtio_fs.h.
TAG_LENGTH = 36


def _storages(estate: Estate) -> Iterator[tuple[ClusterName, Path, ClusterStorage]]:
    hpc, cloud = estate.clusters.hpc, estate.clusters.cloud
    if hpc is not None:
        yield "hpc", ("clusters", "hpc", "storage"), hpc.storage
    if cloud is not None:
        yield "cloud", ("clusters", "cloud", "storage"), cloud.storage


def _beegfs_nodes(beegfs: Beegfs) -> Iterator[tuple[Path, str]]:
    if beegfs.management_node is not None:
        yield ("management_node",), beegfs.management_node
    for index, name in enumerate(beegfs.metadata_nodes):
        yield ("metadata_nodes", index), name
    for index, name in enumerate(beegfs.storage_nodes):
        yield ("storage_nodes", index), name


def beegfs_node(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """BeeGFS is to run on a node that is no machine of its cluster."""
    for cluster, path, storage in _storages(estate):
        beegfs = storage.beegfs
        if beegfs is None or not beegfs.enabled:
            continue
        names = [p.machine.name for p in estate.machines() if p.cluster == cluster]
        machines = Machines(estate, cluster)
        for inner, name in _beegfs_nodes(beegfs):
            if machines.named(name) is None:
                yield Finding(
                    "beegfs-node",
                    Severity.ERROR,
                    (*path, "beegfs", *inner),
                    f"no machine of {cluster} is called {name!r}",
                    f"use the name of a machine: {', '.join(names[:8]) or 'none is declared'}",
                )


def beegfs_parts(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """BeeGFS lacks a service that it cannot do without: management, metadata or storage."""
    for _, path, storage in _storages(estate):
        beegfs = storage.beegfs
        if beegfs is None or not beegfs.enabled:
            continue
        missing = [
            key
            for key in ("management_node", "metadata_nodes", "storage_nodes")
            if not getattr(beegfs, key)
        ]
        if missing:
            yield Finding(
                "beegfs-parts",
                Severity.ERROR,
                (*path, "beegfs"),
                f"BeeGFS is enabled without {', '.join(missing)}",
                "name a machine for each, or set enabled to false",
            )


def mounts(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A machine's shared directories contradict each other, or cannot be mounted.

    libvirt refuses a tag that a machine has twice; a tag has at most 36 bytes.
    """
    for placed in estate.machines():
        tags: set[str] = set()
        points: set[str] = set()
        for index, mount in enumerate(placed.machine.virtio_fs_mounts):
            if mount.tag in tags:
                key, message = "tag", f"tag {mount.tag!r} is used twice on {placed.machine.name}"
            elif not mount.tag or len(mount.tag.encode()) > TAG_LENGTH:
                key, message = "tag", f"tag {mount.tag!r} has not 1 to {TAG_LENGTH} bytes"
            elif mount.mount_point in points:
                key, message = "mount_point", f"{mount.mount_point} is mounted twice"
            elif not PurePosixPath(mount.mount_point).is_absolute():
                key, message = "mount_point", f"{mount.mount_point!r} is no absolute path"
            else:
                tags.add(mount.tag)
                points.add(mount.mount_point)
                continue
            path: Path = (*placed.path, "virtio_fs_mounts", index, key)
            remedy = "give each directory a short tag and an absolute mount point of its own"
            yield Finding("mounts", Severity.ERROR, path, message, remedy)


def mounts_switched_off(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A machine declares shared directories, and its cluster says that there are none."""
    for cluster, path, storage in _storages(estate):
        if storage.virtio_fs is None or storage.virtio_fs.enabled:
            continue
        for placed in estate.machines():
            if placed.cluster == cluster and placed.machine.virtio_fs_mounts:
                yield Finding(
                    "mounts-switched-off",
                    Severity.WARNING,
                    (*placed.path, "virtio_fs_mounts"),
                    f"{placed.machine.name} declares shared directories, but "
                    f"{dotted((*path, 'virtio_fs', 'enabled'))} is false",
                    "set it to true, or remove the mounts",
                )


def class_without_provisioner(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A storage class has no provisioner, so that nothing makes its volumes."""
    cloud = estate.clusters.cloud
    for index, each in enumerate(cloud.kubernetes.storage.classes if cloud else ()):
        if not each.provisioner:
            example = "rancher.io/local-path" if each.name == LOCAL_PATH else "nfs.csi.k8s.io"
            yield Finding(
                "class-without-provisioner",
                Severity.ERROR,
                (*CLASSES, "classes", index),
                f"storage class {each.name!r} has no provisioner: nothing makes its volumes",
                f"add provisioner, as in {example}",
            )


def duplicate_class(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A storage class is declared twice."""
    cloud = estate.clusters.cloud
    seen: set[str] = set()
    for index, each in enumerate(cloud.kubernetes.storage.classes if cloud else ()):
        if each.name in seen:
            yield Finding(
                "duplicate-class",
                Severity.ERROR,
                (*CLASSES, "classes", index, "name"),
                f"storage class {each.name!r} is declared twice",
                "remove or rename one of them",
            )
        seen.add(each.name)


def _known_classes(cloud: CloudCluster) -> set[str]:
    return {LOCAL_PATH} | {each.name for each in cloud.kubernetes.storage.classes}


def default_class(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """The default storage class is not declared (local-path needs no declaration)."""
    cloud = estate.clusters.cloud
    default = cloud.kubernetes.storage.default_class if cloud else None
    if cloud is not None and default is not None and default not in _known_classes(cloud):
        yield Finding(
            "default-class",
            Severity.ERROR,
            (*CLASSES, "default_class"),
            f"{default!r} is not declared; classes: {', '.join(sorted(_known_classes(cloud)))}",
            "declare it under kubernetes.storage.classes, or choose another",
        )


def undeclared_class(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A volume wants a storage class that is not declared: its claim stays pending for ever."""
    cloud = estate.clusters.cloud
    if cloud is None:
        return
    for each in volumes(cloud):
        wanted = each.volume.storage_class
        if wanted is not None and wanted not in _known_classes(cloud):
            yield Finding(
                "undeclared-class",
                Severity.ERROR,
                (*each.path, "class"),
                f"{each.service} wants the storage class {wanted!r}, which is not declared; "
                f"classes: {', '.join(sorted(_known_classes(cloud)))}",
                "declare it under kubernetes.storage.classes, or choose another",
            )


def no_default_class(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A volume names no storage class, and there is no default one: its claim stays pending."""
    cloud = estate.clusters.cloud
    if cloud is None or cloud.kubernetes.storage.default_class is not None:
        return
    for each in volumes(cloud):
        if each.volume.storage_class is None:
            yield Finding(
                "no-default-class",
                Severity.ERROR,
                each.path,
                f"{each.service}'s volume names no class, and there is no default one",
                "set kubernetes.storage.default_class, as in local-path",
            )


def node_local_volume(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A service has several pods on volumes that stay on their node.

    Each pod is bound to the node that holds its volume: when the node fails, the pod cannot move,
    so that several replicas are no high availability.
    """
    cloud = estate.clusters.cloud
    if cloud is None:
        return
    storage = cloud.kubernetes.storage
    local = {each.name for each in storage.classes if each.provisioner in LOCAL_PROVISIONERS}
    local.add(LOCAL_PATH)
    for each in volumes(cloud):
        used = each.volume.storage_class or storage.default_class
        if each.replicas > 1 and used in local:
            yield Finding(
                "node-local-volume",
                Severity.WARNING,
                (*each.path, "class"),
                f"{each.service} has {each.replicas} replicas on {used!r}, whose volumes stay on "
                "their node: a pod cannot leave a node that fails",
                "take a class whose volumes can move (nfs.csi.k8s.io, Longhorn, Ceph), "
                "or one replica",
            )


def server_of_other_cluster(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A storage class takes its volumes from a server in the HPC cluster.

    In sequential mode that server is off while the cloud runs, and every mount hangs; else libvirt
    drops what one NAT network sends to another, unless the host is told to let it pass.
    """
    cloud = estate.clusters.cloud
    hpc = estate.clusters.hpc
    if cloud is None or hpc is None:
        return
    subnet = network_of(hpc.network.subnet) if hpc.network is not None else None
    machines = {p.machine.ip: p.machine.name for p in estate.machines() if p.cluster == "hpc"}
    for index, each in enumerate(cloud.kubernetes.storage.classes):
        server = str(each.parameters.get("server", ""))
        address = address_of(server)
        if address is None or (server not in machines and (not subnet or address not in subnet)):
            continue
        sequential = estate.mode == "sequential"
        where = f"{server} ({machines[server]})" if server in machines else server
        yield Finding(
            "server-of-other-cluster",
            Severity.ERROR if sequential else Severity.WARNING,
            (*CLASSES, "classes", index, "parameters", "server"),
            f"storage class {each.name!r} lives on {where} in hpc, "
            + ("which is off while the cloud runs" if sequential else "behind another NAT network"),
            "take a server on the host or in the cloud"
            + ("" if sequential else ", or set both networks to mode routed"),
        )


STORAGE_RULES: tuple[Rule, ...] = (
    beegfs_node,
    beegfs_parts,
    mounts,
    mounts_switched_off,
    class_without_provisioner,
    duplicate_class,
    default_class,
    undeclared_class,
    no_default_class,
    node_local_volume,
    server_of_other_cluster,
)
