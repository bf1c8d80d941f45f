"""Recorded hosts: `tests/fixtures/hosts/*.yaml`, unpacked into the files that a kernel shows."""

from pathlib import Path
from typing import Any

import yaml

from resources.host import Host, Login, Room

RECORDINGS = Path(__file__).parent / "fixtures" / "hosts"


def recorded_host(name: str, root: Path) -> Host:
    """Unpack the recording `name` below `root` and return the host that reads it."""
    told = yaml.safe_load((RECORDINGS / f"{name}.yaml").read_text())
    for path, text in told["files"].items():
        _write(root / path, text)
    _write(root / "proc/cpuinfo", _cpuinfo(**told["cpu"]))
    for module in told["modules"]:
        (root / "sys/module" / module).mkdir(parents=True, exist_ok=True)
    for disk, what in told["disks"].items():
        block = root / "sys/block" / disk
        (block / "device").mkdir(parents=True)
        _write(block / "removable", "0")
        _write(block / "size", str(what["sectors"]))
        _write(block / "queue/rotational", str(what["rotational"]))
    (root / "sys/block/loop0").mkdir()
    (root / "sys/class/net/lo").mkdir(parents=True)
    for link, speed in told["links"].items():
        (root / "sys/class/net" / link / "device").mkdir(parents=True)
        _write(root / "sys/class/net" / link / "speed", str(speed))
    _pci(root, told)
    _processes(root, told)
    programs = told["programs"]
    return Host(
        root,
        run=lambda command: programs.get(command[0]),
        room=lambda path: Room(f"/{path.relative_to(root)}", **told["room"]),
        login=Login(
            told["login"]["user"], told["login"]["uid"], frozenset(told["login"]["group_ids"])
        ),
    )


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text.rstrip("\n") + "\n")


def _link(link: Path, target: str) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)


def _cpuinfo(model: str, threads: int, flags: str) -> str:
    return "\n".join(
        f"processor\t: {number}\nmodel name\t: {model}\nflags\t\t: {flags}\n"
        for number in range(threads)
    )


def _pci(root: Path, told: dict[str, Any]) -> None:
    (root / "sys/kernel/iommu_groups").mkdir(parents=True)
    for line in told["pci"].splitlines():
        address, vendor, device, class_id, driver, group = line.split()
        entry = root / "sys/bus/pci/devices" / address
        _write(entry / "vendor", f"0x{vendor}")
        _write(entry / "device", f"0x{device}")
        _write(entry / "class", f"0x{class_id}")
        if driver != "-":
            _link(entry / "driver", f"../../../../bus/pci/drivers/{driver}")
        if driver in ("nouveau", "amdgpu"):
            (entry / "drm" / f"card{int(address[5:7], 16) - 1}").mkdir(parents=True)
        if group != "-":
            _link(entry / "iommu_group", f"../../../../kernel/iommu_groups/{group}")
            there = root / "sys/kernel/iommu_groups" / group / "devices"
            _link(there / address, f"../../../../devices/{address}")
        if class_id.startswith("03"):
            _write(entry / "boot_vga", str(int(address == told.get("boot_screen"))))


def _processes(root: Path, told: dict[str, Any]) -> None:
    for pid, process in told["processes"].items():
        _write(root / "proc" / str(pid) / "comm", process["comm"])
        (root / "proc" / str(pid) / "fd").mkdir()
        for number, target in enumerate(process["fds"]):
            _link(root / "proc" / str(pid) / "fd" / str(number), target)
    for protocol, sockets in told["sockets"].items():
        lines = ["  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid"]
        for number, socket in enumerate(sockets):
            address, state, inode = socket.split()
            lines.append(
                f"{number:4}: {address} 00000000:0000 {state} 00000000:00000000 00:00000000 "
                f"00000000 0 0 {inode} 1 0000000000000000 100 0 0 10 0"
            )
        _write(root / "proc/net" / protocol, "\n".join(lines))
