"""The list of PCI ids is installed, whole, and knows the hardware that is spoken of."""

import sys

import pytest

from platform_assets.spec.pci_names import PciNames
from resources.pci_ids import PciIdsUnavailable, read_pci_ids


def test_the_installed_list_is_whole():
    names = PciNames.parse(read_pci_ids())
    assert len(names.devices) > 20_000
    assert names.name("10de", "2204") == ("NVIDIA Corporation", "GA102 [GeForce RTX 3090]")
    assert names.name("8086", "15f3") is not None


def test_the_packages_code_is_not_imported():
    read_pci_ids()
    assert "pypci" not in sys.modules


def test_a_missing_package_is_told():
    with pytest.raises(PciIdsUnavailable) as told:
        read_pci_ids("no-such-package")
    assert str(told.value) == (
        "the list of PCI ids (pypci/data/pci.ids of the package no-such-package) cannot be read: "
        "No package metadata was found for no-such-package; install it again: "
        "`uv sync --reinstall-package no-such-package`"
    )
