"""What of a Hugging Face directory may be served: safetensors weights, JSON, tokenizers, no code.

Formats: https://huggingface.co/docs/safetensors (8 bytes length, JSON header, data) and the index
of sharded weights, `*.safetensors.index.json` with its `weight_map`.
"""

import json
import struct
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from platform_assets.models.refusal import CheckpointRefused

MAX_HEADER_BYTES = 16 * 2**20
MAX_METADATA_BYTES = 16 * 2**20
_SUFFIXES = frozenset({".jinja", ".json", ".md", ".model", ".safetensors", ".tiktoken", ".txt"})
_NAMES = frozenset({"LICENSE", "NOTICE"})
_INDEX = ".safetensors.index.json"


def judge_serving_files(
    directory: Path, serving: Mapping[str, int], pickles: frozenset[str]
) -> None:
    """Refuse a model that brings code or pickles, or whose weights are not whole.

    `serving` maps the path of each serving file to its size; `pickles` are allowed by path.

    Raises:
        CheckpointRefused: names the file and what is wrong with it.
    """
    for path in sorted(serving):
        _judge_kind(directory, path, pickles)
    if "config.json" not in serving:
        adapter = "adapter_config.json" in serving
        found = "an adapter alone (adapter_config.json)" if adapter else "none"
        remedy = "save it merged with its base model" if adapter else "save the whole model"
        message = f"{directory}: expected config.json of a whole model, found {found}; {remedy}"
        raise CheckpointRefused(message)
    for path in sorted(serving):
        if path.endswith(".json") and "config" in PurePosixPath(path).name:
            _judge_configuration(directory, path, serving[path])
    weights = [path for path in serving if path.endswith(".safetensors")]
    if not weights and not any(path in pickles for path in serving):
        message = f"{directory}: expected weights as *.safetensors, found none"
        raise CheckpointRefused(message)
    for path in sorted(weights):
        _judge_weights(directory, path, serving[path])
    for path in sorted(serving):
        if path.endswith(_INDEX):
            _judge_index(directory, path, serving)


def _judge_kind(directory: Path, path: str, pickles: frozenset[str]) -> None:
    name = PurePosixPath(path)
    if name.suffix in {".py", ".pyc", ".so"}:
        message = (
            f"{directory}/{path}: expected no code in a model, found {name.suffix}; remove it: "
            "models that need trust_remote_code are not served"
        )
        raise CheckpointRefused(message)
    if name.suffix not in _SUFFIXES and name.name not in _NAMES and path not in pickles:
        message = (
            f"{directory}/{path}: expected serving files of a kind that a safetensors model has, "
            f"found a kind that is not allowed ({name.suffix or name.name}); save the weights as "
            "safetensors, remove it, or name it in the model's `allow_pickles`"
        )
        raise CheckpointRefused(message)


def _judge_configuration(directory: Path, path: str, size: int) -> None:
    document = _json(directory, path, size)
    if not isinstance(document, dict):
        message = f"{directory}/{path}: expected a JSON object"
        raise CheckpointRefused(message)
    waiting: list[Any] = [document]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            if "auto_map" in node:
                message = (
                    f"{directory}/{path}: auto_map: expected none, found one: it makes the server "
                    "load code from the model; remove it and save a model of a built-in class"
                )
                raise CheckpointRefused(message)
            waiting.extend(node.values())


def _json(directory: Path, path: str, size: int) -> Any:  # noqa: ANN401 - parsed JSON
    if size > MAX_METADATA_BYTES:
        message = f"{directory}/{path}: expected at most {MAX_METADATA_BYTES} bytes, found {size}"
        raise CheckpointRefused(message)
    try:
        return json.loads((directory / path).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        message = f"{directory}/{path}: expected JSON, found text that does not parse: {error}"
        raise CheckpointRefused(message) from error


def _judge_weights(directory: Path, path: str, size: int) -> None:
    expected = 8 + _header_and_data_bytes(directory / path, f"{directory}/{path}", size)
    if expected != size:
        than = "shorter" if size < expected else "longer"
        message = (
            f"{directory}/{path}: expected {expected} bytes as its safetensors header says, "
            f"found {size}, {than}; the file was not written whole: save the model again"
        )
        raise CheckpointRefused(message)


def _header_and_data_bytes(file: Path, where: str, size: int) -> int:
    try:
        with file.open("rb") as opened:
            start = opened.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else -1
            if not 0 < length <= min(MAX_HEADER_BYTES, size - 8):
                message = (
                    f"{where}: expected a safetensors header of 1 to {MAX_HEADER_BYTES} bytes, "
                    f"inside the file of {size}, found {length}: the file is shorter than its "
                    "header says, or is no safetensors file; save the model again"
                )
                raise CheckpointRefused(message)
            header = json.loads(opened.read(length))
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        offsets = sorted(tuple(entry["data_offsets"]) for entry in tensors.values())
        end = 0
        for first, last in offsets:
            if type(first) is not int or type(last) is not int or first != end or last < first:
                message = f"{where}: expected tensors one after the other, found a gap or overlap"
                raise CheckpointRefused(message)
            end = last
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        message = f"{where}: expected a safetensors header, found one that does not parse: {error}"
        raise CheckpointRefused(message) from error
    return int(length) + end


def _judge_index(directory: Path, path: str, serving: Mapping[str, int]) -> None:
    document = _json(directory, path, serving[path])
    shards = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(shards, dict) or not all(isinstance(name, str) for name in shards.values()):
        message = f"{directory}/{path}: weight_map: expected a mapping from tensor to shard file"
        raise CheckpointRefused(message)
    folder = path.rpartition("/")[0]
    prefix = f"{folder}/" if folder else ""
    missing = sorted({name for name in shards.values() if prefix + name not in serving})
    if missing:
        message = (
            f"{directory}/{path}: weight_map: expected every shard beside it, found "
            f"{missing[0]!a} missing; save the model again"
        )
        raise CheckpointRefused(message)
    named = {prefix + name for name in shards.values()}
    stem = path.removesuffix(_INDEX)
    unnamed = sorted(
        p for p in serving
        if p.startswith(stem + "-") and p.endswith(".safetensors") and p not in named
    )  # fmt: skip
    if unnamed:
        message = (
            f"{directory}/{path}: weight_map: expected to name every shard, found {unnamed[0]} "
            "missing from it; remove the shard or save the model again"
        )
        raise CheckpointRefused(message)
