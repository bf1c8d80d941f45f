"""The host: what the machine is, has and runs, in the words of its kernel and its programs.

Only looked at, nothing is changed. Everything is read below a root, so that a recorded tree is
read like the machine itself. Whether it suffices is judged elsewhere.
"""

import os
import platform
import pwd
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from resources import host_files as files
from resources.host_files import Cpu, Disk, FactUnread, NetworkCard, OsRelease
from resources.host_pci import IommuGroup, PciDevice, read_iommu_groups, read_pci_devices
from resources.host_processes import Processes, read_processes
from resources.host_programs import ANSIBLE, LIBVIRT, QEMU, Ask, ask_program, version_of

_GIB = 1 << 30
IMAGES = Path("/var/lib/libvirt/images")  # where libvirt's default pool lies

_T = TypeVar("_T")


@dataclass(frozen=True)
class Unread:
    """In place of a fact that could not be read: nothing is known of it."""

    reason: str


def known(fact: _T | Unread) -> _T:
    """Return the fact.

    Raises:
        FactUnread: it could not be read.
    """
    if isinstance(fact, Unread):
        raise FactUnread(fact.reason)
    return fact


@dataclass(frozen=True)
class Login:
    """Who asks; `group_ids` as the running session has them."""

    user: str
    uid: int
    group_ids: frozenset[int]


@dataclass(frozen=True)
class Groups:
    """The asking user's groups: now, and those that the next login will have."""

    user: str
    is_root: bool
    now: tuple[str, ...]
    next_login: tuple[str, ...]


@dataclass(frozen=True)
class Kvm:
    """`/dev/kvm`: whether it is there, and whether the asking user may open it."""

    present: bool
    accessible: bool


@dataclass(frozen=True)
class Room:
    """Space of the file system under `path`, the nearest directory that exists."""

    path: str
    total_gib: float
    free_gib: float


@dataclass(frozen=True)
class HostFacts:
    """The host; None is "it is not there", `Unread` is "nobody knows"."""

    cpu: Cpu | Unread
    memory_gib: float | Unread
    disks: tuple[Disk, ...] | Unread
    image_room: Room | Unread
    network_cards: tuple[NetworkCard, ...] | Unread
    os: OsRelease | Unread
    kernel: str | Unread
    iommu_parameters: tuple[str, ...] | Unread
    modules: tuple[str, ...] | Unread
    blacklisted: tuple[str, ...] | Unread
    kvm: Kvm | Unread
    nested: bool | Unread | None
    pci_devices: tuple[PciDevice, ...] | Unread
    iommu_groups: tuple[IommuGroup, ...] | Unread
    nvidia_driver: str | Unread | None
    libvirt: str | Unread | None
    qemu: str | Unread | None
    ansible: str | Unread | None
    python: str
    groups: Groups | Unread
    processes: Processes | Unread

    def as_json(self) -> dict[str, Any]:
        """Return it in JSON's types; a fact that nobody knows is `{"unread": reason}`."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return asdict(self) | {
            name: {"unread": value.reason}
            for name, value in values.items()
            if isinstance(value, Unread)
        }


@dataclass(frozen=True)
class Hardware:
    """What of the host can be read within milliseconds, without asking a program."""

    cpu: Cpu | Unread
    memory_gib: float | Unread
    image_room: Room | Unread
    pci_devices: tuple[PciDevice, ...] | Unread


def current_login() -> Login:
    """Return who runs this process; a user without a name goes by the number."""
    uid = os.getuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    return Login(user, uid, frozenset({os.getegid(), *os.getgroups()}))


def measured_room(directory: Path) -> Room:
    """Return the room of the file system where `directory` is, or would be made.

    Raises:
        OSError: it cannot be measured.
    """
    there = next(one for one in (directory, *directory.parents) if one.exists())
    usage = shutil.disk_usage(there)
    return Room(str(there), round(usage.total / _GIB, 2), round(usage.free / _GIB, 2))


@dataclass(frozen=True)
class Host:
    """A machine to look at; a recorded one brings its own answers for all that is no file."""

    root: Path = Path("/")
    run: Ask = ask_program
    room: Callable[[Path], Room] = measured_room
    login: Login = field(default_factory=current_login)
    images: Path = IMAGES

    def hardware(self) -> Hardware:
        """Read processor, memory, room for images and PCI devices."""
        root, proc = self.root, self.root / "proc"
        return Hardware(
            cpu=_read(lambda: files.parse_cpu(files.text_of(proc / "cpuinfo"))),
            memory_gib=_read(lambda: files.parse_memory_gib(files.text_of(proc / "meminfo"))),
            image_room=_read(lambda: self.room(root / self.images.relative_to("/"))),
            pci_devices=_read(lambda: read_pci_devices(root)),
        )

    def facts(self) -> HostFacts:
        """Read everything; a fact that cannot be read is `Unread`, never empty."""
        root, proc = self.root, self.root / "proc"
        hardware = self.hardware()
        return HostFacts(
            cpu=hardware.cpu,
            memory_gib=hardware.memory_gib,
            disks=_read(lambda: files.read_disks(root)),
            image_room=hardware.image_room,
            network_cards=_read(lambda: files.read_network_cards(root)),
            os=_read(lambda: files.read_os_release(root)),
            kernel=_read(lambda: files.text_of(proc / "sys/kernel/osrelease")),
            iommu_parameters=_read(lambda: files.read_iommu_parameters(root)),
            modules=_read(lambda: files.read_modules(root)),
            blacklisted=_read(lambda: files.read_blacklisted(root)),
            kvm=_read(lambda: _kvm(root)),
            nested=_read(lambda: files.read_nested(root)),
            pci_devices=hardware.pci_devices,
            iommu_groups=_read(lambda: read_iommu_groups(root)),
            nvidia_driver=_read(lambda: files.read_nvidia_driver(root)),
            libvirt=_read(lambda: version_of(LIBVIRT, self.run)),
            qemu=_read(lambda: version_of(QEMU, self.run)),
            ansible=_read(lambda: version_of(ANSIBLE, self.run)),
            python=platform.python_version(),
            groups=_read(lambda: _groups(root, self.login)),
            processes=_read(lambda: read_processes(root)),
        )


def read_host(root: Path = Path("/"), run: Ask = ask_program) -> HostFacts:
    """Read the machine whose files stand below `root` and whose programs `run` asks."""
    return Host(root, run).facts()


def _read(fact: Callable[[], _T]) -> _T | Unread:
    try:
        return fact()
    except (OSError, FactUnread) as error:
        return Unread(str(error))


def _kvm(root: Path) -> Kvm:
    device = root / "dev/kvm"
    present = device.name in {entry.name for entry in device.parent.iterdir()}
    return Kvm(present, os.access(device, os.R_OK | os.W_OK))


def _groups(root: Path, login: Login) -> Groups:
    names, members = files.parse_groups(files.text_of(root / "etc/group"))
    now = {names[one] for one in login.group_ids if one in names}
    later = {name for name, those in members.items() if login.user in those}
    return Groups(login.user, login.uid == 0, tuple(sorted(now)), tuple(sorted(later | now)))
