"""PCI devices and IOMMU groups, as sysfs tells them below any root.

References: https://docs.kernel.org/PCI/sysfs-pci.html,
https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-kernel-iommu_groups
"""

import re
from dataclasses import dataclass
from pathlib import Path

from resources.host_files import FactUnread, text_if_there, text_of

_HEX = re.compile(r"0x([0-9a-f]+)")
_MINOR = re.compile(r"^Device Minor:\s+(\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class PciDevice:
    """One function of a PCI device; ids are hex digits without `0x`, in lower case."""

    address: str  # 0000:01:00.0
    vendor_id: str  # four digits
    device_id: str  # four digits
    class_id: str  # six digits: class, subclass, interface
    driver: str | None = None
    iommu_group: int | None = None
    drew_boot_screen: bool = False
    nodes: tuple[str, ...] = ()  # the device files through which a program holds it

    @property
    def slot(self) -> str:
        """The address without the function: what is plugged in and out as one."""
        return self.address.rpartition(".")[0]


@dataclass(frozen=True)
class IommuGroup:
    """The devices that the IOMMU cannot tell apart: they go to a guest together, or not at all."""

    number: int
    addresses: tuple[str, ...]


def read_pci_devices(root: Path) -> tuple[PciDevice, ...]:
    """Return every PCI device by address; none where the kernel has no PCI bus.

    Raises:
        FactUnread: an attribute is not what sysfs writes.
        OSError: sysfs is missing, or refuses.
    """
    if "pci" not in {entry.name for entry in (root / "sys/bus").iterdir()}:
        return ()
    entries = sorted((root / "sys/bus/pci/devices").iterdir(), key=lambda entry: entry.name)
    return tuple(_device(root, entry) for entry in entries)


def _device(root: Path, entry: Path) -> PciDevice:
    group = _link_name(entry / "iommu_group")
    if group is not None and not re.fullmatch(r"[0-9]+", group):
        message = f"{entry / 'iommu_group'}: expected a link to a group's number, found {group!r}"
        raise FactUnread(message)
    return PciDevice(
        address=entry.name,
        vendor_id=_hex(entry / "vendor", 4),
        device_id=_hex(entry / "device", 4),
        class_id=_hex(entry / "class", 6),
        driver=_link_name(entry / "driver"),
        iommu_group=None if group is None else int(group),
        drew_boot_screen=text_if_there(entry / "boot_vga") == "1",
        nodes=_nodes(root, entry, group),
    )


def _nodes(root: Path, entry: Path, group: str | None) -> tuple[str, ...]:
    nodes = [f"/dev/dri/{name}" for name in _names(entry / "drm")]
    nodes += [f"/dev/vfio/devices/{name}" for name in _names(entry / "vfio-dev")]
    if group is not None:
        nodes.append(f"/dev/vfio/{group}")
    told = text_if_there(root / "proc/driver/nvidia/gpus" / entry.name / "information")
    minor = _MINOR.search(told or "")
    if minor is not None:
        nodes.append(f"/dev/nvidia{minor[1]}")
    return tuple(nodes)


def _names(directory: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in directory.iterdir())
    except FileNotFoundError:
        return []


def _link_name(link: Path) -> str | None:
    try:
        return link.readlink().name
    except FileNotFoundError:
        return None


def _hex(file: Path, digits: int) -> str:
    text = text_of(file)
    found = _HEX.fullmatch(text)
    if found is None or len(found[1]) != digits:
        message = f"{file}: expected 0x and {digits} hex digits, found {text[:40]!r}"
        raise FactUnread(message)
    return found[1]


def read_iommu_groups(root: Path) -> tuple[IommuGroup, ...]:
    """Return every group by number; none where the IOMMU is off or not there.

    Raises:
        FactUnread: a group has another name than a number.
        OSError: sysfs is missing, or refuses.
    """
    if "iommu_groups" not in {entry.name for entry in (root / "sys/kernel").iterdir()}:
        return ()
    groups = []
    for entry in (root / "sys/kernel/iommu_groups").iterdir():
        if not re.fullmatch(r"[0-9]+", entry.name):
            message = f"{entry}: expected a number as the group's name"
            raise FactUnread(message)
        members = sorted(device.name for device in (entry / "devices").iterdir())
        groups.append(IommuGroup(int(entry.name), tuple(members)))
    return tuple(sorted(groups, key=lambda group: group.number))
