"""PCI devices that machines get whole: addresses, one owner each, and what the host has."""

import pytest

from platform_assets.spec.devices import pci_address
from platform_assets.spec.rules import pci
from tests.unit.spec.rules.gpu_estates import estate, function, machine, on_host, said

GPU = "clusters.cloud.workers[0].pcie_passthrough.devices[0]"
SECOND = "clusters.cloud.workers[1].pcie_passthrough.devices[0]"
FORM = "write it as `lspci -D` shows it, as in 0000:65:00.0"


@pytest.mark.parametrize(
    ("address", "wrong"),
    [
        ("65:00.0", "expected domain:bus:device.function in hex digits"),
        ("0000:65:00", "expected domain:bus:device.function in hex digits"),
        ("0000:6g:00.0", "expected domain:bus:device.function in hex digits"),
        ("0000:65:20.0", "its device is 20, expected at most 1f"),
        ("0000:65:00.8", "its function is 8, expected at most 7"),
        ("", "expected domain:bus:device.function in hex digits"),
    ],
)
def test_an_address_that_cannot_be_is_told(address, wrong):
    declared = estate([machine("gpu-1", function(address))])
    message = f"{address!r} is no PCI address: {wrong}"
    expected = [("error", "pci-address", f"{GPU}.pci_address", message, FORM)]
    assert said(pci.address_form, declared) == expected


@pytest.mark.parametrize("address", ["0000:65:00.0", "0000:CA:1f.7", "10000:01:00.0"])
def test_an_address_that_can_be_passes(address):
    declared = estate(
        [machine("gpu-1", function(address))],
        gpus={"devices": [{"id": "GPU-0", "pci_address": address}]},
    )
    assert said(pci.address_form, declared) == []


def test_the_address_of_a_listed_gpu_is_judged_too():
    declared = estate(gpus={"devices": [{"id": "GPU-0", "pci_address": "0000:00:99.0"}]})
    (found,) = said(pci.address_form, declared)
    assert found[2] == "gpus.devices[0].pci_address"


def test_devices_that_are_listed_but_not_enabled_have_addresses_too():
    off = {"enabled": False, "devices": [function("nowhere")]}
    declared = estate([machine("gpu-1", pcie_passthrough=off)])
    assert [each[1] for each in said(pci.address_form, declared)] == ["pci-address"]
    assert said(pci.something_to_pass, declared) == []


def test_two_machines_of_one_cluster_cannot_have_one_device():
    declared = estate(
        [
            machine("gpu-1", function("0000:65:00.0")),
            machine("gpu-2", function("0000:65:00.0".upper())),
        ],
        mode="sequential",
    )
    assert said(pci.one_owner, declared) == [
        (
            "error",
            "pci-device-twice",
            f"{SECOND}.pci_address",
            "0000:65:00.0 goes to cloud/gpu-1 and to cloud/gpu-2, which run at the same time",
            "take it from one of them",
        )
    ]


def test_two_clusters_share_a_device_only_in_turns():
    workers = [machine("gpu-1", function("0000:65:00.0"))]
    compute = [machine("compute-1", function("0000:65:00.0"))]
    assert said(pci.one_owner, estate(workers, compute)) == [
        (
            "error",
            "pci-device-twice",
            f"{GPU}.pci_address",
            "0000:65:00.0 goes to hpc/compute-1 and to cloud/gpu-1, which run at the same time",
            "take it from one of them, or let the clusters take turns with `mode: sequential`",
        )
    ]
    assert said(pci.one_owner, estate(workers, compute, mode="sequential")) == []


def test_a_device_is_listed_once_for_a_machine():
    declared = estate([machine("gpu-1", function("0000:65:00.0"), function("0000:65:00.0"))])
    assert said(pci.one_owner, declared) == [
        (
            "error",
            "pci-device-twice",
            "clusters.cloud.workers[0].pcie_passthrough.devices[1].pci_address",
            "0000:65:00.0 is listed twice for cloud/gpu-1",
            "list it once",
        )
    ]


def test_a_device_that_is_not_enabled_has_no_owner():
    off = {"enabled": False, "devices": [function("0000:65:00.0")]}
    declared = estate(
        [machine("gpu-1", function("0000:65:00.0")), machine("gpu-2", pcie_passthrough=off)]
    )
    assert said(pci.one_owner, declared) == []


def test_a_device_has_one_pair_of_ids():
    gpus = {
        "devices": [
            {
                "id": "GPU-0",
                "pci_address": "0000:65:00.0",
                "vendor_id": "10de",
                "device_id": "2204",
            }
        ]
    }
    wrong = estate([machine("gpu-1", function("0000:65:00.0", ids="10de:2684"))], gpus=gpus)
    assert said(pci.one_identity, wrong) == [
        (
            "error",
            "pci-device-ids",
            f"{GPU}.device_id",
            "0000:65:00.0 is 10de:2684 here, and 10de:2204 at gpus (GPU-0)",
            "look with `lspci -n -s 0000:65:00.0` and correct the wrong one",
        )
    ]
    right = estate([machine("gpu-1", function("0000:65:00.0", ids="10DE:0x2204"))], gpus=gpus)
    assert said(pci.one_identity, right) == []


def test_passthrough_without_devices_is_told():
    declared = estate([machine("gpu-1", pcie_passthrough={"enabled": True})])
    assert said(pci.something_to_pass, declared) == [
        (
            "error",
            "passthrough-empty",
            "clusters.cloud.workers[0].pcie_passthrough",
            "gpu-1 has passthrough enabled and no devices",
            "list the devices, or set `enabled: false`",
        )
    ]
    sound = estate([machine("gpu-1", function("0000:65:00.0"))])
    assert said(pci.something_to_pass, sound) == []


def test_without_the_hosts_devices_nothing_is_judged():
    declared = estate([machine("gpu-1", function("0000:65:00.0"))])
    assert said(pci.on_the_host, declared) == [
        (
            "note",
            "pci-device-absent",
            GPU,
            "not checked: the host's PCI devices are not known; 1 are to be passed through",
            "run `ai-how config validate --host` there",
        )
    ]
    assert said(pci.on_the_host, estate([machine("cpu-1")])) == []


@pytest.mark.parametrize(
    ("devices", "remedy"),
    [
        ([], "the host has no GPU; see `lspci -D`"),
        (
            [on_host("0000:01:00.0", "10de:1eb8", is_gpu=True)],
            "the host's GPUs are at 0000:01:00.0",
        ),
        (
            [on_host("0000:02:00.0", "10de:2204", is_gpu=True)],
            "the host has 10de:2204 at 0000:02:00.0",
        ),
    ],
)
def test_a_device_that_the_host_has_not_is_told(devices, remedy):
    declared = estate([machine("gpu-1", function("0000:65:00.0", ids="10de:2204"))])
    message = "0000:65:00.0, passed to cloud/gpu-1: the host has no such device"
    expected = [("error", "pci-device-absent", f"{GPU}.pci_address", message, remedy)]
    assert said(pci.on_the_host, declared, devices=tuple(devices)) == expected


def test_other_ids_on_the_host_are_told():
    declared = estate([machine("gpu-1", function("0000:65:00.0", ids="10de:2204"))])
    there = (on_host("0000:65:00.0", "10de:2684", is_gpu=True),)
    assert said(pci.on_the_host, declared, devices=there) == [
        (
            "error",
            "pci-device-absent",
            f"{GPU}.device_id",
            (
                "0000:65:00.0, passed to cloud/gpu-1, is declared as 10de:2204; on the host it is "
                "10de:2684"
            ),
            "correct the address or the ids",
        )
    ]
    same = (on_host("0000:65:00.0", "10de:2204", is_gpu=True),)
    assert said(pci.on_the_host, declared, devices=same) == []
    without_ids = estate([machine("gpu-1", function("0000:65:00.0"))])
    assert said(pci.on_the_host, without_ids, devices=there) == []


@pytest.mark.parametrize(
    ("text", "possible"),
    [
        ("0000:65:1f.7", True),
        ("0000:65:20.0", False),
        ("0000:65:00.8", False),
        ("65:00", False),
    ],
)
def test_which_addresses_there_can_be(text, possible):
    assert (pci_address(text) is not None) is possible


def test_every_address_is_looked_at():
    declared = estate([machine("gpu-1", function("0000:65:00.0"), function("x"), function("y"))])
    assert [found[2][-14:-12] for found in said(pci.address_form, declared)] == ["1]", "2]"]
