"""How much memory is used, and whether a model fits."""

import os
from pathlib import Path

import pytest

from storage_container.errors import NoRoom
from storage_container.room import (
    MAX_BUFFERS,
    MAX_CONNECTIONS,
    MIB,
    MIN_BUFFERS,
    OWN_BYTES,
    SPAN_BYTES,
    budget,
    check_room,
    in_memory,
)

MOUNTS = """\
22 1 0:20 / / rw,relatime - overlay overlay rw
23 22 0:21 / /proc rw - proc proc rw
30 22 254:0 /pods/x /mnt/models rw,relatime shared:1 - ext4 /dev/vda rw
31 22 0:30 / /mnt/in\\040memory rw - tmpfs tmpfs rw
32 31 254:0 / /mnt/in\\040memory/disk rw - xfs /dev/vdb rw
"""


@pytest.mark.parametrize("limit_mib", [16, 64, 100, 128, 256, 512, 1024, None])
def test_buffers_fit_into_the_memory_limit(limit_mib):
    limit = limit_mib * MIB if limit_mib else None
    means = budget(limit)
    assert MIN_BUFFERS <= means.buffers <= MAX_BUFFERS
    assert 1 <= means.connections <= min(means.buffers, MAX_CONNECTIONS)
    if limit and limit > OWN_BYTES + 2 * MIN_BUFFERS * SPAN_BYTES:
        assert OWN_BYTES + means.buffers * SPAN_BYTES <= limit


@pytest.mark.parametrize(
    ("place", "memory"),
    [
        ("/mnt/models", False),
        ("/mnt/models/deep/er", False),
        ("/mnt/in memory", True),
        ("/mnt/in memory/x", True),
        ("/mnt/in memory/disk/x", False),
        ("/mnt/in memory-not", False),
        ("/", False),
    ],
)
def test_a_volume_in_memory_is_known_by_its_mount(tmp_path, place, memory):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert in_memory(place, mounts) is memory


def test_a_model_that_the_disk_cannot_hold_is_refused_first(tmp_path):
    check_room(tmp_path, 1, None)
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    with pytest.raises(NoRoom, match=r"needs \d+ more bytes, \d+ are free; free space"):
        check_room(tmp_path, free + 2**40, None)


def test_a_model_larger_than_the_memory_of_a_volume_in_memory_is_refused():
    check_room(Path("/dev/shm"), MIB, 512 * MIB)
    with pytest.raises(NoRoom, match=r"is a volume in memory: .* raise the limit, or use a volume"):
        check_room(Path("/dev/shm"), 2 * MIB, OWN_BYTES + MIB)


def test_a_model_larger_than_the_memory_fits_on_a_disk(tmp_path):
    # Where pytest's directory lies in memory, the tests themselves mostly do not.
    on_disk = next(one for one in (tmp_path, Path(__file__).parent) if not in_memory(one))
    check_room(on_disk, 2 * MIB, MIB)
