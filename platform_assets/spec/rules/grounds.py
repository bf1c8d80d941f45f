"""What a rule may know beside the estate, and what a rule is."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

from platform_assets.spec.compatibility import Compatibility
from platform_assets.spec.findings import Finding
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.pci_names import PciNames


@dataclass(frozen=True)
class HostCapacity:
    """What the host has, for those keys that the estate leaves out: cores, GiB, number of GPUs.

    None where it could not be read.
    """

    cpu_cores: int | None = None
    memory_gib: float | None = None
    disk_gib: float | None = None
    gpus: int | None = None


@dataclass(frozen=True)
class HostDevice:
    """A PCI function as the host sees it; ids are four lower-case hex digits.

    Audio and bridges are told by their PCI class: 0x0403, and 0x06 for bridges of any kind.
    """

    address: str
    vendor_id: str
    device_id: str
    is_gpu: bool
    iommu_group: int | None
    is_audio: bool = False
    is_bridge: bool = False


@dataclass(frozen=True)
class Grounds:
    """Facts and tables; what is None was not asked, and rules that need it say so."""

    today: date
    capacity: HostCapacity | None = None
    devices: tuple[HostDevice, ...] | None = None
    pci_names: PciNames | None = None
    compatibility: Compatibility | None = None


Rule = Callable[[Estate, Grounds], Iterable[Finding]]
