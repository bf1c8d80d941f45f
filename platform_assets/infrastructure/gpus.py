"""The GPUs among the host's PCI devices: their names, their IOMMU groups, and who holds them.

Pure functions of the host's facts. A GPU is a display controller (PCI class 03) of NVIDIA or AMD;
the small screens of server boards, virtual screens and Intel's built-in graphics are none.
"""

import re
from dataclasses import dataclass

from platform_assets.spec.pci_names import PciNames
from resources.host import HostFacts, known
from resources.host_pci import PciDevice

NVIDIA, AMD = "10de", "1002"
_DISPLAY = "03"
_BRIDGE = "0604"
# The code names of chips in pci.ids, from Volta (compute capability 7.0) on, and those before;
# https://developer.nvidia.com/cuda-gpus and https://developer.nvidia.com/cuda-legacy-gpus
_VOLTA_OR_LATER = re.compile(r"(?:GV|TU|GA|AD|GH|GB)\d")
_BEFORE_VOLTA = re.compile(r"(?:NV\d|G\d|GT|GF|GK|GM|GP|MCP|C\d)")


@dataclass(frozen=True)
class Gpu:
    """One GPU; `companions` share its IOMMU group, those of `strangers` are not its own."""

    address: str
    vendor_id: str
    device_id: str
    name: str  # as pci.ids has it, or the two ids
    driver: str | None
    iommu_group: int | None
    companions: tuple[str, ...]  # its own functions and bridges
    strangers: tuple[str, ...]  # devices that would have to go to the guest as well
    nodes: tuple[str, ...]  # its device files
    drew_boot_screen: bool

    @property
    def suffices(self) -> bool | None:
        """Whether it has compute capability 7.0 or more; None where its chip is not known."""
        chip = self.name.removeprefix("NVIDIA ")
        if self.vendor_id != NVIDIA:
            return False
        if _VOLTA_OR_LATER.match(chip):
            return True
        return False if _BEFORE_VOLTA.match(chip) else None


def gpus(facts: HostFacts, names: PciNames | None) -> list[Gpu]:
    """Return the host's GPUs by address.

    Raises:
        FactUnread: PCI devices or IOMMU groups are not known.
    """
    devices = {device.address: device for device in known(facts.pci_devices)}
    groups = {group.number: group.addresses for group in known(facts.iommu_groups)}
    return [
        _gpu(device, devices, _group_of(device, groups), names)
        for device in devices.values()
        if device.class_id.startswith(_DISPLAY) and device.vendor_id in (NVIDIA, AMD)
    ]


def _gpu(
    device: PciDevice,
    devices: dict[str, PciDevice],
    group: tuple[str, ...],
    names: PciNames | None,
) -> Gpu:
    others = [address for address in group if address != device.address]
    own = [address for address in others if _belongs(devices.get(address), device)]
    return Gpu(
        address=device.address,
        vendor_id=device.vendor_id,
        device_id=device.device_id,
        name=device_name(device, names),
        driver=device.driver,
        iommu_group=device.iommu_group,
        companions=tuple(own),
        strangers=tuple(address for address in others if address not in own),
        nodes=device.nodes,
        drew_boot_screen=device.drew_boot_screen,
    )


def _group_of(device: PciDevice, groups: dict[int, tuple[str, ...]]) -> tuple[str, ...]:
    return () if device.iommu_group is None else groups.get(device.iommu_group, ())


def _belongs(other: PciDevice | None, gpu: PciDevice) -> bool:
    """Whether it is another function of the same card, or a bridge, which VFIO leaves alone."""
    return other is not None and (other.slot == gpu.slot or other.class_id.startswith(_BRIDGE))


def holders(gpu: Gpu, facts: HostFacts) -> tuple[str, ...]:
    """Return the programs, with process id, that are seen to have one of its device files open.

    Raises:
        FactUnread: the processes are not known.
    """
    held = {
        f"{one.program} ({one.pid})"
        for one in known(facts.processes).open_devices
        if one.node in gpu.nodes
    }
    return tuple(sorted(held))


def device_name(device: PciDevice, names: PciNames | None) -> str:
    """Return what the device is called; its two ids where the list does not have it."""
    found = names.name(device.vendor_id, device.device_id) if names else None
    if found is None:
        return f"{device.vendor_id}:{device.device_id}"
    vendor, name = found
    short = {NVIDIA: "NVIDIA", AMD: "AMD"}.get(device.vendor_id, vendor)
    return f"{short} {name}"
