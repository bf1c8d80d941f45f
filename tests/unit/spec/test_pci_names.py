"""The list of PCI ids: what is read of it, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.spec.pci_names import PciNames, PciNamesRefused

TEXT = """#
#	List of PCI IDs
#	vendor  vendor_name

1002  Advanced Micro Devices, Inc. [AMD/ATI]
	67df  Ellesmere [Radeon RX 470/480/570/570X/580/580X/590]
		1002 0b12  Radeon X1800 GTO²
10de  NVIDIA Corporation
	2204  GA102 [GeForce RTX 3090]
		1043 87b3  TUF RTX 3090
	1aef  GA102 High Definition Audio Controller

# List of known device classes
C 03  Display controller
	00  VGA compatible controller
"""

NAMES = PciNames.parse(TEXT)


def test_a_device_is_named_by_its_two_ids():
    assert NAMES.name("10de", "2204") == ("NVIDIA Corporation", "GA102 [GeForce RTX 3090]")


def test_case_does_not_matter():
    assert NAMES.name("10DE", "1AEF") == NAMES.name("10de", "1aef") is not None


def test_a_device_belongs_to_its_vendor_only():
    assert NAMES.name("1002", "2204") is None


def test_a_vendor_is_known_without_the_device():
    assert NAMES.name("10de", "ffff") is None
    assert NAMES.vendor("10de") == "NVIDIA Corporation"
    assert NAMES.vendor("ffff") is None


def test_subsystems_and_classes_are_no_devices():
    assert len(NAMES.vendors) == 2
    assert len(NAMES.devices) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected vendors, found none; install"),
        (
            "10de  NVIDIA Corporation\n<html>\n",
            "line 2: expected an id of four hex digits and a name, found '<html>'; install",
        ),
        (
            "\t2204  GA102\n",
            "line 1: expected an id of four hex digits and a name, found '\\t2204  GA102'; install",
        ),
    ],
)
def test_what_is_no_list_is_refused(text, message):
    with pytest.raises(PciNamesRefused) as refused:
        PciNames.parse(text)
    assert str(refused.value).startswith(f"pci.ids: {message} a whole file")


ids = st.integers(0, 0xFFFF).map("{:04x}".format)
words = st.text(st.characters(blacklist_categories=["C", "Z"]), min_size=1)
tables = st.dictionaries(ids, st.tuples(words, st.dictionaries(ids, words)), min_size=1)


@given(tables)
def test_what_is_written_is_read(table):
    text = "".join(
        f"{vendor}  {name}\n" + "".join(f"\t{device}  {of}\n" for device, of in devices.items())
        for vendor, (name, devices) in table.items()
    )
    names = PciNames.parse(text)
    for vendor, (name, devices) in table.items():
        assert names.vendor(vendor) == name
        for device, of in devices.items():
            assert names.name(vendor, device) == (name, of)


@given(st.text())
def test_any_text_is_read_or_refused(text):
    try:
        names = PciNames.parse(text)
    except PciNamesRefused:
        return
    assert names.vendors
