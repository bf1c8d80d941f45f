"""What the rules may know when they judge an estate, read from this machine and this project."""

from datetime import UTC, datetime

from ai_how.estate_file import PROJECT
from platform_assets.spec.compatibility import (
    DEFAULT_FILE,
    Compatibility,
    CompatibilityRefused,
    load_compatibility,
)
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.pci_names import PciNames
from platform_assets.spec.rules.grounds import Grounds


def grounds_for(estate: Estate | None) -> Grounds:
    """Return what the rules may know; the long list of PCI names only where devices are declared.

    Raises:
        PciIdsUnavailable, PciNamesRefused: the list of names is not installed, or damaged.
    """
    today = datetime.now(UTC).date()
    if estate is None or not _has_devices(estate):
        return Grounds(today)
    from resources.pci_ids import read_pci_ids

    return Grounds(today, pci_names=PciNames.parse(read_pci_ids()))


def _has_devices(estate: Estate) -> bool:
    return estate.gpus is not None or any(
        placed.machine.pcie_passthrough is not None for placed in estate.machines()
    )


def compatibility_table() -> Compatibility:
    """Return the project's table of versions that go together.

    Raises:
        CompatibilityRefused: it is missing or wrong.
    """
    file = PROJECT / DEFAULT_FILE
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"{file}: the table of versions cannot be read ({error}); restore it"
        raise CompatibilityRefused(message) from error
    return load_compatibility(text, DEFAULT_FILE)
