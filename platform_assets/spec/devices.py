"""PCI functions that machines get whole: their addresses, who gets them, and who runs when.

Addresses are compared as numbers, so that case and leading zeros never make two of one device.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from platform_assets.spec.findings import Path
from platform_assets.spec.model.estate import ClusterName, Estate, Placed
from platform_assets.spec.model.gpus import PciDevice

_ADDRESS = re.compile(
    r"(?P<domain>[0-9a-f]{4,8}):(?P<bus>[0-9a-f]{2}):(?P<device>[0-9a-f]{2})\.(?P<function>[0-9a-f])",
    re.IGNORECASE,
)
MAX_DEVICE = 0x1F
MAX_FUNCTION = 7


@dataclass(frozen=True, order=True)
class PciAddress:
    """Where a PCI function is on the host; as text it is what Linux and libvirt write."""

    domain: int
    bus: int
    device: int
    function: int

    def __str__(self) -> str:
        return f"{self.domain:04x}:{self.bus:02x}:{self.device:02x}.{self.function}"

    @property
    def slot(self) -> tuple[int, int, int]:
        """Return what all functions of one card share."""
        return self.domain, self.bus, self.device


def address_parts(text: str) -> tuple[int, int, int, int] | None:
    """Return domain, bus, device and function, possible or not; None where the form is another."""
    found = _ADDRESS.fullmatch(text.strip())
    if found is None:
        return None
    domain, bus, device, function = (int(part, 16) for part in found.groups())
    return domain, bus, device, function


def pci_address(text: str) -> PciAddress | None:
    """Return the address that `text` writes; None where there can be no such address."""
    parts = address_parts(text)
    if parts is None or parts[2] > MAX_DEVICE or parts[3] > MAX_FUNCTION:
        return None
    return PciAddress(*parts)


@dataclass(frozen=True)
class Passed:
    """A device that a machine gets whole: to whom, and where that was declared."""

    placed: Placed
    path: Path
    device: PciDevice
    address: PciAddress | None

    @property
    def owner(self) -> str:
        """Return the machine's name as findings write it."""
        return full_name(self.placed)


def full_name(placed: Placed) -> str:
    """Return a machine's name with its cluster's, as in `cloud/gpu-worker-1`."""
    return f"{placed.cluster}/{placed.machine.name}"


def passed_devices(estate: Estate) -> Iterator[Passed]:
    """Yield the devices that machines get whole; what is listed but not enabled is left out."""
    for placed in estate.machines():
        yield from devices_of(placed)


def devices_of(placed: Placed) -> Iterator[Passed]:
    """Yield the devices that one machine gets whole."""
    passthrough = placed.machine.pcie_passthrough
    if passthrough is None or not passthrough.enabled:
        return
    for index, device in enumerate(passthrough.devices):
        path = (*placed.path, "pcie_passthrough", "devices", index)
        yield Passed(placed, path, device, pci_address(device.pci_address))


def run_together(estate: Estate, one: ClusterName, other: ClusterName) -> bool:
    """Return whether machines of two clusters are ever up at the same time."""
    return one == other or estate.mode == "concurrent"


def is_gpu(device: PciDevice) -> bool:
    """Return whether a device was declared as a GPU."""
    return device.device_type.strip().lower() == "gpu"


def turns(estate: Estate) -> tuple[frozenset[ClusterName], ...]:
    """Return the sets of clusters that are up at the same time, those without machines left out."""
    clusters = frozenset(placed.cluster for placed in estate.machines())
    if estate.mode == "concurrent":
        return (clusters,) if clusters else ()
    return tuple(frozenset({cluster}) for cluster in sorted(clusters, reverse=True))


def named_clusters(clusters: Iterable[ClusterName]) -> str:
    """Return the names of clusters as a message says them: `hpc and cloud`."""
    return " and ".join(sorted(clusters, reverse=True))
