"""What is served where: `config/serving.yaml`, read into plain values.

The file has one key, `models`: a mapping from a model's name to its endpoint, the way it is
promoted (`automatic`), and optionally the numeric `owners` whose checkpoints are taken, the
names of the pickles that its checkpoints may hold (`allow_pickles`) and what a candidate must pass
(`gates`, see `gates.py`). Which servers carry the endpoints is the estate's business and stands
elsewhere.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from platform_assets.spec.errors import AiHowError
from platform_assets.spec.gates import Gates
from platform_assets.spec.names import NameRefused, checked_name


class ServingRefused(AiHowError):
    """The serving file cannot be read, or declares something that cannot be."""


def _name(kind: str, value: str) -> str:
    try:
        return checked_name(kind, value)
    except NameRefused as refusal:
        raise ValueError(str(refusal)) from refusal


class ServedModel(BaseModel):
    """One entry of the serving file: a model and the endpoint that answers for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    endpoint: str
    promotion: Literal["automatic"] = "automatic"
    owners: tuple[int, ...] | None = Field(
        default=None, description="User ids whose checkpoints are taken; absent: only our own."
    )
    allow_pickles: tuple[str, ...] = Field(
        default=(), description="Pickle files, by path in the checkpoint, that may be served."
    )
    gates: Gates | None = Field(
        default=None, description="What a candidate must pass before it serves; absent: nothing."
    )

    @field_validator("model")
    @classmethod
    def _model_keeps_the_rule(cls, value: str) -> str:
        return _name("model", value)

    @field_validator("endpoint")
    @classmethod
    def _endpoint_keeps_the_rule(cls, value: str) -> str:
        return _name("endpoint", value)

    @field_validator("owners")
    @classmethod
    def _owners_are_user_ids(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if value is not None and (not value or min(value) < 0):
            message = "expected at least one user id, none negative; remove the key for our own"
            raise ValueError(message)
        return value

    @field_validator("allow_pickles")
    @classmethod
    def _pickles_are_paths_inside(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            parts = PurePosixPath(name).parts
            if not parts or name.startswith("/") or ".." in parts:
                message = f"expected file names relative to the checkpoint, found {name!r}"
                raise ValueError(message)
        return value


class ServingConfig(BaseModel):
    """The whole serving file, by the model's name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: dict[str, ServedModel]

    def for_model(self, name: str) -> ServedModel | None:
        """Return the entry of model `name`, or None where it is not served."""
        return self.models.get(name)

    def for_endpoint(self, name: str) -> ServedModel | None:
        """Return the entry that answers at endpoint `name`, or None."""
        return next((m for m in self.models.values() if m.endpoint == name), None)


class _LineLoader(yaml.SafeLoader):
    """A safe loader that refuses a key written twice; YAML itself would keep the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key.value!r} stands here for the second time", key.start_mark
                )
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _lines(node: yaml.Node | None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, int]]:
    """Give the dotted path and the line of every key below `node`."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(getattr(key, "value", "")))
            yield ".".join(here), key.start_mark.line + 1
            yield from _lines(value, here)


def _refusal(file: Path, lines: dict[str, int], key: str, words: str) -> ServingRefused:
    near = key
    while near and near not in lines:
        near = near.rpartition(".")[0]
    where = f"{file}:{lines[near]}" if near else str(file)
    return ServingRefused(f"{where}: {key}: {words}" if key else f"{where}: {words}")


def _two_on_one_endpoint(config: ServingConfig) -> tuple[str, str] | None:
    first: dict[str, str] = {}
    for name, entry in config.models.items():
        if entry.endpoint in first:
            return first[entry.endpoint], name
        first[entry.endpoint] = name
    return None


def _with_names(declared: dict[str, Any]) -> dict[str, Any]:
    """Put each model's name into its entry, so that an entry is whole on its own."""
    models = declared.get("models")
    if not isinstance(models, dict):
        return declared
    return declared | {
        "models": {
            name: entry | {"model": name} if isinstance(entry, dict) else entry
            for name, entry in models.items()
        }
    }


def _known_keys(path: list[str]) -> str:
    """Return the keys that the mapping which holds the last key of `path` may have."""
    shape: type[BaseModel] = ServingConfig
    inside = path[:-1]
    if path[0] == "models" and len(path) > 1:
        shape, inside = ServedModel, path[2:-1]
    for name in inside:
        found = [shape.model_fields[name].annotation] if name in shape.model_fields else []
        for kind in [*found, *(get_args(found[0]) if found else ())]:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                shape = kind
    return ", ".join(name for name in shape.model_fields if name != "model")


def _message(error: ValidationError) -> tuple[str, str]:
    """Return the key and the words of the first thing that pydantic found."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"] if part != "[key]"]
    if first["type"] == "extra_forbidden":
        return ".".join(path), f"unknown key; expected {_known_keys(path)}; mend or remove it"
    words = re.sub(r"^Value error, ", "", first["msg"])
    if path[-1] == "model" and first["type"] == "value_error":
        path.pop()
    found = "" if first["type"] in {"missing", "value_error"} else f", found {first['input']!r}"
    return ".".join(path), f"{words}{found}"


def read_serving(file: Path) -> ServingConfig:
    """Read the serving file.

    Raises:
        ServingRefused: names the file, line and key, what was expected and what was found.
    """
    try:
        text = file.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=_LineLoader)
        declared = yaml.load(text, Loader=_LineLoader)  # noqa: S506 - a subclass of SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        message = f"{file}: the serving file cannot be read: {error}; write it, or mend its mode"
        raise ServingRefused(message) from error
    except yaml.YAMLError as error:
        message = f"{file}: expected YAML, found: {error}; mend the file"
        raise ServingRefused(message) from error
    lines = dict(_lines(node))
    if not isinstance(declared, dict):
        words = f"expected a mapping with the key models, found {type(declared).__name__}"
        raise _refusal(file, lines, "", f"{words}; write `models: {{}}` to serve nothing")
    for name, entry in (declared.get("models") or {}).items() if _is_mapping(declared) else ():
        if isinstance(entry, dict) and "model" in entry:
            words = "unknown key; the model's name is the entry's own key; remove it"
            raise _refusal(file, lines, f"models.{name}.model", words)
    try:
        config = ServingConfig.model_validate(_with_names(declared))
    except ValidationError as error:
        raise _refusal(file, lines, *_message(error)) from error
    clash = _two_on_one_endpoint(config)
    if clash:
        endpoint = config.models[clash[1]].endpoint
        words = f"endpoint {endpoint!r} already belongs to model {clash[0]!r}; name another one"
        raise _refusal(file, lines, f"models.{clash[1]}.endpoint", words)
    return config


def _is_mapping(declared: dict[str, Any]) -> bool:
    return isinstance(declared.get("models"), dict)
