"""Rules about what the host can carry, and what must stand on it when clusters take turns."""

import math
from collections.abc import Iterator

from platform_assets.spec.capacity import (
    CapacityPlan,
    HostAmount,
    Resource,
    Scope,
    Share,
    amount,
    capacity_plan,
    number,
)
from platform_assets.spec.devices import full_name
from platform_assets.spec.findings import Finding, Path, Severity, not_checked
from platform_assets.spec.model.estate import Estate, Placed
from platform_assets.spec.rules.grounds import Grounds, Rule

_KEYS = {
    Resource.CPU: ("cpu_cores", "cpu"),
    Resource.MEMORY: ("memory_gb", "memory"),
    Resource.DISK: ("disk_gb", "disk"),
    Resource.GPU: ("gpus", ""),
}
# More is not advised: cores are shared in time, disks fill slowly, but memory is soon wanted.
_ADVISABLE = {Resource.CPU: 4.0, Resource.MEMORY: 1.5, Resource.DISK: 2.0}


def host_capacity(estate: Estate, grounds: Grounds) -> Iterator[Finding]:
    """The host carries the machines that run at a time: cores, memory, disk, GPUs.

    What it has, less `host.reserve`, times `host.overcommit`. In sequential mode each cluster is
    judged alone, but the disks of both, for they stay when a cluster stops.
    """
    plan = capacity_plan(estate, grounds.capacity)
    unknown: list[Resource] = []
    told: set[tuple[Resource, float]] = set()
    for scope in (each for each in plan.scopes if each.judged):
        for host, share in zip(plan.host, scope.shares, strict=True):
            if share.fits is None and share.resource not in unknown:
                unknown.append(share.resource)
            seen = (share.resource, share.wanted)  # the disks of both are told once
            if share.fits is False and not (share.resource is Resource.DISK and seen in told):
                told.add(seen)
                yield _too_much(plan, scope, host, share)
    if unknown:
        keys = ", ".join(f"host.{_KEYS[each][0]}" for each in unknown)
        yield not_checked(
            "host-capacity",
            ("host",),
            f"it is not known what the host has of {', '.join(unknown)}",
            f"declare {keys}, or ask with --host on the host",
        )


def _too_much(plan: CapacityPlan, scope: Scope, host: HostAmount, share: Share) -> Finding:
    there, wanted = share.available or 0.0, amount(share.resource, share.wanted)
    running = " and ".join(scope.clusters)
    who = "all disks" if share.resource is Resource.DISK else f"machines of {running}"
    message = f"{who} want {wanted}, but the host has {_has(host)}: "
    message += f"{amount(share.resource, share.wanted - there)} too "
    message += "much" if share.resource.unit else "many"
    key = _KEYS[share.resource][0]
    path: Path = ("host", key)
    if host.source != "estate":
        path = ("clusters",) if len(scope.clusters) > 1 else ("clusters", scope.clusters[0])
    return Finding(
        "host-capacity", Severity.ERROR, path, message, _remedy(plan, scope, host, share)
    )


def _has(host: HostAmount) -> str:
    """Say what there is for machines, and how that comes about."""
    parts = [amount(host.resource, host.available or 0.0)]
    if host.reserve or host.overcommit != 1:
        times = f", times {number(host.overcommit)}" if host.overcommit != 1 else ""
        total, kept = number(host.total or 0.0), number(host.reserve)
        parts.append(f"for machines ({total} less {kept} kept{times})")
    return " ".join(parts)


def _remedy(plan: CapacityPlan, scope: Scope, host: HostAmount, share: Share) -> str:
    ways = []
    alone = [each for each in plan.scopes if len(each.clusters) == 1]
    if len(scope.clusters) > 1 and all(_fits(each, share.resource) for each in alone):
        ways.append("let the clusters take turns with `mode: sequential`")
    kept = max((host.total or 0.0) - host.reserve, 0.0)
    if share.resource is not Resource.GPU and kept > 0:
        factor = math.ceil(share.wanted / kept * 100) / 100
        if factor <= _ADVISABLE[host.resource]:
            ways.append(
                f"promise more with host.overcommit.{_KEYS[host.resource][1]}: {number(factor)}"
            )
    if share.resource is Resource.GPU:
        ways.append("give fewer GPUs away")
    else:
        ways.append("make machines fewer or smaller")
    return "; or ".join(ways)


def _fits(scope: Scope, resource: Resource) -> bool:
    return all(share.fits is not False for share in scope.shares if share.resource is resource)


def sequential_store(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Where clusters take turns, what models travel through stands on the host.

    The HPC cluster writes checkpoints, the cloud reads copies: a store on one of them is never up
    together with the other.
    """
    hpc, cloud = estate.clusters.hpc, estate.clusters.cloud
    if estate.mode != "sequential" or hpc is None or cloud is None:
        return
    mlops = cloud.mlops
    stores = [
        name
        for name, service in (("minio", mlops.minio), ("seaweedfs", mlops.seaweedfs))
        if service is not None and service.enabled
    ]
    registry = ["mlflow"] if mlops.mlflow is not None and mlops.mlflow.enabled else []
    placement = estate.placement
    for key, what, place, on_cluster in (
        ("object_store", "the object store", placement.object_store, stores),
        ("registry", "the registry", placement.registry, registry),
        ("checkpoint_root", "the checkpoint root", placement.checkpoint_root, []),
    ):
        if place != "host":
            services = f" ({', '.join(on_cluster)})" if on_cluster else ""
            other = "hpc" if place == "cloud" else "cloud"
            yield Finding(
                "sequential-store",
                Severity.ERROR,
                ("placement", key),
                f"{what} stands on {place}{services}, which is down while {other} runs "
                "(`mode: sequential`)",
                f"set placement.{key}: host, or `mode: concurrent`",
            )


def node_sizes(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Kubernetes nodes are as large as kubelet and etcd need them.

    kubeadm wants 2 cores and 2 GiB of a control plane, Kubespray 1 GiB of a worker; container
    images and logs fill less than 20 GiB of disk soon.
    """
    for placed in estate.machines():
        if placed.role not in {"control-plane", "worker"}:
            continue
        machine, control = placed.machine, placed.role == "control-plane"
        if control and machine.cpu_cores < 2:
            yield _small(placed, "cpu_cores", f"{machine.cpu_cores} core", "2 cores")
        floor = 2 if control else 1
        if machine.memory_gb < floor:
            yield _small(
                placed, "memory_gb", f"{number(machine.memory_gb)} GiB memory", f"{floor} GiB"
            )
        if machine.disk_gb < 20:
            yield _small(placed, "disk_gb", f"{number(machine.disk_gb)} GiB disk", "20 GiB")


def _small(placed: Placed, key: str, has: str, wants: str) -> Finding:
    kind = "a control plane" if placed.role == "control-plane" else "a worker"
    return Finding(
        "node-too-small",
        Severity.WARNING,
        (*placed.path, key),
        f"{full_name(placed)} has {has}; {kind} needs {wants}",
        f"raise {key}",
    )


HOST_RULES: tuple[Rule, ...] = (host_capacity, sequential_store, node_sizes)
