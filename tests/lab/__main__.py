"""`python -m tests.lab programs|setup|up|down|status`: what stands behind `make lab-…`."""

import argparse
import sys
from pathlib import Path

from tests.lab import kserve
from tests.lab.commands import LabFailed
from tests.lab.image_cache import ImageBuildFailed
from tests.lab.images import mlserver_image, storage_container_image
from tests.lab.kserve_lab import ensure_kserve_lab
from tests.lab.lab import ESSENTIAL, PROGRAMS, Lab, bring_up, find_lab, refuse_poor_machine
from tests.lab.machine_setup import ensure_packages
from tests.lab.programs import ProgramMissing, program
from tests.lab.record import record_of, records, remove

FOUND, UNKNOWN = 1, 2
# What an API server alone needs.
WITHOUT_ROOT = ("etcd", "kube-apiserver")


def main() -> int:
    """Do what the command line says; 0 done or up, 1 not up, 2 it failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    parser.add_argument("command", choices=["programs", "setup", "up", "down", "status"])
    parser.add_argument("--directory", type=Path, default=Path(".lab"))
    given = parser.parse_args()
    commands = {"programs": _programs, "setup": _setup, "up": _up, "down": _down, "status": _status}
    try:
        return commands[given.command](given.directory.resolve())
    except (LabFailed, ProgramMissing, ImageBuildFailed) as error:
        print(error, file=sys.stderr)
        return UNKNOWN


def _programs(_directory: Path) -> int:
    for name in WITHOUT_ROOT:
        print(program(name))
    return 0


def _setup(_directory: Path) -> int:
    installed = ensure_packages()
    print(f"packages installed: {', '.join(installed) or 'none, all were there'}")
    refuse_poor_machine()
    for name in (*PROGRAMS, kserve.KUBECTL, kserve.NAME):
        print(program(name))
    for image in (mlserver_image(), storage_container_image()):
        print(image.archive)
    return 0


def _up(directory: Path) -> int:
    lab = find_lab(directory)
    if lab is None:
        _down(directory)
        lab = bring_up(directory, keep=True)
    ensure_kserve_lab(lab)
    _describe(lab)
    return 0


def _down(directory: Path) -> int:
    record = record_of(directory)
    if record is not None:
        remove(record)
        print(f"{record.place.name}: taken down")
    return 0


def _status(directory: Path) -> int:
    lab = find_lab(directory)
    if lab is not None:
        _describe(lab)
        return 0
    record = record_of(directory)
    if record is None:
        print(f"{directory}: no lab; `make lab-up` starts one")
    else:
        living = record.servers.living()
        gone = [name for name in ESSENTIAL if name not in living]
        print(f"{record.place.name}: gone: {', '.join(gone) or 'none'}; not up")
    others = [other.directory for other in records() if other.directory != str(directory)]
    if others:
        print(f"other labs: {', '.join(others)}")
    return FOUND


def _describe(lab: Lab) -> None:
    print(f"{lab.place.name} at {lab.address}: {', '.join(sorted(lab.servers.living()))}")
    print(f"  kubeconfig        {lab.kubeconfig}")
    print(f"  enter its network {lab.directory / 'enter'} COMMAND")
    print(f"  logs              {lab.servers.logs}")


if __name__ == "__main__":
    sys.exit(main())
