"""The host is read: recorded ones exactly, this one really, damaged ones never as empty."""

import os
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import pytest

from resources.host import Groups, Host, HostFacts, Kvm, Room, Unread, known, measured_room
from resources.host import read_host as read
from resources.host_files import Cpu, Disk, FactUnread, NetworkCard, OsRelease
from resources.host_pci import IommuGroup, PciDevice
from resources.host_processes import Listener, OpenDevice
from tests.recorded_hosts import RECORDINGS, recorded_host

NAMES = sorted(file.stem for file in RECORDINGS.glob("*.yaml"))
NOBODY = 65534


@contextmanager
def an_ordinary_user():
    """Look with an ordinary user's eyes, also where root runs the tests."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def unread(facts: HostFacts) -> dict[str, str]:
    values = {one.name: getattr(facts, one.name) for one in fields(facts)}
    return {name: value.reason for name, value in values.items() if isinstance(value, Unread)}


def test_this_machine_is_read_whole():
    facts = read()
    assert unread(facts) == {}
    assert known(facts.cpu).logical_cores == os.cpu_count()
    assert known(facts.kernel) == os.uname().release
    page_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    assert known(facts.memory_gib) == pytest.approx(page_gib, abs=0.1)
    assert known(facts.image_room).free_gib > 0
    assert known(facts.os).id


def test_this_machine_is_read_by_an_ordinary_user():
    with an_ordinary_user():
        facts = read()
    assert unread(facts) == {}
    assert known(facts.processes).hidden > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_host_is_read_whole(name, tmp_path):
    assert unread(recorded_host(name, tmp_path).facts()) == {}


def test_the_workstation(tmp_path):
    facts = recorded_host("two_gpu_workstation", tmp_path).facts()
    assert facts.cpu == Cpu("AMD Ryzen Threadripper PRO 5975WX 32-Cores", 64, "svm", False)
    assert facts.memory_gib == 251.58
    assert facts.disks == (Disk("nvme0n1", 1863.02, False), Disk("sda", 3726.02, True))
    assert facts.image_room == Room("/var/lib/libvirt/images", 1832.7, 1405.2)
    assert facts.network_cards == (NetworkCard("enp36s0f0", 10000), NetworkCard("enp36s0f1", None))
    assert facts.os == OsRelease("debian", "13", "Debian GNU/Linux 13 (trixie)")
    assert facts.kernel == "6.12.48+deb13-amd64"
    assert facts.iommu_parameters == ("iommu=pt",)
    assert facts.modules == ("kvm", "kvm_amd", "vfio_pci")
    assert facts.blacklisted == ("nouveau",)
    assert facts.kvm == Kvm(present=True, accessible=True)
    assert facts.nested is True
    assert facts.nvidia_driver is None
    assert (facts.libvirt, facts.qemu, facts.ansible) == ("11.3.0", "10.0.3", None)
    assert facts.groups == Groups(
        "ada", False, ("ada", "kvm", "libvirt"), ("ada", "kvm", "libvirt")
    )
    assert facts.processes.open_devices == ()
    assert facts.processes.dns_listeners == ()


def test_the_workstations_devices(tmp_path):
    facts = recorded_host("two_gpu_workstation", tmp_path).facts()
    devices = {device.address: device for device in facts.pci_devices}
    assert devices["0000:01:00.0"] == PciDevice(
        "0000:01:00.0", "10de", "2204", "030000", "vfio-pci", 13, False, ("/dev/vfio/13",)
    )
    assert devices["0000:41:00.0"].drew_boot_screen
    assert devices["0000:41:00.0"].nodes == ("/dev/dri/card64", "/dev/vfio/44")
    assert devices["0000:01:00.1"].slot == "0000:01:00"
    assert IommuGroup(13, ("0000:01:00.0", "0000:01:00.1")) in facts.iommu_groups
    assert [group.number for group in facts.iommu_groups] == [0, 1, 13, 27, 31, 32, 44]


def test_no_iommu_is_no_group_and_no_error(tmp_path):
    facts = recorded_host("no_iommu", tmp_path).facts()
    assert facts.iommu_groups == ()
    assert {device.iommu_group for device in facts.pci_devices} == {None}
    assert facts.nvidia_driver == "570.86.15"
    assert facts.ansible == "2.16.3"
    assert facts.blacklisted == ("nouveau",)  # by `install nouveau /bin/false`
    assert facts.processes.open_devices == (OpenDevice("/dev/nvidia0", 812, "nvidia-persiste"),)
    assert facts.processes.daemons == ("dockerd",)


def test_groups_that_wait_for_the_next_login(tmp_path):
    groups = recorded_host("nouveau_bound", tmp_path).facts().groups
    assert groups == Groups("ada", False, ("ada",), ("ada", "kvm", "libvirt"))


def test_who_listens_on_port_53_of_every_address(tmp_path):
    processes = recorded_host("nouveau_bound", tmp_path).facts().processes
    assert processes.dns_listeners == (Listener("tcp", "dnsmasq"), Listener("udp", "dnsmasq"))


def test_modules_kept_away_by_the_kernels_command_line(tmp_path):
    facts = recorded_host("shared_group", tmp_path).facts()
    assert facts.blacklisted == ("nouveau", "snd_hda_intel")
    assert facts.os.id == "debian"  # from /usr/lib, there is none in /etc


def test_an_empty_world_is_unread_not_empty(tmp_path):
    told = unread(Host(tmp_path, run=lambda _command: None, room=measured_room).facts())
    assert sorted(told) == [
        "blacklisted",
        "cpu",
        "disks",
        "groups",
        "iommu_groups",
        "iommu_parameters",
        "kernel",
        "kvm",
        "memory_gib",
        "modules",
        "network_cards",
        "os",
        "pci_devices",
        "processes",
    ]
    assert told["pci_devices"] == f"[Errno 2] No such file or directory: '{tmp_path}/sys/bus'"


def test_a_world_closed_to_the_reader_is_unread(tmp_path):
    host = recorded_host("two_gpu_workstation", tmp_path)
    tmp_path.chmod(0)
    try:
        with an_ordinary_user():
            told = unread(Host(tmp_path, run=host.run, login=host.login).facts())
    finally:
        tmp_path.chmod(0o700)
    readable = {one.name for one in fields(HostFacts)} - told.keys()
    assert readable == {"libvirt", "qemu", "ansible", "python"}
    assert all("Permission denied" in reason for reason in told.values())


def test_a_kernel_without_pci_has_no_devices(tmp_path):
    host = recorded_host("two_gpu_workstation", tmp_path)
    (tmp_path / "sys/bus/pci").rename(tmp_path / "elsewhere")
    assert host.facts().pci_devices == ()


DEVICE = "sys/bus/pci/devices/0000:01:00.0"


@pytest.mark.parametrize(
    ("file", "text", "fact", "reason"),
    [
        (f"{DEVICE}/vendor", "", "pci_devices", "expected 0x and 4 hex digits, found ''"),
        (f"{DEVICE}/class", "0x0300", "pci_devices", "expected 0x and 6 hex digits, found"),
        (f"{DEVICE}/device", "0xZZZZ", "pci_devices", "expected 0x and 4 hex digits, found"),
        ("proc/cpuinfo", "model na", "cpu", "expected lines that begin with `processor`"),
        ("proc/meminfo", "MemTotal:   26", "memory_gib", "expected `MemTotal: … kB`, found"),
        ("etc/os-release", "ID", "os", "expected `ID=…`, found 'ID'"),
        ("etc/os-release", 'NAME="Debi', "os", "No closing quotation"),
        ("etc/group", "kvm:x", "groups", "expected `name:x:number:members`, found 'kvm:x'"),
        ("proc/net/tcp", "head\n 0: 00", "processes", "expected a socket's line, found"),
        ("sys/block/sda/size", "many", "disks", "expected a number, found 'many'"),
        ("proc/driver/nvidia/version", "NVRM", "nvidia_driver", "expected a version, found 'NVRM'"),
    ],
)
def test_a_damaged_file_is_told(tmp_path, file, text, fact, reason):
    host = recorded_host("two_gpu_workstation", tmp_path)
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    told = unread(host.facts())
    assert list(told) == [fact]
    assert reason in told[fact]
    assert Path(file).name in told[fact]


def test_a_missing_attribute_is_told(tmp_path):
    host = recorded_host("two_gpu_workstation", tmp_path)
    (tmp_path / DEVICE / "vendor").unlink()
    assert list(unread(host.facts())) == ["pci_devices"]


def test_a_device_on_its_way_out_of_a_group_is_told(tmp_path):
    host = recorded_host("two_gpu_workstation", tmp_path)
    (tmp_path / DEVICE / "iommu_group").unlink()
    (tmp_path / DEVICE / "iommu_group").symlink_to("../gone")
    assert "expected a link to a group's number" in unread(host.facts())["pci_devices"]


def test_a_program_that_fails_is_unread(tmp_path):
    def run(command):
        message = "/usr/bin/virtqemud: no answer within 10 s"
        raise FactUnread(message)

    told = unread(read(tmp_path, run))
    assert told["libvirt"] == told["qemu"] == "/usr/bin/virtqemud: no answer within 10 s"


def test_a_fact_that_is_unread_is_not_known():
    with pytest.raises(FactUnread, match="closed"):
        known(Unread("closed"))
    assert known(3) == 3


def test_facts_are_json(tmp_path):
    host = recorded_host("two_gpu_workstation", tmp_path)
    (tmp_path / "proc/meminfo").unlink()
    told = host.facts().as_json()
    assert told["memory_gib"]["unread"].startswith("[Errno 2] No such file")
    assert told["cpu"]["logical_cores"] == 64
