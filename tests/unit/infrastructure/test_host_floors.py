"""Every floor, judged on four recorded hosts and on worlds that differ from them in one thing."""

from dataclasses import replace

import pytest

from platform_assets.infrastructure.floor import Verdict
from platform_assets.infrastructure.host_floors import RULES, findings, floors
from platform_assets.spec.findings import Severity
from platform_assets.spec.pci_names import PciNames
from resources.host import Kvm, Unread
from resources.host_files import NetworkCard, OsRelease
from resources.pci_ids import read_pci_ids
from tests.recorded_hosts import recorded_host

NAMES = PciNames.parse(read_pci_ids())
GOOD = "two_gpu_workstation"


def judged(facts, names=NAMES):
    return {floor.rule: floor for floor in floors(facts, names)}


@pytest.fixture
def good(tmp_path):
    return recorded_host(GOOD, tmp_path).facts()


def test_on_the_workstation_every_floor_holds(good):
    told = floors(good, NAMES)
    assert [floor for floor in told if floor.verdict is not Verdict.HOLDS] == []
    assert findings(told) == []
    assert all(floor.remedy == "" for floor in told)


def test_every_rule_is_judged_once_under_its_own_name(good):
    told = floors(good, NAMES)
    assert len({floor.rule for floor in told}) == len(told) == len(RULES)
    assert len({floor.name for floor in told}) == len(told)


def not_holding(name, tmp_path):
    told = floors(recorded_host(name, tmp_path).facts(), NAMES)
    return [(found.severity.value, found.message, found.remedy) for found in findings(told)]


def test_without_iommu(tmp_path):
    assert not_holding("no_iommu", tmp_path) == [
        (
            "error",
            (
                "Room for images: wanted 745 GiB free (800 GB), found 313 of 915 GiB under "
                "/var/lib/libvirt/images"
            ),
            "free some, or mount a larger disk at /var/lib/libvirt/images",
        ),
        (
            "error",
            (
                "GPUs: wanted 2 by NVIDIA, compute capability 7.0+, found 0000:01:00.0 NVIDIA "
                "AD102 [GeForce RTX 4090]"
            ),
            "another GPU, Volta or newer; without any, serve on CPUs alone",
        ),
        (
            "warning",
            "Kernel: wanted 6.12+, found 6.8.0-85-generic",
            "works; a newer one (HWE, backports) knows newer GPUs and boards",
        ),
        (
            "error",
            "Groups: wanted libvirt and kvm, found ada is not in kvm",
            "sudo usermod -aG kvm ada; log out and in again",
        ),
        (
            "error",
            "IOMMU: wanted on, found no group: it is off",
            (
                "enable Intel VT-d or AMD-Vi in the firmware, add intel_iommu=on iommu=pt to the "
                "kernel's command line, restart"
            ),
        ),
        (
            "error",
            "GPU isolation: wanted an IOMMU group of its own, found no group: the IOMMU is off",
            "switch the IOMMU on first: see the floor IOMMU",
        ),
        (
            "warning",
            "GPU drivers: wanted vfio-pci, or none, found 0000:01:00.0 nvidia",
            (
                "`options vfio-pci ids=10de:2684` in /etc/modprobe.d/vfio.conf, initramfs, "
                "restart; the host's screen needs another one"
            ),
        ),
        (
            "warning",
            "NVIDIA driver: wanted none here, 535+ in the guest, found 570.86.15",
            "the guest brings its own: let vfio-pci take the GPUs, or remove it",
        ),
        (
            "error",
            "GPUs held by: wanted nobody, found 0000:01:00.0 by nvidia-persiste (812)",
            "end them: a GPU that is held cannot change its driver (sudo fuser -v /dev/nvidia*)",
        ),
        (
            "warning",
            "Docker: wanted not running, found running",
            '`"ip-forward-no-drop": true` in /etc/docker/daemon.json, or guests may be cut off',
        ),
    ]


def test_with_nouveau_bound(tmp_path):
    assert not_holding("nouveau_bound", tmp_path) == [
        (
            "error",
            (
                "GPUs: wanted 2 by NVIDIA, compute capability 7.0+, found 0000:01:00.0 NVIDIA "
                "GA102GL [RTX A6000], 0000:02:00.0 NVIDIA GP102 [GeForce GTX 1080 Ti]"
            ),
            "another GPU, Volta or newer; without any, serve on CPUs alone",
        ),
        (
            "error",
            (
                "Operating system: wanted Debian 13+ or Ubuntu 22.04+, found Debian GNU/Linux 12 "
                "(bookworm)"
            ),
            "upgrade to Debian 13 or later",
        ),
        (
            "warning",
            "Kernel: wanted 6.12+, found 6.1.0-40-amd64",
            "works; a newer one (HWE, backports) knows newer GPUs and boards",
        ),
        (
            "error",
            "QEMU: wanted 8.0+, found 7.2.19",
            "upgrade the distribution, or qemu-system-x86 qemu-utils ovmf alone",
        ),
        (
            "error",
            "Groups: wanted libvirt and kvm, found ada is not in libvirt, kvm",
            "log out and in again: the groups are granted",
        ),
        (
            "error",
            "nouveau: wanted never loaded, found bound to 0000:01:00.0, 0000:02:00.0",
            (
                "`blacklist nouveau` in /etc/modprobe.d/nouveau.conf, sudo update-initramfs -u, "
                "restart"
            ),
        ),
        (
            "warning",
            (
                "GPU drivers: wanted vfio-pci, or none, found 0000:01:00.0 nouveau, 0000:02:00.0 "
                "nouveau"
            ),
            (
                "`options vfio-pci ids=10de:1b06,10de:2230` in /etc/modprobe.d/vfio.conf, "
                "initramfs, restart; the host's screen needs another one"
            ),
        ),
        (
            "error",
            "GPUs held by: wanted nobody, found 0000:01:00.0 by Xorg (1400)",
            "end them: a GPU that is held cannot change its driver (sudo fuser -v /dev/nvidia*)",
        ),
        (
            "warning",
            "Other hypervisors: wanted none loaded, found VirtualBox",
            "run no guest of theirs beside KVM's, or sudo modprobe -r vboxdrv",
        ),
        (
            "error",
            (
                "Port 53: wanted free for libvirt's networks, found all addresses taken by dnsmasq "
                "(tcp), dnsmasq (udp)"
            ),
            "let it listen on addresses it names (dnsmasq: bind-dynamic; BIND: listen-on)",
        ),
    ]


def test_with_a_group_shared_by_gpu_and_network_card(tmp_path):
    assert not_holding("shared_group", tmp_path) == [
        (
            "error",
            (
                "GPU isolation: wanted an IOMMU group of its own, found 0000:06:00.0 in 16 with "
                "0000:05:00.0 Intel Corporation Ethernet Controller I225-V"
            ),
            "another slot (one wired to the CPU), or ACS in the firmware; a group goes as a whole",
        ),
        (
            "warning",
            "GPUs held by: wanted nobody, found 0000:0a:00.0 by qemu-system-x86 (3100)",
            "a running guest has it; stop the guest before another gets it",
        ),
    ]


@pytest.mark.parametrize(
    ("changed", "rule", "verdict", "found"),
    [
        ({"memory_gib": 59.61}, "host-memory", "holds", "59.6 GiB"),
        ({"memory_gib": 59.59}, "host-memory", "fails", "59.6 GiB"),
        ({"disks": ()}, "host-disks", "weak", "none"),
        ({"network_cards": ()}, "host-network", "weak", "no card"),
        (
            {"network_cards": (NetworkCard("wlan0", 300),)},
            "host-network",
            "weak",
            "wlan0 300 Mbit/s",
        ),
        ({"os": OsRelease("fedora", "43", "Fedora 43")}, "host-os", "weak", "Fedora 43"),
        ({"os": OsRelease("debian", "", "Debian sid")}, "host-os", "holds", "Debian sid"),
        ({"os": OsRelease("ubuntu", "20.04", "Ubuntu 20.04")}, "host-os", "fails", "Ubuntu 20.04"),
        ({"kernel": "6.12.0"}, "host-kernel", "holds", "6.12.0"),
        ({"kernel": "5.15.0-1"}, "host-kernel", "weak", "5.15.0-1"),
        ({"kernel": "5.14.0"}, "host-kernel", "fails", "5.14.0"),
        ({"libvirt": None}, "host-libvirt", "fails", "not installed"),
        ({"libvirt": "8.10.0"}, "host-libvirt", "fails", "8.10.0"),
        ({"qemu": "8.0"}, "host-qemu", "holds", "8.0"),
        ({"python": "3.10.2"}, "host-python", "fails", "3.10.2"),
        ({"ansible": "2.13.1"}, "host-ansible", "weak", "core 2.13.1"),
        ({"kvm": Kvm(True, False)}, "host-kvm", "fails", "/dev/kvm, closed to ada"),
        ({"kvm": Kvm(False, False)}, "host-kvm", "fails", "no /dev/kvm"),
        ({"modules": ("nouveau",)}, "host-nouveau", "weak", "loaded, bound to no GPU"),
        ({"blacklisted": ()}, "host-nouveau", "holds", "not loaded"),
        ({"pci_devices": ()}, "host-gpus", "fails", "none"),
        ({"pci_devices": ()}, "host-gpu-holders", "holds", "no GPU by NVIDIA"),
    ],
)
def test_one_thing_otherwise(good, changed, rule, verdict, found):
    floor = judged(replace(good, **changed))[rule]
    assert (floor.verdict.value, floor.found) == (verdict, found)
    assert bool(floor.remedy) == (verdict != "holds")


@pytest.mark.parametrize(
    ("is_virtual", "modules", "verdict", "remedy"),
    [
        (False, (), "fails", "enable Intel VT-x or AMD-V (SVM) in the firmware"),
        (
            True,
            (),
            "fails",
            "this is a virtual machine: let its hypervisor allow nested virtualisation",
        ),
        (
            True,
            ("kvm_pvm",),
            "weak",
            "guests run by PVM, in software: no GPU can be handed on from this machine",
        ),
    ],
)
def test_a_processor_without_virtualisation(good, is_virtual, modules, verdict, remedy):
    cpu = replace(good.cpu, virtualization=None, is_virtual=is_virtual)
    floor = judged(replace(good, cpu=cpu, modules=modules))["host-virtualization"]
    assert (floor.verdict.value, floor.remedy) == (verdict, remedy)


def test_a_guest_is_told_to_ask_its_hypervisor_for_an_iommu(good):
    cpu = replace(good.cpu, is_virtual=True)
    told = judged(replace(good, cpu=cpu, iommu_groups=()))
    assert told["host-bare"].verdict is Verdict.WEAK
    assert told["host-iommu"].remedy == (
        "this is a virtual machine: let its hypervisor give it a virtual IOMMU"
    )


def test_a_gpu_outside_every_group_is_not_isolated(good):
    devices = tuple(
        replace(one, iommu_group=None) if one.address == "0000:21:00.0" else one
        for one in good.pci_devices
    )
    floor = judged(replace(good, pci_devices=devices))["host-gpu-isolation"]
    assert (floor.verdict.value, floor.found) == ("fails", "0000:21:00.0 in no group")


def test_without_names_the_age_of_a_gpu_cannot_be_told(good):
    floor = judged(good, names=None)["host-gpus"]
    assert floor.verdict is Verdict.UNKNOWN
    assert floor.found == (
        "0000:01:00.0 10de:2204, 0000:21:00.0 10de:2204, 0000:41:00.0 1002:67df: the list of PCI "
        "ids does not tell the chip"
    )


def test_holders_that_may_be_hidden_cannot_be_told(tmp_path):
    facts = recorded_host("no_iommu", tmp_path).facts()
    hiding = replace(facts.processes, open_devices=(), hidden=3)
    floor = judged(replace(facts, processes=hiding))["host-gpu-holders"]
    assert (floor.verdict.value, floor.found, floor.remedy) == (
        "cannot tell",
        "none seen, 3 processes hide their files from this user",
        "ask again as root",
    )


def test_a_fact_that_was_not_read_is_a_note_and_never_a_verdict(good):
    told = floors(replace(good, pci_devices=Unread("sysfs is closed")), NAMES)
    notes = findings(told)
    assert {note.rule for note in notes} == {
        "host-gpus",
        "host-gpu-isolation",
        "host-nouveau",
        "host-gpu-drivers",
        "host-gpu-holders",
    }
    assert {note.severity for note in notes} == {Severity.NOTE}
    assert notes[0].message == (
        "not checked: GPUs, wanted 2 by NVIDIA, compute capability 7.0+: sysfs is closed"
    )
    assert notes[0].path == ("host", "gpus")
    assert notes[0].remedy == "let it be read (rights, a mounted /proc and /sys), then ask again"
