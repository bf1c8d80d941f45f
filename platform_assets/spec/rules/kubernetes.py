"""Rules about the Kubernetes cluster as a whole: its control plane, plugins, and GPU Operator.

Versions are judged in `spec/compatibility.py`, nodes in `nodes.py`, addresses in `ranges.py`.
"""

import re
from collections.abc import Iterator

from platform_assets.spec.findings import Finding, Path, Severity
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.rules.grounds import Grounds, Rule

CLOUD: Path = ("clusters", "cloud")
KUBERNETES: Path = (*CLOUD, "kubernetes")
# Kubespray, roles/validate_inventory/tasks/main.yml, `Stop if unsupported options selected`.
CNI = ("calico", "flannel", "cilium", "cni", "kube-ovn", "kube-router", "macvlan", "custom_cni")
RUNTIMES = ("containerd", "crio", "docker")
WITHOUT_POLICIES = ("flannel", "macvlan")
INGRESS = ("nginx", "gateway-api")


def control_plane_count(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """The control plane has an even number of machines.

    etcd needs a majority: four machines bear no more failures than three. Kubespray stops at `Stop
    if even number of etcd hosts`.
    """
    cloud = estate.clusters.cloud
    count = len(cloud.control_plane) if cloud is not None else 0
    if count and count % 2 == 0:
        yield Finding(
            "control-plane-count",
            Severity.ERROR,
            (*CLOUD, "control_plane"),
            f"{count} machines: etcd on them needs an odd number to have a majority",
            f"declare {count - 1} or {count + 1}",
        )


def workers_without_control_plane(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """The cloud has workers, and no control plane that they could join."""
    cloud = estate.clusters.cloud
    if cloud is not None and cloud.workers and not cloud.control_plane:
        yield Finding(
            "workers-without-control-plane",
            Severity.ERROR,
            CLOUD,
            f"{len(cloud.workers)} workers, and no machine under control_plane",
            "declare one machine under control_plane, or three",
        )


def control_plane_without_workers(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """The cloud has a control plane only, whose taint keeps all services away."""
    cloud = estate.clusters.cloud
    if cloud is not None and cloud.control_plane and not cloud.workers:
        yield Finding(
            "control-plane-without-workers",
            Severity.WARNING,
            CLOUD,
            "no workers: the control plane's taint keeps services and endpoints away",
            "declare machines under workers",
        )


def several_control_planes(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Several machines of the control plane have no address in common.

    Whoever uses the cluster names one of them, and is cut off when that one fails.
    """
    cloud = estate.clusters.cloud
    if cloud is None or cloud.kubernetes.virtual_ip is not None:
        return
    if len(cloud.control_plane) > 1:
        yield Finding(
            "several-control-planes",
            Severity.WARNING,
            (*CLOUD, "control_plane"),
            f"{len(cloud.control_plane)} machines, and no kubernetes.virtual_ip: "
            "the API is lost to its users with the one machine that they name",
            "set kubernetes.virtual_ip, and kubernetes.load_balancer.provider to kube-vip",
        )


def high_availability_of_one(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A machine of the control plane claims high availability, and is the only one."""
    cloud = estate.clusters.cloud
    if (
        cloud is None
        or len(cloud.control_plane) != 1
        or not cloud.control_plane[0].high_availability
    ):
        return
    yield Finding(
        "high-availability-of-one",
        Severity.WARNING,
        (*CLOUD, "control_plane", 0, "high_availability"),
        "high_availability: true, but it is the only machine of the control plane",
        "declare three machines, or set it to false",
    )


def role_contradicted(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A machine's kubernetes_role is not that of the list it stands in, which decides."""
    for placed in estate.machines():
        role = placed.machine.kubernetes_role
        if role is not None and role != placed.role:
            yield Finding(
                "role-contradicted",
                Severity.ERROR,
                (*placed.path, "kubernetes_role"),
                f"kubernetes_role is {role!r}, but the machine is declared as {placed.role}",
                "move the machine, or remove the key",
            )


def unknown_plugin(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A network plugin, container runtime or ingress is one that nothing here installs."""
    cloud = estate.clusters.cloud
    if cloud is None:
        return
    kubernetes = cloud.kubernetes
    chosen: list[tuple[Path, str, tuple[str, ...]]] = [
        (("networking", "cni"), kubernetes.networking.cni, CNI),
        (("runtime",), kubernetes.runtime, RUNTIMES),
    ]
    if kubernetes.ingress.enabled:
        chosen.append((("ingress", "provider"), kubernetes.ingress.provider, INGRESS))
    for path, text, known in chosen:
        if text not in known:
            yield Finding(
                "unknown-plugin",
                Severity.ERROR,
                (*KUBERNETES, *path),
                f"{text!r} is not supported",
                f"choose one of {', '.join(known)}",
            )


def policies_not_enforced(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Network policies are wanted, and the network plugin does not enforce any.

    They are accepted and shown, and keep nothing apart.
    """
    cloud = estate.clusters.cloud
    if cloud is None or not estate.security.network_policies:
        return
    cni = cloud.kubernetes.networking.cni
    if cni in WITHOUT_POLICIES:
        yield Finding(
            "policies-not-enforced",
            Severity.WARNING,
            (*KUBERNETES, "networking", "cni"),
            f"{cni} enforces no network policies, security.network_policies wants them",
            "choose calico or cilium, or set security.network_policies to false",
        )


def operating_systems_differ(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Kubernetes is declared for another operating system than the machines' image holds.

    Packages and the driver are chosen by what is declared, and installed on what is there.
    """
    cloud = estate.clusters.cloud
    declared = cloud.kubernetes.operating_system if cloud else None
    if cloud is None or declared is None:
        return
    used = {
        placed.machine.image or cloud.image
        for placed in estate.machines()
        if placed.cluster == "cloud"
    }
    for name, image in estate.images.items():
        held = image.operating_system
        if name in used and held is not None and _words(held) != _words(declared):
            yield Finding(
                "operating-systems-differ",
                Severity.ERROR,
                (*KUBERNETES, "operating_system"),
                f"operating_system is {declared!r}, but the image {name!r} holds {held!r}",
                "write the same at both places, or leave it out here: the image decides",
            )


def _words(operating_system: str) -> list[str]:
    return re.findall(r"[a-z]+|[0-9.]+", operating_system.lower())


def isolated_cloud(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """The cloud's network is isolated, so that machines cannot fetch packages and images."""
    cloud = estate.clusters.cloud
    if cloud is not None and cloud.network is not None and cloud.network.mode == "isolated":
        yield Finding(
            "isolated-cloud",
            Severity.WARNING,
            (*CLOUD, "network", "mode"),
            "mode isolated: Kubespray on these machines cannot fetch packages and images",
            "set the mode to nat, unless mirrors stand on that network",
        )


def worker_type_contradicted(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A machine's worker_type says another thing of GPUs than its devices do."""
    for placed in estate.machines():
        machine = placed.machine
        without_type = machine.model_copy(update={"worker_type": None})
        if machine.worker_type == "cpu" and without_type.has_gpu:
            message = f"worker_type of {machine.name} is cpu, but it declares a GPU"
        elif machine.worker_type == "gpu" and not without_type.has_gpu:
            message = f"worker_type of {machine.name} is gpu, but it declares no GPU"
        else:
            continue
        yield Finding(
            "worker-type-contradicted",
            Severity.ERROR,
            (*placed.path, "worker_type"),
            message,
            "change worker_type, or the devices (pcie_passthrough, gpu, gpu_enabled)",
        )


KUBERNETES_RULES: tuple[Rule, ...] = (
    control_plane_count,
    workers_without_control_plane,
    control_plane_without_workers,
    several_control_planes,
    high_availability_of_one,
    role_contradicted,
    unknown_plugin,
    policies_not_enforced,
    operating_systems_differ,
    isolated_cloud,
    worker_type_contradicted,
)
