"""What of an MLflow model directory may be served.

The kinds of files, and what the file `MLmodel` may say (https://mlflow.org/docs/latest/ml/model/).
Everything is a list of what is allowed: a key that we do not know could make a loader run code.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from platform_assets.models.refusal import CheckpointRefused
from platform_assets.models.skops_types import TRUSTED_TYPES, judge_skops

MLMODEL = "MLmodel"
MAX_MLMODEL_BYTES = 2**20
MAX_DEPTH = 32
# libyaml's parser, where it is there, reads hostile text in linear time.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
LOADER_MODULES = frozenset({"mlflow.sklearn"})
_NAMES = frozenset(
    {
        "MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "input_example.json",
        "serving_input_example.json", "registered_model_meta", "README.md", "LICENSE",
        "LICENSE.txt", "NOTICE",
    }
)  # fmt: skip
_SUFFIXES = frozenset({".skops"})
_TOP_KEYS = frozenset(
    {
        "artifact_path", "env_vars", "flavors", "is_signature_from_type_hint", "metadata",
        "metrics", "mlflow_version", "model_id", "model_size_bytes", "model_uuid", "params",
        "prompts", "run_id", "saved_input_example_info", "signature", "type_hint_from_example",
        "utc_time_created",
    }
)  # fmt: skip
_FLAVOR_KEYS = {
    "python_function": frozenset(
        {"code", "env", "loader_module", "model_path", "predict_fn", "python_version"}
    ),
    "sklearn": frozenset(
        {
            "code", "pickled_model", "serialization_format", "skops_trusted_types",
            "sklearn_version",
        }
    ),
}  # fmt: skip


def judge_serving_files(
    directory: Path, serving: Mapping[str, int], pickles: frozenset[str]
) -> None:
    """Refuse a model that could run code of its own when it is loaded.

    `serving` maps the path of each serving file to its size; `pickles` are allowed by path.

    Raises:
        CheckpointRefused: names the file, or the key of MLmodel.
    """
    if MLMODEL not in serving:
        message = f"{directory}: expected the file {MLMODEL} of an MLflow model, found none"
        raise CheckpointRefused(message)
    for path in sorted(serving):
        name = PurePosixPath(path)
        if name.name not in _NAMES and name.suffix not in _SUFFIXES and path not in pickles:
            message = (
                f"{directory}/{path}: expected serving files of the kinds that an MLflow model "
                f"saved as skops has, found a kind that is not allowed ({name.suffix or name}); "
                "remove it, save the model as skops, or name it in the model's `allow_pickles`"
            )
            raise CheckpointRefused(message)
    where = f"{directory}/{MLMODEL}"
    flavors = _flavors(_read(directory, serving[MLMODEL]), where)
    _judge_python_function(flavors, where)
    _judge_sklearn(flavors, where, serving, pickles)
    for path in sorted(serving):
        if path.endswith(".skops"):
            judge_skops(directory / path, f"{directory}/{path}")


def _read(directory: Path, size: int) -> dict[str, Any]:
    where = f"{directory}/{MLMODEL}"
    if size > MAX_MLMODEL_BYTES:
        message = f"{where}: expected at most {MAX_MLMODEL_BYTES} bytes, found {size}"
        raise CheckpointRefused(message)
    try:
        text = (directory / MLMODEL).read_text(encoding="utf-8")
        _judge_shape(text, where)
        document = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe one
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        message = f"{where}: expected YAML, found text that does not parse: {told}"
        raise CheckpointRefused(message) from error
    if not isinstance(document, dict):
        message = f"{where}: expected a mapping, found {type(document).__name__}"
        raise CheckpointRefused(message)
    return document


def _judge_shape(text: str, where: str) -> None:
    """Refuse what is cheap to write and dear to build: aliases, and nesting without end."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.AliasEvent):
            message = f"{where}: expected no YAML aliases; save the model with mlflow"
            raise CheckpointRefused(message)
        if isinstance(event, (yaml.CollectionStartEvent, yaml.CollectionEndEvent)):
            depth += 1 if isinstance(event, yaml.CollectionStartEvent) else -1
        if depth > MAX_DEPTH:
            message = f"{where}: expected at most {MAX_DEPTH} levels, found text nested deeper"
            raise CheckpointRefused(message)


def _flavors(document: dict[str, Any], where: str) -> dict[str, dict[str, Any]]:
    _known_keys(document, _TOP_KEYS, where, "")
    flavors = document.get("flavors")
    if not isinstance(flavors, dict):
        message = f"{where}: flavors: expected a mapping, found {type(flavors).__name__}"
        raise CheckpointRefused(message)
    for name, flavor in flavors.items():
        if name not in _FLAVOR_KEYS:
            message = (
                f"{where}: flavors: expected python_function and sklearn, found {name!a}; "
                "save the model with mlflow.sklearn"
            )
            raise CheckpointRefused(message)
        if not isinstance(flavor, dict):
            message = f"{where}: flavors.{name}: expected a mapping"
            raise CheckpointRefused(message)
        _known_keys(flavor, _FLAVOR_KEYS[name], where, f"flavors.{name}.")
        if flavor.get("code") is not None:
            message = (
                f"{where}: flavors.{name}.code: expected none, found {flavor['code']!a}; a "
                "model brings no code of its own: save it without code_paths"
            )
            raise CheckpointRefused(message)
    for name in _FLAVOR_KEYS:
        if name not in flavors:
            message = f"{where}: flavors: expected {name}, found none; save with mlflow.sklearn"
            raise CheckpointRefused(message)
    return flavors


def _known_keys(mapping: dict[str, Any], known: frozenset[str], where: str, prefix: str) -> None:
    for key, value in mapping.items():
        if key not in known and value is not None:
            message = (
                f"{where}: {prefix}{ascii(key).strip(chr(39))}: this key is not allowed, for it "
                "may run code or point elsewhere; save the model with mlflow.sklearn, without it"
            )
            raise CheckpointRefused(message)


def _judge_python_function(flavors: dict[str, dict[str, Any]], where: str) -> None:
    loader = flavors["python_function"].get("loader_module")
    if not isinstance(loader, str) or loader not in LOADER_MODULES:
        message = (
            f"{where}: flavors.python_function.loader_module: expected "
            f"{' or '.join(sorted(LOADER_MODULES))}, found {loader!a}; "
            "other loaders, Python models among them, run code of the model"
        )
        raise CheckpointRefused(message)


def _judge_sklearn(
    flavors: dict[str, dict[str, Any]],
    where: str,
    serving: Mapping[str, int],
    pickles: frozenset[str],
) -> None:
    sklearn, loaded = flavors["sklearn"], flavors["python_function"].get("model_path")
    file = sklearn.get("pickled_model")
    if not isinstance(file, str) or file not in serving or loaded != file:
        message = (
            f"{where}: flavors.sklearn.pickled_model: expected a serving file that "
            f"python_function.model_path names too, found {file!a} and {loaded!a}"
        )
        raise CheckpointRefused(message)
    form = sklearn.get("serialization_format", "pickle")
    if form != "skops" and file not in pickles:
        message = (
            f"{where}: flavors.sklearn.serialization_format: expected skops, found {form!a}, "
            f'which runs code when it is loaded; save with serialization_format="skops", or name '
            f"{file!a} in the model's `allow_pickles` in the serving configuration"
        )
        raise CheckpointRefused(message)
    if form == "skops" and not str(file).endswith(".skops"):
        message = f"{where}: flavors.sklearn.pickled_model: expected a .skops file, found {file}"
        raise CheckpointRefused(message)
    trusted = sklearn.get("skops_trusted_types") or []
    foreign = [name for name in trusted if name not in TRUSTED_TYPES]
    if foreign or not isinstance(trusted, list):
        message = (
            f"{where}: flavors.sklearn.skops_trusted_types: expected types of our list "
            f"(platform_assets/models/skops_types.py), found {foreign or trusted!a}; "
            "save a model without them"
        )
        raise CheckpointRefused(message)
