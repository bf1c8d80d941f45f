"""What the rules may know beside the estate, taken from this machine and its tables."""

from datetime import UTC, datetime

from platform_assets.infrastructure.gpus import AMD, NVIDIA
from platform_assets.spec.pci_names import PciNames
from platform_assets.spec.rules.grounds import Grounds, HostCapacity, HostDevice
from resources.host import Hardware, Host, Unread
from resources.pci_ids import PciIdsUnavailable, read_pci_ids

# PCI classes: https://pci-ids.ucw.cz/read/PD
_DISPLAY, _AUDIO, _BRIDGE = "03", "0403", "06"


def real_grounds(host: Host) -> Grounds:
    """Return what can be known here now; what cannot be read is None, and rules say so."""
    hardware = host.hardware()
    return Grounds(
        today=datetime.now(UTC).date(),
        capacity=capacity_of(hardware),
        devices=devices_of(hardware),
        pci_names=_pci_names(),
    )


def capacity_of(hardware: Hardware) -> HostCapacity:
    """Return what the host has; what cannot be read is None."""
    cpu, memory, room = hardware.cpu, hardware.memory_gib, hardware.image_room
    devices = devices_of(hardware)
    return HostCapacity(
        cpu_cores=None if isinstance(cpu, Unread) else cpu.logical_cores,
        memory_gib=None if isinstance(memory, Unread) else memory,
        disk_gib=None if isinstance(room, Unread) else room.free_gib,
        gpus=None if devices is None else sum(device.is_gpu for device in devices),
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
            is_gpu=device.class_id.startswith(_DISPLAY) and device.vendor_id in (NVIDIA, AMD),
            iommu_group=device.iommu_group,
            is_audio=device.class_id.startswith(_AUDIO),
            is_bridge=device.class_id.startswith(_BRIDGE),
        )
        for device in hardware.pci_devices
    )


def _pci_names() -> PciNames | None:
    try:
        return PciNames.parse(read_pci_ids())
    except PciIdsUnavailable:
        return None  # the rules that need it tell so
