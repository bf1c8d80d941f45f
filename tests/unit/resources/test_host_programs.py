"""Programs are asked for their version: absent, silent, failing, and telling nonsense."""

import pytest

from resources import host_programs
from resources.host_files import FactUnread
from resources.host_programs import LIBVIRT, ask_program, version_of


@pytest.fixture
def program(tmp_path, monkeypatch):
    def make(script):
        file = tmp_path / "asked"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return file

    return make


def test_what_it_prints_is_given(program):
    program('echo "asked $1 $LC_ALL"')
    assert ask_program(["asked", "--version"]) == "asked --version C\n"


def test_an_absent_program_is_none():
    assert ask_program(["no-such-program-anywhere", "--version"]) is None


def test_a_failing_program_is_told(program):
    file = program("echo broken library >&2; exit 127")
    with pytest.raises(FactUnread) as told:
        ask_program(["asked"])
    assert str(told.value) == f"{file}: exit code 127: broken library"


def test_a_silent_program_is_told(program, monkeypatch):
    monkeypatch.setattr(host_programs, "_TIMEOUT_S", 0.2)
    file = program("exec sleep 30")
    with pytest.raises(FactUnread, match=f"{file}: no answer within 0 s"):
        ask_program(["asked"])


def test_a_file_that_is_no_program_is_told(program):
    file = program("")
    file.write_bytes(b"\x7fELF not really")
    with pytest.raises(FactUnread, match="cannot be started"):
        ask_program(["asked"])


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ("libvirtd (libvirt) 9.0.0\n", "9.0.0"),
        ("QEMU emulator version 8.2.2 (Debian 1:8.2.2+ds-0ubuntu1.10)\n", "8.2.2"),
        ("ansible [core 2.17.1]\n  config file = None\n", "2.17.1"),
        ("thing 7.2", "7.2"),
    ],
)
def test_the_version_is_read(told, version):
    assert version_of(["asked"], lambda _command: told) == version


def test_the_first_daemon_that_is_there_is_asked():
    told = {"libvirtd": "libvirtd (libvirt) 8.0.0"}
    assert version_of(LIBVIRT, lambda command: told.get(command[0])) == "8.0.0"


def test_none_there_is_none():
    assert version_of(LIBVIRT, lambda _command: None) is None


def test_no_version_is_told():
    with pytest.raises(FactUnread) as told:
        version_of(["asked"], lambda _command: "usage: asked")
    assert str(told.value) == "asked --version: expected a version, found 'usage: asked'"
