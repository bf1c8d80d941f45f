"""Programs: where they are taken from, and what two builders or a killed one leave."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import programs
from tests.lab.programs import ProgramMissing, module_directory, pinned_version, program

BUILD = "from tests.lab.programs import program; print(program('pause'))"


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the lab's cache be empty, but not that of Go."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    monkeypatch.setenv("GOCACHE", os.environ.get("GOCACHE") or str(caches / "go-build"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return tmp_path / "ai-how/lab/programs"


def test_a_program_is_built_once_and_said_so(
    empty_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    built = program("pause")
    assert built.is_relative_to(empty_cache)
    assert "pause: built in" in capsys.readouterr().err
    inode = built.stat().st_ino
    assert program("pause").stat().st_ino == inode
    assert not capsys.readouterr().err
    assert [entry.name for entry in built.parent.iterdir()] == ["pause"]


def test_given_programs_go_first_one_by_one(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = tmp_path / "given"
    given.mkdir()
    (given / "kubectl").touch(0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(given))
    assert program("kubectl") == given / "kubectl"
    assert program("pause").is_relative_to(empty_cache)


def test_two_builders_make_one_program(empty_cache: Path) -> None:
    builders = [
        subprocess.Popen([sys.executable, "-c", BUILD], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    told = {builder.communicate(timeout=120)[0] for builder in builders}
    assert [builder.returncode for builder in builders] == [0, 0, 0]
    [built] = [Path(line.strip()) for line in told]
    assert os.access(built, os.X_OK)


def test_what_a_killed_builder_left_is_no_program(empty_cache: Path) -> None:
    built = program("pause")
    left = built.with_name(".pause.unfinished")
    built.rename(left)
    left.write_bytes(b"half")
    assert program("pause").read_bytes().startswith(b"\x7fELF")
    assert not left.exists()


def test_a_build_that_fails_shows_what_go_said(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "go/pause"
    module.mkdir(parents=True)
    (module / "go.mod").write_text("module lab/pause\n\ngo 1.21\n")
    (module / "main.go").write_text("package main\n\nfunc main() { none() }\n")
    monkeypatch.setattr(programs, "MODULES", module.parent)
    with pytest.raises(ProgramMissing, match="undefined: none"):
        program("pause")
    assert not list(empty_cache.glob("*/*"))


def test_without_go_the_message_says_what_to_do(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("UV", raising=False)
    with pytest.raises(ProgramMissing, match=r"expected Go 1\.21 or newer .* KUBEBUILDER_ASSETS"):
        program("pause")


def test_unknown_programs_and_pins_are_named() -> None:
    with pytest.raises(ProgramMissing, match="minikube: no program of the lab; expected one of"):
        program("minikube")
    with pytest.raises(ProgramMissing, match="expected it to require none"):
        pinned_version("etcd", "none")


def test_a_pinned_module_has_its_sources(empty_cache: Path) -> None:
    directory = module_directory("kwok", "sigs.k8s.io/kwok")
    assert directory.name == f"kwok@{pinned_version('kwok', 'sigs.k8s.io/kwok')}"
    assert module_directory("kwok", "sigs.k8s.io/kwok") == directory
