"""The kernel's and the distribution's small files, below any root, each read into plain values.

A file that is missing where that has a meaning is told as that meaning; any other failure is an
error. References: proc(5), sysfs(5), os-release(5), modprobe.d(5), group(5).
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from resources.errors import ResourceError

_SECTOR_BYTES = 512
_GIB = 1 << 30
_MODPROBE = ("etc/modprobe.d", "run/modprobe.d", "usr/lib/modprobe.d", "lib/modprobe.d")
_WATCHED_MODULES = (
    "br_netfilter",
    "kvm",
    "kvm_amd",
    "kvm_intel",
    "kvm_pvm",
    "nouveau",
    "nvidia",
    "vboxdrv",
    "vfio_pci",
    "vmmon",
)


class FactUnread(ResourceError):
    """A fact about the host cannot be read, so nothing is known of it."""


@dataclass(frozen=True)
class Cpu:
    """The processor: its flag for virtualisation, and whether it is itself a virtual one."""

    model: str
    logical_cores: int
    virtualization: str | None  # "vmx" (Intel), "svm" (AMD)
    is_virtual: bool


@dataclass(frozen=True)
class OsRelease:
    """The distribution; `version_id` is empty where it rolls."""

    id: str
    version_id: str
    name: str


@dataclass(frozen=True)
class Disk:
    """A disk that is not removable."""

    name: str
    size_gib: float
    rotational: bool


@dataclass(frozen=True)
class NetworkCard:
    """A network interface that stands for hardware; `speed_mbit` is None without a link."""

    name: str
    speed_mbit: int | None


def text_of(file: Path) -> str:
    """Return the text of a small file."""
    return file.read_text(encoding="utf-8", errors="replace").strip()


def text_if_there(file: Path) -> str | None:
    """Return the text of a small file, None where there is no such file."""
    try:
        return text_of(file)
    except FileNotFoundError:
        return None


def parse_cpu(cpuinfo: str) -> Cpu:
    """Read the text of `/proc/cpuinfo`.

    Raises:
        FactUnread: it names no processor.
    """
    lines = [line.partition(":") for line in cpuinfo.splitlines()]
    values = {name.strip(): value.strip() for name, _, value in reversed(lines)}
    cores = sum(name.strip() == "processor" for name, _, _ in lines)
    if not cores:
        message = "/proc/cpuinfo: expected lines that begin with `processor`, found none"
        raise FactUnread(message)
    flags = values.get("flags", "").split()
    return Cpu(
        model=values.get("model name") or "unknown",
        logical_cores=cores,
        virtualization=next((flag for flag in ("vmx", "svm") if flag in flags), None),
        is_virtual="hypervisor" in flags,
    )


def parse_memory_gib(meminfo: str) -> float:
    """Return what the kernel can use of the memory, from the text of `/proc/meminfo`.

    Raises:
        FactUnread: it does not tell the total.
    """
    total = re.search(r"^MemTotal:\s+(\d+) kB$", meminfo, re.MULTILINE)
    if total is None:
        message = f"/proc/meminfo: expected `MemTotal: … kB`, found {meminfo[:60]!r}"
        raise FactUnread(message)
    return round(int(total[1]) * 1024 / _GIB, 2)


def parse_os_release(text: str) -> OsRelease:
    """Read the text of `/etc/os-release`.

    Raises:
        FactUnread: it has no `ID`, or a line that no shell would take.
    """
    values: dict[str, str] = {}
    for line in text.splitlines():
        name, is_value, value = line.partition("=")
        if not is_value or line.startswith("#"):
            continue
        try:
            values[name.strip()] = "".join(shlex.split(value))
        except ValueError as error:
            message = f"/etc/os-release: {line!r}: {error}"
            raise FactUnread(message) from error
    if not values.get("ID"):
        message = f"/etc/os-release: expected `ID=…`, found {text[:60]!r}"
        raise FactUnread(message)
    name = values.get("PRETTY_NAME") or values["ID"]
    return OsRelease(values["ID"], values.get("VERSION_ID", ""), name)


def read_os_release(root: Path) -> OsRelease:
    """Read which distribution it is, from either place that os-release(5) names."""
    text = text_if_there(root / "etc/os-release")
    return parse_os_release(text_of(root / "usr/lib/os-release") if text is None else text)


def read_modules(root: Path) -> tuple[str, ...]:
    """Return which of the kernel modules that matter here are loaded, or built in.

    `/proc/modules` is not asked: a kernel without loadable modules has none.
    """
    there = {entry.name for entry in (root / "sys/module").iterdir()}
    return tuple(name for name in _WATCHED_MODULES if name in there)


def read_nested(root: Path) -> bool | None:
    """Return whether guests may run guests; None where KVM for Intel or AMD is not loaded."""
    for module in ("kvm_intel", "kvm_amd"):
        answer = text_if_there(root / "sys/module" / module / "parameters/nested")
        if answer is not None:
            return answer in ("1", "Y", "y")
    return None


def read_blacklisted(root: Path) -> tuple[str, ...]:
    """Return the modules that are kept from being loaded for a device, by file or kernel line."""
    names: set[str] = set()
    for directory in (root / one for one in _MODPROBE):
        if directory.is_dir():
            for file in sorted(directory.glob("*.conf")):
                names |= _blacklisted_in(text_of(file))
    line = text_of(root / "proc/cmdline")
    for found in re.findall(r"(?:^|\s)(?:modprobe\.|module_)blacklist=(\S+)", line):
        names |= set(found.split(","))
    return tuple(sorted(names))


def _blacklisted_in(text: str) -> set[str]:
    names = set()
    for line in text.splitlines():
        match line.split():
            case ["blacklist", name]:
                names.add(name)
            case ["install", name, program, *_] if program.endswith(("/false", "/true")):
                names.add(name)
    return names


def read_iommu_parameters(root: Path) -> tuple[str, ...]:
    """Return what the kernel's command line says of the IOMMU; the rest of it is nobody's business.

    https://docs.kernel.org/admin-guide/kernel-parameters.html
    """
    words = text_of(root / "proc/cmdline").split()
    return tuple(word for word in words if re.match(r"(?:intel_|amd_)?iommu=", word))


def read_nvidia_driver(root: Path) -> str | None:
    """Return the version of NVIDIA's own driver if it is loaded, else None.

    Raises:
        FactUnread: it is loaded and tells no version.
    """
    told = text_if_there(root / "proc/driver/nvidia/version")
    if told is None:
        told = text_if_there(root / "sys/module/nvidia/version")
    if told is None:
        return None
    version = re.search(r"\b\d{3,4}\.\d+(?:\.\d+)?\b", told)
    if version is None:
        message = f"/proc/driver/nvidia/version: expected a version, found {told[:80]!r}"
        raise FactUnread(message)
    return version[0]


def read_disks(root: Path) -> tuple[Disk, ...]:
    """Return the disks that stay: no loop devices, no volumes made of others, no sticks."""
    disks = []
    for entry in sorted((root / "sys/block").iterdir()):
        if (entry / "device").exists() and text_of(entry / "removable") == "0":
            size = int(_number(entry / "size")) * _SECTOR_BYTES / _GIB
            rotational = _number(entry / "queue/rotational") == 1
            disks.append(Disk(entry.name, round(size, 2), rotational))
    return tuple(disks)


def _number(file: Path) -> int:
    text = text_of(file)
    try:
        return int(text)
    except ValueError as error:
        message = f"{file}: expected a number, found {text[:40]!r}"
        raise FactUnread(message) from error


def read_network_cards(root: Path) -> tuple[NetworkCard, ...]:
    """Return the interfaces that stand for hardware, with the speed of their link."""
    return tuple(
        NetworkCard(entry.name, _speed_mbit(entry / "speed"))
        for entry in sorted((root / "sys/class/net").iterdir())
        if (entry / "device").exists()
    )


def _speed_mbit(file: Path) -> int | None:
    try:
        speed = _number(file)
    except OSError:  # the kernel refuses to tell (EINVAL) while there is no link
        return None
    return speed if speed > 0 else None


def parse_groups(text: str) -> tuple[dict[int, str], dict[str, frozenset[str]]]:
    """Read the text of `/etc/group`: names by number, and members by name.

    Raises:
        FactUnread: a line has not four parts, or a number that is none.
    """
    names: dict[int, str] = {}
    members: dict[str, frozenset[str]] = {}
    for line in filter(None, text.splitlines()):
        parts = line.split(":")
        if parts[0].startswith(("+", "-", "#")):  # NIS, and remarks
            continue
        if len(parts) != 4 or not re.fullmatch(r"[0-9]+", parts[2]):
            message = f"/etc/group: expected `name:x:number:members`, found {line!r}"
            raise FactUnread(message)
        names[int(parts[2])] = parts[0]
        members[parts[0]] = frozenset(filter(None, parts[3].split(",")))
    return names, members
