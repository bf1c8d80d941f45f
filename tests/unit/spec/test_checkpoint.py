"""The schema checkpoint/1: what parses, what does not, and its published form."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from platform_assets.models import seal
from platform_assets.spec.checkpoint import (
    MAX_MARKER_BYTES,
    MarkerRefused,
    Training,
    parse_marker,
    published_schema,
)

PUBLISHED = Path(__file__).parents[3] / "docs" / "schemas" / "checkpoint-1.json"
FILE = {"path": "MLmodel", "size": 1, "sha256": "0" * 64, "serving": True}
MARKER: dict[str, Any] = {
    "schema": "checkpoint/1",
    "model": "digits",
    "run": "first",
    "format": "mlflow",
    "sealed_at": "2026-11-21T13:00:00.000000Z",
    "files": [FILE],
    "training": {},
}
FULL_TRAINING = {
    "started": "2026-11-21T12:00:00Z",
    "ended": "2026-11-21T13:00:00+01:00",
    "job_id": "4711",
    "user": "ada",
    "host": "login1",
    "nodes": ["n01", "n02"],
    "gpus": ["0", "1"],
    "code": {"commit": "a" * 40, "dirty": False, "repository": "https://example.org/code.git"},
    "command": ["oumi", "train", ""],
    "container_digest": "sha256:" + "1" * 64,
    "configuration_digest": "sha256:" + "2" * 64,
    "hyper_parameters": {"lr": 0.1, "layers": [1, 2], "name": "adam", "nested": {"a": None}},
    "seed": 7,
    "datasets": [{"name": "digits", "digest": "sha256:" + "3" * 64, "licence": "CC-BY-4.0"}],
    "parents": [{"name": "llama", "uri": "https://example.org/llama"}],
    "metrics": {"accuracy": 0.97, "steps": 10},
    "mlflow_run_id": "b" * 32,
}


def _parse(document: Any) -> Any:
    return parse_marker(json.dumps(document).encode(), "where")


def test_everything_an_audit_asks_for_has_its_place() -> None:
    marker = _parse(MARKER | {"training": FULL_TRAINING})
    assert set(FULL_TRAINING) == set(Training.model_fields) == set(seal.TRAINING_KEYS)
    back = marker.training.as_json()
    assert back["hyper_parameters"] == FULL_TRAINING["hyper_parameters"]
    assert back["nodes"] == ["n01", "n02"]


def test_what_is_unknown_is_left_out() -> None:
    assert _parse(MARKER).training.as_json() == {}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schema": "checkpoint/2"}, "schema: Input should be 'checkpoint/1'"),
        ({"surprise": 1}, "surprise: Extra inputs are not permitted"),
        ({"model": "Bad Name"}, "expected 1 to 24 lower-case letters"),
        ({"run": "x" * 25}, "expected 1 to 24 lower-case letters"),
        ({"format": "onnx"}, "format: Input should be 'mlflow' or 'huggingface'"),
        ({"sealed_at": "yesterday"}, "sealed_at: "),
        ({"sealed_at": "2026-11-21T13:00:00"}, "sealed_at: "),
        ({"sealed_at": 1795266000}, "sealed_at: Value error, expected a time as RFC 3339"),
        ({"sealed_at": "0001-01-01T00:00:00+14:00"}, "expected a year from 2000 to 2999"),
        ({"training": {"started": "9999-12-31T23:59:59-14:00"}}, "expected a year from 2000"),
        ({"files": []}, "files: "),
        ({"files": [FILE, FILE]}, "listed twice"),
        ({"files": [FILE | {"path": "../MLmodel"}]}, "files.0.path: "),
        ({"files": [FILE | {"path": "_COMPLETE.json"}]}, "_COMPLETE.json cannot be listed"),
        ({"files": [FILE | {"size": -1}]}, "files.0.size: "),
        ({"files": [FILE | {"size": "1"}]}, "files.0.size: "),
        ({"files": [FILE | {"sha256": "0" * 63}]}, "files.0.sha256: "),
        ({"files": [FILE | {"serving": "yes"}]}, "files.0.serving: "),
        ({"training": {"weather": "fine"}}, "training.weather: Extra inputs"),
        ({"training": {"metrics": {"loss": "low"}}}, "training.metrics.loss: "),
        ({"training": {"code": {"commit": "main"}}}, "training.code.commit: "),
    ],
)
def test_a_marker_outside_the_schema_is_refused_by_key(change: dict[str, Any], told: str) -> None:
    with pytest.raises(MarkerRefused, match="where: expected schema checkpoint/1") as refused:
        _parse(MARKER | change)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "does not parse"),
        (b'{"schema": "checkpoint/1"', "does not parse"),
        (b"\xff\xfe", "does not parse"),
        (b"[" * 200_000, "does not parse"),
        (b'{"model": "a", "model": "b"}', "key 'model' comes twice"),
        (b'{"size": 1e999}', "1e999 is too large for a number"),
        (b'{"a": {"b": ["\\u0000"]}}', "holds a NUL or half a surrogate pair"),
        (b'{"\\ud800": 1}', "holds a NUL or half a surrogate pair"),
        (b'{"size": NaN}', "NaN is no number of JSON"),
        (b" " * (MAX_MARKER_BYTES + 1), "too large to be a marker"),
    ],
)
def test_bytes_that_are_no_json_are_refused(data: bytes, told: str) -> None:
    with pytest.raises(MarkerRefused, match=r"where: .*seal again") as refused:
        parse_marker(data, "where")
    assert told in str(refused.value)


def test_the_published_schema_is_the_one_in_force() -> None:
    assert json.loads(PUBLISHED.read_text()) == published_schema()


def test_the_published_schema_takes_what_we_take() -> None:
    jsonschema.validate(MARKER | {"training": FULL_TRAINING}, published_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(MARKER | {"surprise": 1}, published_schema())


def test_only_what_serves_is_served() -> None:
    other = FILE | {"path": "optimizer.pt", "serving": False}
    marker = _parse(MARKER | {"files": [FILE, other]})
    assert [file.path for file in marker.files] == ["MLmodel", "optimizer.pt"]
    assert [file.path for file in marker.serving_files] == ["MLmodel"]
