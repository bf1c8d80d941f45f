"""What a PCI device is called: the text of a `pci.ids` file, read into vendors and devices.

The file itself is read by `resources/pci_ids.py`. Classes, subsystems and interfaces are left out.
Format: the head of the file, and pci.ids(5); source: https://pci-ids.ucw.cz/
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from platform_assets.spec.errors import AiHowError

_ENTRY = re.compile(r"(?P<id>[0-9a-fA-F]{4})  ?(?P<name>\S.*)")


class PciNamesRefused(AiHowError):
    """A text is not what `pci.ids` looks like."""


@dataclass(frozen=True, eq=False)  # it is its own key where answers are kept
class PciNames:
    """Vendors by id, and devices by the ids of vendor and device: four lower-case hex digits each.

    Example: `PciNames.parse(text).name("10de", "2204")` is
    `("NVIDIA Corporation", "GA102 [GeForce RTX 3090]")`.
    """

    vendors: Mapping[str, str] = field(repr=False)
    devices: Mapping[tuple[str, str], str] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a `pci.ids` file.

        Raises:
            PciNamesRefused: a line is neither vendor, device, subsystem nor class; or no vendor
                is named at all.
        """
        vendors: dict[str, str] = {}
        devices: dict[tuple[str, str], str] = {}
        vendor = ""
        for number, line in enumerate(text.split("\n"), 1):
            if not line.strip() or line.startswith(("#", "\t\t")):
                continue
            if line.startswith("C "):  # the classes: from here on no vendors
                break
            entry = _ENTRY.fullmatch(line.strip())
            if entry is None or (line.startswith("\t") and not vendor):
                message = (
                    f"pci.ids: line {number}: expected an id of four hex digits and a name, found "
                    f"{line[:60]!r}; install a whole file from https://pci-ids.ucw.cz/"
                )
                raise PciNamesRefused(message)
            if line.startswith("\t"):
                devices[vendor, entry["id"].lower()] = entry["name"]
            else:
                vendor = entry["id"].lower()
                vendors[vendor] = entry["name"]
        if not vendors:
            message = "pci.ids: expected vendors, found none; install a whole file"
            raise PciNamesRefused(message)
        return cls(vendors, devices)

    def vendor(self, vendor_id: str) -> str | None:
        """Return the vendor's name; None where the list does not have it."""
        return self.vendors.get(vendor_id.lower())

    def name(self, vendor_id: str, device_id: str) -> tuple[str, str] | None:
        """Return the names of vendor and device; None where the list has not both."""
        vendor = self.vendor(vendor_id)
        device = self.devices.get((vendor_id.lower(), device_id.lower()))
        return None if vendor is None or device is None else (vendor, device)
