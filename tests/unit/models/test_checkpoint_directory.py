"""What is taken as a checkpoint, and every bad input with the message a user sees."""

import json
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from platform_assets.models.checkpoint_directory import (
    CheckpointNotFound,
    CheckpointRefused,
    JudgedCheckpoint,
    NotSealed,
    checkpoint_directories,
    find_checkpoint,
    judge_checkpoint,
)
from platform_assets.models.seal import seal
from platform_assets.spec.serving import ServedModel
from tests.sample_checkpoints import huggingface_checkpoint

SERVED = ServedModel(model="tiny", endpoint="tiny")


def _judge(directory: Path, served: ServedModel | None = SERVED, **later: Any) -> JudgedCheckpoint:
    root = directory.parent.parent
    return judge_checkpoint(directory, root, served, datetime.now(UTC) + timedelta(**later))


def _refusal(directory: Path, served: ServedModel | None = SERVED) -> str:
    with pytest.raises(CheckpointRefused) as refused:
        _judge(directory, served)
    message = str(refused.value)
    assert str(directory.parent) in message
    return message


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    return huggingface_checkpoint(tmp_path, "tiny", "first")


def _edit_marker(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    marker = json.loads((directory / "_COMPLETE.json").read_bytes())
    change(marker)
    (directory / "_COMPLETE.json").write_text(json.dumps(marker))


def test_what_oumi_leaves_is_taken_and_only_its_serving_files_published(sealed: Path) -> None:
    judged = _judge(sealed)
    assert [file.path for file in judged.manifest.files] == [
        "README.md",
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert len(judged.marker.files) == 25
    assert judged.key == f"tiny.first.{judged.marker_sha256[:12]}"
    assert judged.format == "huggingface"
    assert find_checkpoint(sealed.parent.parent, judged.key) == sealed


def test_a_signature_beside_the_marker_is_not_an_extra_file(sealed: Path) -> None:
    (sealed / "_SIGNATURE.json").write_text("{}")
    assert _judge(sealed).run == "first"


def test_equal_content_has_one_identity_and_two_keys(tmp_path: Path) -> None:
    first, second = (
        _judge(huggingface_checkpoint(tmp_path, "tiny", run)) for run in ("first", "second")
    )
    assert first.manifest.tree_digest == second.manifest.tree_digest
    assert first.key != second.key


def test_a_directory_without_marker_is_not_sealed(tmp_path: Path) -> None:
    directory = huggingface_checkpoint(tmp_path, "tiny", "first", seal=False)
    with pytest.raises(NotSealed) as refused:
        _judge(directory)
    assert str(refused.value) == (
        f"{directory}: expected the marker _COMPLETE.json, found none; when training has ended, "
        f"seal it: `ai-how checkpoint seal {directory}`"
    )


def test_an_empty_directory_is_not_sealed(tmp_path: Path) -> None:
    (tmp_path / "tiny" / "first").mkdir(parents=True)
    assert "found an empty directory; train into it" in _refusal(tmp_path / "tiny" / "first")


def test_a_marker_from_the_future_is_refused(sealed: Path) -> None:
    judged = _judge(sealed, minutes=-4)
    assert judged.run == "first"
    with pytest.raises(CheckpointRefused, match=r"at most five minutes from now .* in the future"):
        _judge(sealed, minutes=-6)


def test_a_marker_file_from_the_future_is_refused(sealed: Path) -> None:
    ahead = datetime.now(UTC).timestamp() + 3600
    os.utime(sealed / "_COMPLETE.json", (ahead, ahead))
    assert "in the future; set the clock of the machine that seals" in _refusal(sealed)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "_COMPLETE.json: expected JSON, found text that does not parse"),
        ('{"a": 1', "_COMPLETE.json: expected JSON, found text that does not parse"),
        ("{}", "_COMPLETE.json: expected schema checkpoint/1, found schema: Field required"),
        (" " * (8 * 2**20 + 1), "too large to be a marker; seal again"),
    ],
)
def test_a_marker_that_does_not_parse_is_refused(sealed: Path, content: str, told: str) -> None:
    (sealed / "_COMPLETE.json").write_text(content)
    assert told in _refusal(sealed)


def test_an_unknown_key_in_the_marker_is_refused(sealed: Path) -> None:
    _edit_marker(sealed, lambda marker: marker.update({"sur\x1bprise": 1}))
    message = _refusal(sealed)
    assert "Extra inputs are not permitted" in message
    assert message.isprintable()


def test_a_path_outside_the_rule_in_the_marker_is_refused(sealed: Path) -> None:
    _edit_marker(sealed, lambda marker: marker["files"][0].update(path="../../etc/passwd"))
    assert "path '../../etc/passwd' is refused: it has a part `.` or `..`" in _refusal(sealed)


def test_a_missing_file_is_refused(sealed: Path) -> None:
    (sealed / "tokenizer.json").unlink()
    assert "the marker names tokenizer.json, found missing; restore or reseal" in _refusal(sealed)


@pytest.mark.parametrize(("change", "than"), [(-1, "shorter"), (1, "longer")])
def test_a_file_of_another_size_is_refused(sealed: Path, change: int, than: str) -> None:
    size = (sealed / "model.safetensors").stat().st_size
    os.truncate(sealed / "model.safetensors", size + change)
    told = f"expected {size} bytes as the marker says, found {size + change}, {than}"
    assert told in _refusal(sealed)


def test_a_file_newer_than_the_marker_is_refused(sealed: Path) -> None:
    after = (sealed / "_COMPLETE.json").stat().st_mtime_ns + 1_000_000
    os.utime(sealed / "config.json", ns=(after, after))
    message = _refusal(sealed)
    assert "config.json: expected no file newer than the marker, found that it was" in message


def test_extra_files_are_refused(sealed: Path) -> None:
    for name in "abcd":
        (sealed / f"{name}.txt").touch()
    assert "found also a.txt, b.txt, c.txt and 1 more; remove them" in _refusal(sealed)


def test_a_path_outside_the_rule_is_refused(sealed: Path) -> None:
    (sealed / "evil\x1b[2Jname").touch()
    message = _refusal(sealed)
    assert "path 'evil\\x1b[2Jname' is refused: it holds a control character" in message


def test_a_symlink_is_refused(sealed: Path) -> None:
    (sealed / "config.json").unlink()
    (sealed / "config.json").symlink_to("/etc/hostname")
    assert "config.json: expected a file or a directory, found a symlink" in _refusal(sealed)


def test_a_symlink_in_place_of_the_directory_is_refused(sealed: Path) -> None:
    link = sealed.parent / "latest"
    link.symlink_to(sealed)
    assert f"{link}: expected a directory, found a symlink" in _refusal(link)
    assert link in set(checkpoint_directories(sealed.parent.parent))


def test_a_symlink_in_place_of_the_marker_is_refused(sealed: Path) -> None:
    (sealed / "_COMPLETE.json").rename(sealed.parent.parent / "marker")
    (sealed / "_COMPLETE.json").symlink_to(sealed.parent.parent / "marker")
    assert "_COMPLETE.json: expected a readable file, found a symlink" in _refusal(sealed)


def test_a_socket_is_refused(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sealed)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("debug")
    assert "debug: expected a file or a directory, found a socket" in _refusal(sealed)


def test_a_pipe_is_refused(sealed: Path) -> None:
    os.mkfifo(sealed / "logs" / "pipe")
    assert "logs/pipe: expected a file or a directory, found a pipe" in _refusal(sealed)


def test_a_pipe_in_place_of_the_marker_does_not_hang(sealed: Path) -> None:
    (sealed / "_COMPLETE.json").unlink()
    os.mkfifo(sealed / "_COMPLETE.json")
    assert "_COMPLETE.json: expected a file, found something else" in _refusal(sealed)


def test_a_foreign_owner_is_refused(sealed: Path) -> None:
    us = os.geteuid()
    served = ServedModel(model="tiny", endpoint="tiny", owners=(us + 1,))
    message = _refusal(sealed, served)
    assert f"expected an owner among uid {us + 1}, found uid {us}; change the owner" in message
    assert _judge(sealed, served.model_copy(update={"owners": (us,)})).run == "first"


@pytest.mark.parametrize("place", ["", "..", "config.json", "logs", "_COMPLETE.json"])
def test_a_place_that_everybody_may_write_is_refused(sealed: Path, place: str) -> None:
    target = (sealed / place).resolve()
    target.chmod(target.stat().st_mode | 0o002)
    message = _refusal(sealed)
    assert f"{target}: expected nobody else to have write access" in message
    assert "run `chmod o-w`" in message


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("Tiny/first", "model name 'Tiny': expected 1 to 24 lower-case letters"),
        ("tiny/run_1", "run name 'run_1': expected 1 to 24 lower-case letters"),
        ("tiny/" + "x" * 25, "expected 1 to 24 lower-case letters"),
        ("tiny/a\nb", "run name 'a\\nb': expected"),
    ],
)
def test_a_name_outside_the_rule_is_refused(tmp_path: Path, place: str, told: str) -> None:
    directory = tmp_path / place
    directory.mkdir(parents=True)
    assert told in _refusal(directory)
    assert list(checkpoint_directories(tmp_path)) == [directory]


def test_a_checkpoint_that_was_moved_is_refused(sealed: Path) -> None:
    moved = sealed.rename(sealed.with_name("second"))
    told = "expected model 'tiny' and run 'second' as the directory says, found 'tiny' and 'first'"
    assert told in _refusal(moved)


def test_serving_flags_against_the_rule_are_refused(sealed: Path) -> None:
    def publish_the_optimizer(marker: dict[str, Any]) -> None:
        for file in marker["files"]:
            file["serving"] = True

    _edit_marker(sealed, publish_the_optimizer)
    assert "expected serving: false by the rule of checkpoint/1, found the opposite" in _refusal(
        sealed
    )


def test_only_files_for_training_are_no_model(tmp_path: Path) -> None:
    directory = tmp_path / "tiny" / "first"
    directory.mkdir(parents=True)
    (directory / "optimizer.pt").touch()
    seal(str(directory), format="huggingface")
    assert "expected a model, found no serving file" in _refusal(directory)


def test_a_checkpoint_sealed_anew_is_another(sealed: Path) -> None:
    key = _judge(sealed).key
    root = sealed.parent.parent
    seal(str(sealed), training={"seed": 99})
    assert _judge(sealed).key != key
    with pytest.raises(CheckpointNotFound, match=r"was sealed anew and is checkpoint tiny\.first"):
        find_checkpoint(root, key)
    with pytest.raises(CheckpointNotFound, match="it is not there any more"):
        find_checkpoint(root, "tiny.gone.000000000000")
    for foreign in ("nonsense", "tiny.../etc.000000000000", "a.b.c"):
        with pytest.raises(CheckpointNotFound, match="expected <model>"):
            find_checkpoint(root, foreign)


def test_every_run_of_every_model_is_found_in_order(tmp_path: Path) -> None:
    for place in ("b/two", "b/one", "a/one", ".hidden/one", "c/.unfinished"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "README").touch()
    (tmp_path / "a" / "notes.txt").touch()
    found = [str(place.relative_to(tmp_path)) for place in checkpoint_directories(tmp_path)]
    assert found == ["a/one", "b/one", "b/two"]


def test_a_root_that_is_gone_is_not_an_empty_world(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(checkpoint_directories(tmp_path / "gone"))
