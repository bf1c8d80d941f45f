"""What of a Hugging Face directory is served, and what is refused."""

import json
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from platform_assets.models.checkpoint_directory import (
    CheckpointRefused,
    JudgedCheckpoint,
    judge_checkpoint,
)
from platform_assets.models.seal import seal
from platform_assets.spec.serving import ServedModel
from tests.sample_checkpoints import huggingface_checkpoint, safetensors


def _judge(directory: Path, *pickles: str) -> JudgedCheckpoint:
    served = ServedModel(model="tiny", endpoint="tiny", allow_pickles=pickles)
    return judge_checkpoint(directory, directory.parent.parent, served, datetime.now(UTC))


def _refusal(
    root: Path, change: Callable[[Path], object], sharded: bool = False, *pickles: str
) -> str:
    directory = huggingface_checkpoint(root, "tiny", "first", seal=False, sharded=sharded)
    change(directory)
    seal(str(directory))
    with pytest.raises(CheckpointRefused) as refused:
        _judge(directory, *pickles)
    return str(refused.value)


def test_sharded_weights_are_taken(tmp_path: Path) -> None:
    judged = _judge(huggingface_checkpoint(tmp_path, "tiny", "first", sharded=True))
    shards = [f.path for f in judged.manifest.files if f.path.endswith(".safetensors")]
    assert len(shards) == 2


def test_code_is_refused(tmp_path: Path) -> None:
    message = _refusal(tmp_path, lambda d: (d / "modeling_tiny.py").touch())
    assert "modeling_tiny.py: expected no code in a model, found .py; remove it" in message


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("inside", [False, True])
def test_an_auto_map_is_refused_at_any_depth(tmp_path: Path, file: str, inside: bool) -> None:
    auto_map = {"auto_map": {"AutoModel": "modeling_tiny.TinyModel"}}
    document = {"text_config": [auto_map]} if inside else auto_map
    message = _refusal(tmp_path, lambda d: (d / file).write_text(json.dumps(document)))
    assert f"{file}: auto_map: expected none, found one: it makes the server load code" in message


@pytest.mark.parametrize("change", [-1, 1])
def test_weights_of_another_length_than_their_header_says_are_refused(
    tmp_path: Path, change: int
) -> None:
    whole = safetensors({"w": [1.0, 2.0], "b": [0.5]})
    cut = whole[:-1] if change < 0 else whole + b"x"
    message = _refusal(tmp_path, lambda d: (d / "model.safetensors").write_bytes(cut))
    than = "shorter" if change < 0 else "longer"
    assert (
        f"model.safetensors: expected {len(whole)} bytes as its safetensors header says, found "
        f"{len(cut)}, {than}; the file was not written whole"
    ) in message


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the file is shorter than its header says"),
        (b"1234567", "the file is shorter than its header says"),
        (struct.pack("<Q", 2**63) + b"{}", "the file is shorter than its header says"),
        (struct.pack("<Q", 100) + b"{}", "the file is shorter than its header says"),
        (struct.pack("<Q", 2) + b"[]", "one that does not parse"),
        (struct.pack("<Q", 2) + b"{]", "one that does not parse"),
        (struct.pack("<Q", 7) + b'{"w":1}', "one that does not parse"),
    ],
)
def test_bytes_that_are_no_safetensors_are_refused(
    tmp_path: Path, content: bytes, told: str
) -> None:
    message = _refusal(tmp_path, lambda d: (d / "model.safetensors").write_bytes(content))
    assert "model.safetensors: expected a safetensors header" in message
    assert told in message


def test_tensors_that_overlap_are_refused(tmp_path: Path) -> None:
    header = json.dumps({"a": {"data_offsets": [0, 8]}, "b": {"data_offsets": [4, 12]}}).encode()
    content = struct.pack("<Q", len(header)) + header + bytes(12)
    message = _refusal(tmp_path, lambda d: (d / "model.safetensors").write_bytes(content))
    assert "expected tensors one after the other, found a gap or overlap" in message


def test_a_shard_missing_from_the_directory_is_refused(tmp_path: Path) -> None:
    message = _refusal(
        tmp_path, lambda d: (d / "model-00002-of-00002.safetensors").unlink(), sharded=True
    )
    assert (
        "model.safetensors.index.json: weight_map: expected every shard beside it, found "
        "'model-00002-of-00002.safetensors' missing"
    ) in message


def test_a_shard_missing_from_the_index_is_refused(tmp_path: Path) -> None:
    index = {"weight_map": {"w": "model-00001-of-00002.safetensors"}}
    message = _refusal(
        tmp_path,
        lambda d: (d / "model.safetensors.index.json").write_text(json.dumps(index)),
        sharded=True,
    )
    assert "expected to name every shard, found model-00002-of-00002.safetensors missing" in message


@pytest.mark.parametrize("index", ["[]", '{"weight_map": 1}', '{"weight_map": {"w": 1}}'])
def test_an_index_that_maps_nothing_is_refused(tmp_path: Path, index: str) -> None:
    message = _refusal(
        tmp_path, lambda d: (d / "model.safetensors.index.json").write_text(index), sharded=True
    )
    assert "weight_map: expected a mapping from tensor to shard file" in message


def test_an_adapter_alone_is_refused(tmp_path: Path) -> None:
    message = _refusal(tmp_path, lambda d: (d / "config.json").rename(d / "adapter_config.json"))
    assert "found an adapter alone (adapter_config.json); save it merged" in message


def test_a_model_without_weights_is_refused(tmp_path: Path) -> None:
    message = _refusal(tmp_path, lambda d: (d / "model.safetensors").unlink())
    assert "expected weights as *.safetensors, found none" in message


def test_metadata_that_does_not_parse_is_refused(tmp_path: Path) -> None:
    message = _refusal(tmp_path, lambda d: (d / "config.json").write_text("{"))
    assert "config.json: expected JSON, found text that does not parse" in message


@pytest.mark.parametrize("name", ["pytorch_model.bin", "head.pkl", "run.sh", "vectors.npy", "exe"])
def test_serving_files_of_another_kind_are_refused(tmp_path: Path, name: str) -> None:
    message = _refusal(tmp_path, lambda d: (d / name).touch())
    assert f"{name}: expected serving files of a kind that a safetensors model has" in message


def test_a_pickle_is_taken_only_where_it_is_allowed_by_name(tmp_path: Path) -> None:
    directory = huggingface_checkpoint(tmp_path, "tiny", "first", seal=False)
    (directory / "pytorch_model.bin").touch()
    seal(str(directory))
    assert "pytorch_model.bin" in [
        file.path for file in _judge(directory, "pytorch_model.bin").manifest.files
    ]
    with pytest.raises(CheckpointRefused, match="name it in the model's `allow_pickles`"):
        _judge(directory, "other.bin")
