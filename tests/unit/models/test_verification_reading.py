"""Verification reads at a bounded rate, remembers what was right, and goes on where it stopped."""

import hashlib
import os
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.lineage.manifest import FileEntry
from platform_assets.models.verification_reading import (
    FileUnreadable,
    Memory,
    NoPlainFile,
    Reading,
    Remembered,
    Tally,
    files_below,
    may_be_reused,
    open_plain,
    pause_s,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
DATA = b"0123456789"
ENTRY = FileEntry("a.bin", len(DATA), hashlib.sha256(DATA).hexdigest())


class Time:
    """A clock that only sleeping and reading move."""

    def __init__(self) -> None:
        self.s = 0.0

    def sleep(self, seconds: float) -> None:
        self.s += seconds


@pytest.mark.parametrize(
    ("identity", "age", "reused"),
    [
        ("same", timedelta(0), True),
        ("same", WEEK - timedelta(seconds=1), True),
        ("same", WEEK, False),
        ("same", -timedelta(hours=1), False),  # the clock was set back
        ("other", timedelta(0), False),
    ],
)
def test_a_memory_is_used_within_the_policy_and_for_the_same_file_only(identity, age, reused):
    known = Remembered("same", ENTRY, NOW - age)
    assert may_be_reused(known, identity, ENTRY, NOW, WEEK) is reused


def test_a_memory_of_other_bytes_is_not_used():
    other = FileEntry("a.bin", len(DATA), "0" * 64)
    assert not may_be_reused(Remembered("same", other, NOW), "same", ENTRY, NOW, WEEK)
    assert not may_be_reused(None, "same", ENTRY, NOW, WEEK)


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 10_000), min_size=1, max_size=50),
    rate=st.integers(1, 100_000),
    slowness=st.floats(0, 0.001),
)
def test_reading_never_goes_faster_than_it_may(sizes, rate, slowness):
    time = Time()
    reading = Reading(bytes_per_s=rate, clock=lambda: time.s, sleep=time.sleep)

    def pieces():
        for size in sizes:
            time.s += size * slowness
            yield b"x" * size

    reading.entry("here", ENTRY, "id", pieces, Tally())
    assert sum(sizes[1:]) <= rate * time.s * (1 + 1e-9) + 1e-6


def test_no_rate_means_no_pause():
    assert pause_s(10**12, 0.0, None) == 0.0
    assert pause_s(100, 0.25, 100) == 0.75
    assert pause_s(100, 2.0, 100) == 0.0


def read(reading: Reading, data: bytes = DATA, identity: str = "id") -> tuple[FileEntry, Tally]:
    tally = Tally()
    return reading.entry("here", ENTRY, identity, lambda: iter([data]), tally), tally


def test_right_files_are_remembered_until_the_policy_ends(tmp_path):
    clock = [NOW]
    reading = Reading(Memory(tmp_path / "m.sqlite"), policy=WEEK, now=lambda: clock[0])
    assert read(reading)[1].read_bytes == len(DATA)
    clock[0] = NOW + timedelta(days=6)
    found, tally = read(reading)
    assert (found, tally.read_bytes, tally.oldest) == (ENTRY, 0, NOW)
    assert read(reading, identity="new")[1].read_bytes == len(DATA)
    clock[0] = NOW + timedelta(days=13)
    assert read(reading)[1].read_bytes == len(DATA)


def test_wrong_files_are_read_every_time(tmp_path):
    reading = Reading(Memory(tmp_path / "m.sqlite"), policy=WEEK, now=lambda: NOW)
    for _ in range(2):
        found, tally = read(reading, b"9876543210")
        assert found != ENTRY
        assert tally.read_bytes == len(DATA)


def test_without_memory_everything_is_read():
    for _ in range(2):
        assert read(Reading())[1].read_bytes == len(DATA)


def test_old_memories_are_forgotten(tmp_path):
    memory = Memory(tmp_path / "m.sqlite")
    memory.keep("here", Remembered("id", ENTRY, NOW))
    memory.forget_before(NOW)
    assert memory.recall("here", "a.bin") is not None
    memory.forget_before(NOW + timedelta(seconds=1))
    assert memory.recall("here", "a.bin") is None


def test_a_memory_that_is_no_database_says_what_to_do(tmp_path):
    (tmp_path / "m.sqlite").write_bytes(b"no database at all, whatever it is called" * 40)
    with pytest.raises(FileUnreadable, match="remove the file"):
        Memory(tmp_path / "m.sqlite").recall("here", "a.bin")


def test_links_and_pipes_are_no_plain_files(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(DATA)
    (tmp_path / "link").symlink_to("folder/file")
    (tmp_path / "linked-folder").symlink_to("folder")
    os.mkfifo(tmp_path / "pipe")
    for path in ("link", "linked-folder/file", "pipe", "folder", "none"):
        with pytest.raises(NoPlainFile), open_plain(tmp_path, path):
            pass
    assert files_below(tmp_path) == {"folder/file", "link", "linked-folder", "pipe"}
