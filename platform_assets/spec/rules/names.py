"""Rules about names: of machines, of the assets made from them, and of what Kubernetes holds."""

import re
from collections.abc import Callable, Iterable, Iterator

from platform_assets.spec.findings import Finding, Path, Severity, dotted
from platform_assets.spec.kubernetes_names import (
    wrong_label_name,
    wrong_service_name,
    wrong_subdomain,
)
from platform_assets.spec.model.estate import ClusterName, Estate
from platform_assets.spec.rules.grounds import Grounds, Rule

CLOUD: Path = ("clusters", "cloud")


def duplicate_machine_name(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Two machines of one cluster have one name: the second would take the first one's disk."""
    first: dict[tuple[ClusterName, str], Path] = {}
    for placed in estate.machines():
        key = (placed.cluster, placed.machine.name)
        if key in first:
            yield Finding(
                "duplicate-machine-name",
                Severity.ERROR,
                (*placed.path, "name"),
                f"{placed.machine.name!r} is also the name of {dotted(first[key])}",
                "rename one of them",
            )
        first.setdefault(key, placed.path)


def asset_name(text: str) -> str:
    """Return a name as assets carry it, whose names hold letters, digits and `_` only."""
    return re.sub(r"[-.]", "_", text)


def asset_name_collision(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Two names differ, but not as names of assets, where `-` and `.` are `_`."""
    machines = (
        ((*p.path, "name"), f"{p.cluster}_{p.machine.name}", p.machine.name)
        for p in estate.machines()
    )
    images = ((("images", name), name, name) for name in estate.images)
    for things in (machines, images):
        yield from _collisions(things)


def _collisions(things: Iterable[tuple[Path, str, str]]) -> Iterator[Finding]:
    first: dict[str, tuple[Path, str]] = {}
    for path, full, name in things:
        asset = asset_name(full)
        place, other = first.setdefault(asset, (path, name))
        if other != name:
            yield Finding(
                "asset-name-collision",
                Severity.ERROR,
                path,
                f"{name!r} and {other!r} ({dotted(place)}) would both be the asset {asset}",
                "rename one of them so that more than '-', '.' and '_' tells them apart",
            )


def machine_name(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A machine's name is no host name.

    It becomes the machine's host name, and in the cloud the node's name, where Kubespray stops at
    `Stop if bad hostname`; the label kubernetes.io/hostname holds at most 63 characters.
    """
    for placed in estate.machines():
        expected = wrong_subdomain(placed.machine.name, 63)
        if placed.machine.name == "localhost":
            expected = "another name than the one by which each machine knows itself"
        if expected is not None:
            yield Finding(
                "machine-name",
                Severity.ERROR,
                (*placed.path, "name"),
                f"{placed.machine.name!r} is no host name: expected {expected}",
                f"rename it, as in {_host_name(placed.machine.name) or 'gpu-worker-1'!r}",
            )


def _host_name(text: str) -> str:
    small = re.sub(r"[^a-z0-9]+", "-", text.lower())[:63].strip("-")
    return "" if small == "localhost" else small


def duplicate_cluster_name(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Both clusters have one name, so that people and libvirt networks cannot tell them apart."""
    hpc, cloud = estate.clusters.hpc, estate.clusters.cloud
    if hpc is not None and cloud is not None and hpc.name == cloud.name:
        yield Finding(
            "duplicate-cluster-name",
            Severity.ERROR,
            (*CLOUD, "name"),
            f"{cloud.name!r} is also the name of clusters.hpc",
            "rename one of them",
        )


def image_name(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """An image has a name that no asset can carry."""
    for name in estate.images:
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
            yield Finding(
                "image-name",
                Severity.ERROR,
                ("images", name),
                f"{name!r} names an image: expected letters, digits, '-', '_' and '.'",
                "rename it, here and where it is used",
            )


Judge = Callable[[str], str | None]


def kubernetes_name(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Something that becomes an object in Kubernetes has a name that its API refuses."""
    for path, kind, text, judge in _kubernetes_names(estate):
        expected = judge(text)
        if expected is not None:
            yield Finding(
                "kubernetes-name",
                Severity.ERROR,
                path,
                f"{text!r} names a {kind}: expected {expected}",
                "rename it",
            )


def _kubernetes_names(estate: Estate) -> Iterator[tuple[Path, str, str, Judge]]:
    cloud = estate.clusters.cloud
    if cloud is None:
        return
    inside: Path = (*CLOUD, "kubernetes")
    domain = cloud.kubernetes.networking.dns_domain
    yield (*inside, "networking", "dns_domain"), "DNS domain", domain, wrong_subdomain
    for index, storage_class in enumerate(cloud.kubernetes.storage.classes):
        path = (*inside, "storage", "classes", index, "name")
        yield path, "storage class", storage_class.name, wrong_subdomain
    operator = cloud.kubernetes.gpu_operator
    if operator is not None and operator.device_plugin.config is not None:
        path = (*inside, "gpu_operator", "device_plugin", "config", "name")
        yield path, "ConfigMap", operator.device_plugin.config.name, wrong_subdomain
    yield from _names_of_services(estate)


def _names_of_services(estate: Estate) -> Iterator[tuple[Path, str, str, Judge]]:
    cloud = estate.clusters.cloud
    if cloud is None:
        return
    mlops, inside = cloud.mlops, (*CLOUD, "mlops")
    yield (*inside, "namespace"), "namespace", mlops.namespace, wrong_label_name
    for name in ("mlflow", "minio", "seaweedfs", "postgresql"):
        declared = getattr(mlops, name)
        if declared is not None and declared.service.name is not None:
            path = (*inside, name, "service", "name")
            yield path, "Service", declared.service.name, wrong_service_name
    kserve = mlops.serving.kserve if mlops.serving else None
    if kserve is None:
        return
    serving = (*inside, "serving", "kserve")
    yield (*serving, "namespace"), "namespace", kserve.namespace, wrong_label_name
    path = (*serving, "inference_services", "namespace")
    yield path, "namespace", kserve.inference_services.namespace, wrong_label_name
    for index, runtime in enumerate(kserve.runtimes):
        at = (*serving, "runtimes", index)
        yield (*at, "name"), "ServingRuntime", runtime.name, wrong_subdomain
        if runtime.namespace is not None:
            yield (*at, "namespace"), "namespace", runtime.namespace, wrong_label_name


NAME_RULES: tuple[Rule, ...] = (
    duplicate_machine_name,
    asset_name_collision,
    machine_name,
    duplicate_cluster_name,
    image_name,
    kubernetes_name,
)
