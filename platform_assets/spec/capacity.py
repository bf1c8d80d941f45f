"""What the machines of an estate want, what the host has for them, and what is left.

Judged for the HPC cluster alone, the cloud cluster alone, and both. Of a cluster that is stopped
the disks stay, so disk is always that of all machines. A host has for machines what it has less
its reserve, times the overcommit; GPUs have neither.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from platform_assets.spec.devices import devices_of, is_gpu
from platform_assets.spec.mig_devices import gpus_to_divide
from platform_assets.spec.model.estate import ClusterName, Estate, Placed
from platform_assets.spec.rules.grounds import HostCapacity

_CLUSTERS: tuple[ClusterName, ...] = ("hpc", "cloud")


class Resource(StrEnum):
    """What machines share."""

    CPU = "cores"
    MEMORY = "memory"
    DISK = "disk"
    GPU = "GPUs"

    @property
    def unit(self) -> str:
        """Return the unit of its amounts; empty where they are counted."""
        return "GiB" if self in {Resource.MEMORY, Resource.DISK} else ""


Amounts = dict[Resource, float]


def amount(resource: Resource, value: float) -> str:
    """Return an amount as people read it: `36 cores`, `92 GiB memory`, `2 GPUs`."""
    if resource.unit:
        return f"{number(value)} {resource.unit} {resource}"
    return f"{number(value)} {resource.removesuffix('s') if value == 1 else resource}"


def number(value: float) -> str:
    """Return a number with at most two decimals, and none that are not needed."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


@dataclass(frozen=True)
class MachineNeed:
    """What one machine wants: cores, GiB, and GPUs that are passed to it."""

    cluster: ClusterName
    role: str
    name: str
    wants: Amounts


@dataclass(frozen=True)
class HostAmount:
    """What the host has of a resource; `total` is None where nobody knows.

    `source` says who does: `estate` (declared), `host` (read), or nothing.
    """

    resource: Resource
    total: float | None
    reserve: float
    overcommit: float
    source: str

    @property
    def available(self) -> float | None:
        """Return what there is for machines."""
        if self.total is None:
            return None
        return max(self.total - self.reserve, 0.0) * self.overcommit


@dataclass(frozen=True)
class Share:
    """A resource: what is wanted of it, and what there is for machines."""

    resource: Resource
    wanted: float
    available: float | None

    @property
    def left(self) -> float | None:
        """Return what is left; negative by how much it does not fit."""
        return None if self.available is None else self.available - self.wanted

    @property
    def fits(self) -> bool | None:
        """Return whether it fits; None where nobody can tell."""
        if self.available is None:
            return None if self.wanted else True
        return self.wanted <= self.available


@dataclass(frozen=True)
class Scope:
    """Clusters that run at a time; `judged` says whether the estate's mode has them so."""

    clusters: tuple[ClusterName, ...]
    judged: bool
    shares: tuple[Share, ...]

    @property
    def name(self) -> str:
        """Return `hpc alone`, `cloud alone`, or `hpc and cloud`."""
        alone = f"{self.clusters[0]} alone"
        return " and ".join(self.clusters) if len(self.clusters) > 1 else alone

    @property
    def fits(self) -> bool | None:
        """Return whether all of it fits; None where something is unknown and the rest fits."""
        verdicts = [share.fits for share in self.shares]
        if False in verdicts:
            return False
        return None if None in verdicts else True


@dataclass(frozen=True)
class CapacityPlan:
    """What runs, what the host has, and what is left in each scope."""

    mode: str
    machines: tuple[MachineNeed, ...]
    host: tuple[HostAmount, ...]
    scopes: tuple[Scope, ...]

    @property
    def fits(self) -> bool | None:
        """Return whether the estate fits as its mode runs it; None where nobody can tell."""
        verdicts = [scope.fits for scope in self.scopes if scope.judged]
        if False in verdicts:
            return False
        return None if None in verdicts else True


def capacity_plan(estate: Estate, host: HostCapacity | None) -> CapacityPlan:
    """Return what runs where and what is left; `host` fills in what the estate does not say."""
    machines = tuple(_need(placed) for placed in estate.machines())
    there = tuple(_host_amount(estate, host, resource) for resource in Resource)
    present = tuple(each for each in _CLUSTERS if any(one.cluster == each for one in machines))
    alone = tuple((each,) for each in present)
    sets: tuple[tuple[ClusterName, ...], ...] = (*alone, present) if len(present) > 1 else alone
    scopes = tuple(
        Scope(
            clusters,
            _is_judged(estate, clusters, present),
            tuple(_share(estate, machines, clusters, each) for each in there),
        )
        for clusters in sets
    )
    return CapacityPlan(estate.mode, machines, there, scopes)


def _is_judged(
    estate: Estate, clusters: tuple[ClusterName, ...], present: tuple[ClusterName, ...]
) -> bool:
    return clusters == present if estate.mode == "concurrent" else len(clusters) == 1


def _need(placed: Placed) -> MachineNeed:
    machine = placed.machine
    gpus = sum(is_gpu(each.device) for each in devices_of(placed))
    wants: Amounts = {
        Resource.CPU: float(machine.cpu_cores),
        Resource.MEMORY: machine.memory_gb,
        Resource.DISK: machine.disk_gb,
        Resource.GPU: float(gpus),
    }
    return MachineNeed(placed.cluster, placed.role, machine.name, wants)


def _host_amount(estate: Estate, read: HostCapacity | None, resource: Resource) -> HostAmount:
    host, reserve, over = estate.host, estate.host.reserve, estate.host.overcommit
    listed = len(estate.gpus.devices) if estate.gpus and estate.gpus.devices else None
    declared: dict[Resource, tuple[float | None, float, float]] = {
        Resource.CPU: (host.cpu_cores, float(reserve.cpu_cores), over.cpu),
        Resource.MEMORY: (host.memory_gb, reserve.memory_gb, over.memory),
        Resource.DISK: (host.disk_gb, reserve.disk_gb, over.disk),
        Resource.GPU: (listed if host.gpus is None else host.gpus, 0.0, 1.0),
    }
    total, kept, factor = declared[resource]
    if total is not None:
        return HostAmount(resource, float(total), kept, factor, "estate")
    read = read or HostCapacity()
    found: dict[Resource, float | None] = {
        Resource.CPU: read.cpu_cores,
        Resource.MEMORY: read.memory_gib,
        Resource.DISK: read.disk_gib,
        Resource.GPU: read.gpus,
    }
    there = found[resource]
    return HostAmount(resource, there, kept, factor, "" if there is None else "host")


def _share(
    estate: Estate,
    machines: tuple[MachineNeed, ...],
    clusters: tuple[ClusterName, ...],
    host: HostAmount,
) -> Share:
    resource = host.resource
    running = [each for each in machines if resource is Resource.DISK or each.cluster in clusters]
    if resource is Resource.GPU:
        return Share(resource, _gpus(estate, running, clusters), host.available)
    return Share(resource, _sum(each.wants[resource] for each in running), host.available)


def _gpus(estate: Estate, running: list[MachineNeed], clusters: tuple[ClusterName, ...]) -> float:
    """Count GPUs: those passed through, or a cluster's share if that is more, and those divided."""
    count = 0.0
    for cluster in clusters:
        own = [each for each in running if each.cluster == cluster]
        passed = _sum(each.wants[Resource.GPU] for each in own)
        share = getattr(estate.gpus.whole_gpus, cluster) if estate.gpus else 0
        count += max(passed, share)
    return count + gpus_to_divide(estate, clusters)


def _sum(values: Iterable[float]) -> float:
    """Add exactly, so that the order of machines never decides whether they fit."""
    return math.fsum(values)


_JSON_KEYS = {
    Resource.CPU: "cpu_cores",
    Resource.MEMORY: "memory_gib",
    Resource.DISK: "disk_gib",
    Resource.GPU: "gpus",
}


def as_json(plan: CapacityPlan) -> dict[str, Any]:
    """Return the plan in JSON's types, with units in the keys; null is what nobody knows."""
    return {
        "mode": plan.mode,
        "fits": plan.fits,
        "machines": [
            {"cluster": each.cluster, "name": each.name, "role": each.role}
            | {_JSON_KEYS[resource]: wanted for resource, wanted in each.wants.items()}
            for each in plan.machines
        ],
        "host": {
            _JSON_KEYS[each.resource]: {
                "total": each.total,
                "reserve": each.reserve,
                "overcommit": each.overcommit,
                "available": each.available,
                "source": each.source or None,
            }
            for each in plan.host
        },
        "scopes": [
            {
                "clusters": list(scope.clusters),
                "judged": scope.judged,
                "fits": scope.fits,
                "resources": {
                    _JSON_KEYS[share.resource]: {
                        "wanted": share.wanted,
                        "available": share.available,
                        "left": share.left,
                        "fits": share.fits,
                    }
                    for share in scope.shares
                },
            }
            for scope in plan.scopes
        ],
    }
