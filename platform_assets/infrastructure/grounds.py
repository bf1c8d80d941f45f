"""What the rules may know beside the estate, taken from this machine and its tables."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from platform_assets.infrastructure.gpus import AMD, NVIDIA
from platform_assets.spec.compatibility import (
    DEFAULT_FILE,
    Compatibility,
    CompatibilityRefused,
    load_compatibility,
)
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.pci_names import PciNames
from platform_assets.spec.pins import pins_of
from platform_assets.spec.rules.grounds import Grounds, HostCapacity, HostDevice
from resources.host import Hardware, Host, Unread
from resources.pci_ids import read_pci_ids

_PROJECT = Path(__file__).resolve().parents[2]
# PCI classes: https://pci-ids.ucw.cz/read/PD
_DISPLAY, _AUDIO, _BRIDGE = "03", "0403", "06"


def file_grounds(estate: Estate) -> Grounds:
    """Return what can be known without a look at the host; tables only where `estate` needs them.

    Raises:
        CompatibilityRefused: the table of versions is missing or wrong.
        PciIdsUnavailable, PciNamesRefused: the list of names is not installed, or damaged.
    """
    return Grounds(
        today=datetime.now(UTC).date(),
        pci_names=PciNames.parse(read_pci_ids()) if _has_devices(estate) else None,
        compatibility=compatibility_table() if pins_of(estate) else None,
    )


def host_grounds(estate: Estate, host: Host) -> Grounds:
    """Return what can be known here and now; what the host does not tell is None."""
    hardware = host.hardware()
    return replace(
        file_grounds(estate), capacity=capacity_of(hardware), devices=devices_of(hardware)
    )


def compatibility_table() -> Compatibility:
    """Return the project's table of versions that go together.

    Raises:
        CompatibilityRefused: it is missing or wrong.
    """
    file = _PROJECT / DEFAULT_FILE
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"{file}: the table of versions cannot be read ({error}); restore it"
        raise CompatibilityRefused(message) from error
    return load_compatibility(text, DEFAULT_FILE)


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


def _has_devices(estate: Estate) -> bool:
    return estate.gpus is not None or any(
        placed.machine.pcie_passthrough is not None for placed in estate.machines()
    )
