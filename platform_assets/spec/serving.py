"""What is served where: `config/serving.yaml`, read into plain values.

The key `models` is a mapping from a model's name to its endpoint, the way it is promoted
(`automatic`, or `{alias: NAME}`), and optionally whether a person must approve each version
(`approval`), the public keys of which one must have signed it (`signers`), the numeric `owners`
whose checkpoints are taken, the names of the pickles that its checkpoints may hold
(`allow_pickles`), what a candidate must pass (`gates`, see `gates.py`), what is kept of it
(`keep`, see `retention.py`) and what its pods on Kubernetes are like (see `served_pods.py`). At the
top may stand a `keep` for every model, and how often and how fast live models are read again
(`rehash_days`, `rehash_mib_per_s`). Which servers carry the endpoints is the estate's business and
stands elsewhere.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from platform_assets.spec.errors import AiHowError
from platform_assets.spec.gates import Gates
from platform_assets.spec.names import NameRefused, checked_name
from platform_assets.spec.once_loader import OnceLoader
from platform_assets.spec.retention import Keep
from platform_assets.spec.served_pods import ServedPods


class ServingRefused(AiHowError):
    """The serving file cannot be read, or declares something that cannot be."""


def _name(kind: str, value: str) -> str:
    try:
        return checked_name(kind, value)
    except NameRefused as refusal:
        raise ValueError(str(refusal)) from refusal


class AliasPromotion(BaseModel):
    """Promotion by a person who moves an alias of the registered model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alias: str


class Approval(BaseModel):
    """A person must approve each version; `by` names who may, absent: whoever asks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: tuple[str, ...] | None = None


_PROMOTION_WORDS = "expected automatic, or a mapping {alias: NAME}"
_ALIAS = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?\Z")
_VERSION = re.compile(r"v[0-9]+\Z")
_APPROVAL_WORDS = "expected true, or a mapping {by: [NAME, ...]}"


def _declared_promotion(value: object) -> object:
    """Read `promotion` by hand: what a union of types says of a mistake helps nobody."""
    if value == "automatic" or isinstance(value, AliasPromotion):
        return value
    alias = value.get("alias") if isinstance(value, dict) and len(value) == 1 else None
    if not isinstance(alias, str):
        message = f"{_PROMOTION_WORDS}, found {value!r}"
        raise ValueError(message)  # noqa: TRY004 - pydantic takes no TypeError
    # MLflow keeps `latest` and v1, v2 ... for itself; `live-` is what we set.
    reserved = alias == "latest" or alias.startswith("live-") or _VERSION.match(alias)
    if reserved or not _ALIAS.match(alias) or len(alias) > 24:
        message = (
            f"alias: expected at most 24 characters of a-z, 0-9 and -, none that is taken "
            f"(latest, v1, live-...), found {alias!r}"
        )
        raise ValueError(message)
    return AliasPromotion(alias=alias)


def _declared_approval(value: object) -> object:
    if value is None or isinstance(value, Approval):
        return value
    if isinstance(value, bool):
        return Approval() if value else None
    names = value.get("by") if isinstance(value, dict) and len(value) == 1 else None
    if not isinstance(names, list) or not names or not all(_is_person(name) for name in names):
        message = f"{_APPROVAL_WORDS}, found {value!r}"
        raise ValueError(message)
    return Approval(by=tuple(names))


def _is_person(name: object) -> bool:
    return isinstance(name, str) and bool(name.strip()) and name != "unknown"


class ServedModel(ServedPods):
    """One entry of the serving file: a model and the endpoint that answers for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    endpoint: str
    promotion: Annotated[
        Literal["automatic"] | AliasPromotion, BeforeValidator(_declared_promotion)
    ] = "automatic"
    approval: Annotated[Approval | None, BeforeValidator(_declared_approval)] = Field(
        default=None, description="Whether a person must approve a version before it serves."
    )
    owners: tuple[int, ...] | None = Field(
        default=None, description="User ids whose checkpoints are taken; absent: only our own."
    )
    allow_pickles: tuple[str, ...] = Field(
        default=(), description="Pickle files, by path in the checkpoint, that may be served."
    )
    keep: Keep | None = Field(
        default=None, description="What is kept of this model; absent: the rule for all."
    )
    gates: Gates | None = Field(
        default=None, description="What a candidate must pass before it serves; absent: nothing."
    )
    signers: tuple[str, ...] | None = Field(
        default=None,
        description="Files of the public keys, EC in PEM, of which one must have signed.",
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

    @field_validator("signers")
    @classmethod
    def _signers_are_named(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and not all(value or ("",)):
            message = "expected at least one file of a public key; remove the key to ask for none"
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
    keep: Keep | None = Field(default=None, description="What is kept; absent: everything.")
    rehash_days: float = Field(
        default=7, gt=0, description="After so many days the bytes of a live model are read again."
    )
    rehash_mib_per_s: float = Field(
        default=100, gt=0, description="So fast the scheduled verification reads at most."
    )

    def kept_of(self, model: str) -> Keep | None:
        """Return the rule for `model`; None keeps everything."""
        entry = self.models.get(model)
        return entry.keep if entry is not None and entry.keep is not None else self.keep

    def for_model(self, name: str) -> ServedModel | None:
        """Return the entry of model `name`, or None where it is not served."""
        return self.models.get(name)

    def for_endpoint(self, name: str) -> ServedModel | None:
        """Return the entry that answers at endpoint `name`, or None."""
        return next((m for m in self.models.values() if m.endpoint == name), None)


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


def _whole_entry(entry: object, name: str, folder: Path) -> object:
    """Put the model's name into its entry, and the serving file's folder before its key files."""
    if not isinstance(entry, dict):
        return entry
    keys = entry.get("signers")
    if isinstance(keys, list) and all(isinstance(key, str) and key for key in keys):
        entry = entry | {"signers": [str(folder / key) for key in keys]}
    return entry | {"model": name}


def _with_names(declared: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Make every entry whole on its own."""
    models = declared.get("models")
    if not isinstance(models, dict):
        return declared
    return declared | {
        "models": {name: _whole_entry(entry, name, folder) for name, entry in models.items()}
    }


def _known_keys(path: list[str]) -> str:
    """Return the keys that the mapping which holds the last key of `path` may have."""
    of_model = path[0] == "models" and len(path) > 1
    shape: type[BaseModel] = ServedModel if of_model else ServingConfig
    for name in path[2:-1] if of_model else path[:-1]:
        found = [shape.model_fields[name].annotation] if name in shape.model_fields else []
        for kind in [*found, *(get_args(found[0]) if found else ())]:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                shape = kind
    own_first = sorted(shape.model_fields, key=lambda name: name not in shape.__annotations__)
    return ", ".join(name for name in own_first if name != "model")


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
        node = yaml.compose(text, Loader=OnceLoader)
        declared = yaml.load(text, Loader=OnceLoader)  # noqa: S506 - a subclass of SafeLoader
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
        config = ServingConfig.model_validate(_with_names(declared, file.parent))
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
