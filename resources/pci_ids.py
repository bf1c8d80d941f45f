"""The list of PCI ids, https://pci-ids.ucw.cz/, as the package `pypci-ng` ships it.

Only its data file is used: the package is found by its metadata and never imported. The text is
given as it is; what it means is read elsewhere.
"""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from resources.errors import ResourceError

PACKAGE = "pypci-ng"
FILE = "pypci/data/pci.ids"


class PciIdsUnavailable(ResourceError):
    """The list of PCI ids is not installed, or cannot be read."""


def read_pci_ids(package: str = PACKAGE) -> str:
    """Return the text of the list, 1.6 MB.

    Raises:
        PciIdsUnavailable: the package is missing, or its file cannot be read.
    """
    try:
        return Path(str(distribution(package).locate_file(FILE))).read_text(encoding="utf-8")
    except (PackageNotFoundError, OSError, UnicodeDecodeError) as error:
        message = (
            f"the list of PCI ids ({FILE} of the package {package}) cannot be read: {error}; "
            f"install it again: `uv sync --reinstall-package {package}`"
        )
        raise PciIdsUnavailable(message) from error
