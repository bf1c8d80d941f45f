"""What the rules may know beside the estate, taken from this machine and its tables."""

from datetime import UTC, datetime

from platform_assets.spec.pci_names import PciNames
from platform_assets.spec.rules.grounds import Grounds, HostCapacity, HostDevice
from resources.host import Hardware, Host, Unread
from resources.pci_ids import PciIdsUnavailable, read_pci_ids

_DISPLAY = "03"  # PCI class: display controllers


def real_grounds(host: Host) -> Grounds:
    """Return what can be known here now; what cannot be read is None, and rules say so."""
    hardware = host.hardware()
    return Grounds(
        today=datetime.now(UTC).date(),
        capacity=capacity_of(hardware),
        devices=devices_of(hardware),
        pci_names=_pci_names(),
    )


def capacity_of(hardware: Hardware) -> HostCapacity | None:
    """Return what the host has, or None where a part of it cannot be read."""
    cpu, memory, room = hardware.cpu, hardware.memory_gib, hardware.image_room
    devices = devices_of(hardware)
    if (
        isinstance(cpu, Unread)
        or isinstance(memory, Unread)
        or isinstance(room, Unread)
        or devices is None
    ):
        return None
    return HostCapacity(
        cpu_cores=cpu.logical_cores,
        memory_gib=memory,
        disk_gib=room.free_gib,
        gpus=sum(device.is_gpu for device in devices),
    )


def devices_of(hardware: Hardware) -> tuple[HostDevice, ...] | None:
    """Return the PCI functions of the host, or None where they cannot be read."""
    if isinstance(hardware.pci_devices, Unread):
        return None
    return tuple(
        HostDevice(
            address=device.address,
            vendor_id=device.vendor_id,
            device_id=device.device_id,
            is_gpu=device.class_id.startswith(_DISPLAY),
            iommu_group=device.iommu_group,
        )
        for device in hardware.pci_devices
    )


def _pci_names() -> PciNames | None:
    try:
        return PciNames.parse(read_pci_ids())
    except PciIdsUnavailable:
        return None  # the rules that need it tell so
