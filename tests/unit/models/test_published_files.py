"""What may be read for a copy, in which pieces, and what is said meanwhile."""

import os
from pathlib import Path

import pytest

from platform_assets.lineage.manifest import FileEntry
from platform_assets.models.upload import (
    MAX_FILE_BYTES,
    MAX_PART_BYTES,
    MAX_PARTS,
    MIB,
    PART_BYTES,
    FileTooLarge,
    Progress,
    Upload,
    WrongBytes,
    open_sealed,
    part_bytes,
)
from resources.object_store import ObjectStore


def entry(path="a.bin", size=5):
    return FileEntry(path, size, "0" * 64)


def read(directory: Path, file: FileEntry) -> bytes:
    with open_sealed(directory, file) as descriptor:
        return os.read(descriptor, 100)


def test_a_listed_file_is_opened(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.bin").write_bytes(b"hello")
    assert read(tmp_path, entry("inner/a.bin")) == b"hello"


def test_a_missing_file_is_told_with_what_to_do(tmp_path):
    with pytest.raises(WrongBytes, match=r"a\.bin: expected 5 bytes .* found no such file; if the"):
        read(tmp_path, entry())


@pytest.mark.parametrize("content", [b"hell", b"hello!"])
def test_a_file_of_another_size_is_refused(tmp_path, content):
    (tmp_path / "a.bin").write_bytes(content)
    with pytest.raises(WrongBytes, match=f"expected 5 bytes .* found {len(content)}"):
        read(tmp_path, entry())


def test_a_symbolic_link_is_never_followed(tmp_path):
    (tmp_path / "secret").write_bytes(b"hello")
    (tmp_path / "a.bin").symlink_to("secret")
    with pytest.raises(WrongBytes, match="found a symbolic link"):
        read(tmp_path, entry())


def test_a_linked_directory_is_never_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.bin").write_bytes(b"hello")
    (tmp_path / "inner").symlink_to("real")
    with pytest.raises(WrongBytes):
        read(tmp_path, entry("inner/a.bin"))


def test_a_fifo_is_refused_without_waiting_for_a_writer(tmp_path):
    os.mkfifo(tmp_path / "a.bin")
    with pytest.raises(WrongBytes, match="expected a plain file"):
        read(tmp_path, entry())


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"hello")
    with (
        pytest.raises(WrongBytes, match="changed while it was read"),
        open_sealed(tmp_path, entry()),
    ):
        (tmp_path / "a.bin").write_bytes(b"hello again")


@pytest.mark.parametrize("size", [1, PART_BYTES + 1, 10 * 2**30, MAX_FILE_BYTES])
def test_parts_are_whole_mebibytes_and_never_too_many(size):
    part = part_bytes(size)
    assert part % MIB == 0
    assert part <= MAX_PART_BYTES
    assert part >= PART_BYTES
    assert -(-size // part) <= MAX_PARTS


def test_progress_tells_rate_and_remaining_time():
    said: list[str] = []
    now = [0.0]
    progress = Progress(100 * MIB, said.append, clock=lambda: now[0])
    progress.add(10 * MIB)
    assert said == []
    now[0] = 10.0
    progress.add(10 * MIB)
    assert said == ["sent 20 of 100 MiB, 2 MiB/s, 40 s left"]


def test_progress_tells_what_was_there_already():
    said: list[str] = []
    now = [0.0]
    progress = Progress(100 * MIB, said.append, clock=lambda: now[0])
    now[0] = 10.0
    progress.keep(10 * MIB)
    assert said == ["sent 10 of 100 MiB (10 MiB were there already), 1 MiB/s, 90 s left"]


def test_a_file_that_cannot_be_sent_from_bounded_memory_is_refused_at_once(tmp_path):
    store = ObjectStore("http://127.0.0.1:9", "models", tmp_path / "never-read.json")
    upload = Upload(store, "p/", tmp_path, metadata={}, progress=Progress(1, print))
    with pytest.raises(FileTooLarge, match=r"huge\.bin: expected at most \d+ bytes .* in shards"):
        upload.send([entry("a.bin"), entry("huge.bin", MAX_FILE_BYTES + 1)])
