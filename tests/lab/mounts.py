"""The view of the disk that the lab's containerd and kubelet share, and nobody else sees.

Both mount a great deal and write to fixed places (`/run/containerd`, `/var/lib/kubelet`,
`/var/lib/cni`, `/var/log/pods`). In a mount namespace of their own every mount goes when the last
of them does, however that ends, and what they write to those places lies in memory above the
machine's own. Only the lab's two directories are the same inside and outside.

The kubelet also sets the kernel of the whole machine, to reboot after a fault and to promise any
memory; in this view it sets copies.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from tests.lab.commands import LabFailed
from tests.lab.processes import Servers

KEEPER = "mounts"
_READY_S = 20.0
COVERED = ("/run", "/tmp", "/var/lib", "/var/log")
# All paths are relative to the scratch directory, for the first cover hides it.
SCRIPT = """
set -eu
run=$1 data=$2
shift 2
mount -t tmpfs -o mode=0755 lab "$run/mounts"
cd "$run/mounts"
mkdir run data
mount --bind "$run" run
mount --bind "$data" data
count=0
for place in "$@"; do
    count=$((count + 1))
    mkdir upper$count work$count
    mount -t overlay -o "lowerdir=$place,upperdir=upper$count,workdir=work$count" lab "$place"
    test "$place" != /run || mount --bind run "$run"
done
mount --bind data "$data"
for setting in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops \
    kernel/keys/root_maxkeys kernel/keys/root_maxbytes
do
    copy=$(echo "$setting" | tr / -)
    cat "/proc/sys/$setting" >"$copy"
    mount --bind "$copy" "/proc/sys/$setting"
done
: >"$run/mounts-ready"
exec sleep infinity
"""


def start_mounts(servers: Servers, data: Path) -> None:
    """Start the process that keeps the namespace; return when it is as described above.

    Raises:
        LabFailed: a mount is refused, or the data's file system cannot carry images' layers.
    """
    _refuse_overlay(data)
    run = servers.place.run
    (run / "mounts").mkdir(exist_ok=True)
    ready = run / "mounts-ready"
    ready.unlink(missing_ok=True)
    unshare = ["unshare", "--mount", "--propagation", "slave"]
    servers.start(KEEPER, [*unshare, "/bin/sh", "-c", SCRIPT, "lab", run, data, *COVERED])
    deadline = time.monotonic() + _READY_S
    while not ready.exists():
        servers.fail_if_ended(KEEPER)
        if time.monotonic() > deadline:
            message = f"{servers.log(KEEPER)}: the lab's mounts are not there after {_READY_S:g} s"
            raise LabFailed(message)
        time.sleep(0.01)


def enter_mounts(servers: Servers) -> Sequence[str]:
    """Return what goes before a command that shall see the disk as containerd does."""
    servers.fail_if_ended(KEEPER)
    return ["nsenter", f"--mount=/proc/{servers.living()[KEEPER]}/ns/mnt", "--"]


def left_mounts(*directories: Path) -> list[str]:
    """Return what is mounted below these directories for everybody to see, inner before outer."""
    places = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    below = [place for place in places if any(Path(place).is_relative_to(d) for d in directories)]
    return sorted(below, reverse=True)


def _refuse_overlay(data: Path) -> None:
    deepest, kind = Path("/"), ""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, file_system, *_ = line.split()
        if data.resolve().is_relative_to(place) and Path(place).is_relative_to(deepest):
            deepest, kind = Path(place), file_system
    if kind == "overlay":
        message = (
            f"{data}: lies on an overlay file system ({deepest}), which cannot carry the layers of "
            "images; give the lab a directory on a disk or in memory (`LAB=…`)"
        )
        raise LabFailed(message)
