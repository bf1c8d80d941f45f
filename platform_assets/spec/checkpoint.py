"""The schema `checkpoint/1`: what the marker `_COMPLETE.json` of a checkpoint says.

Published as `docs/schemas/checkpoint-1.json`, explained in `docs/checkpoints.md`. Whether a marker
agrees with the directory beside it is judged in `platform_assets/models/checkpoint_directory.py`.
"""

import json
import math
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from platform_assets.spec.errors import AiHowError
from platform_assets.spec.names import NameRefused, checked_name
from platform_assets.spec.paths import PathRefused, checked_path, checked_tree

MARKER_NAME = "_COMPLETE.json"
SIGNATURE_NAME = "_SIGNATURE.json"
UNLISTED = frozenset({MARKER_NAME, SIGNATURE_NAME})
MAX_MARKER_BYTES = 8 * 2**20
_SHOWN_ERRORS = 5
_FIRST_YEAR, _LAST_YEAR = 2000, 2999


class MarkerRefused(AiHowError):
    """Bytes are not a marker of schema checkpoint/1."""


def _name(kind: str) -> AfterValidator:
    def check(value: str) -> str:
        try:
            return checked_name(kind, value)
        except NameRefused as refusal:
            raise ValueError(str(refusal)) from refusal

    return AfterValidator(check)


def _path(value: str) -> str:
    try:
        return checked_path(value)
    except PathRefused as refusal:
        raise ValueError(str(refusal)) from refusal


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("expected a finite number")
    return value


def _written_out(value: object) -> object:
    if not isinstance(value, str | datetime):
        raise ValueError("expected a time as RFC 3339 writes it")  # noqa: TRY004 - pydantic's way
    return value


def _of_our_time(value: datetime) -> datetime:
    if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        message = f"expected a year from {_FIRST_YEAR} to {_LAST_YEAR}"
        raise ValueError(message)
    return value


_NAME_SCHEMA = {"type": "string", "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$", "maxLength": 24}
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
NamedDigest = Annotated[str, Field(pattern=r"^[a-z0-9]+:[0-9a-f]{32,128}$")]
Text = Annotated[str, Field(min_length=1, max_length=4096)]
Finite = Annotated[float, AfterValidator(_finite)]
Moment = Annotated[
    AwareDatetime, Field(strict=False), BeforeValidator(_written_out), AfterValidator(_of_our_time)
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


class MarkedFile(_Part):
    """One file of the checkpoint."""

    path: Annotated[
        str, AfterValidator(_path), WithJsonSchema({"type": "string", "maxLength": 512})
    ] = Field(description="Relative, /-separated, NFC UTF-8, no . or .. parts.")
    size: int = Field(ge=0, lt=2**53, description="Bytes.")
    sha256: Digest
    serving: bool = Field(description="Whether it belongs to the model as it is served.")


class Code(_Part):
    """The code that trained."""

    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
    dirty: bool | None = Field(None, description="Whether the work tree had uncommitted changes.")
    repository: Text | None = None


class Origin(_Part):
    """A data set that was used, or a model that training began from."""

    name: Text
    digest: NamedDigest | None = Field(None, description="As `sha256:<hex>`.")
    licence: Text | None = None
    uri: Text | None = None


class Training(_Part):
    """Where the checkpoint comes from. What is unknown is left out, never invented."""

    started: Moment | None = None
    ended: Moment | None = None
    job_id: Text | None = Field(None, description="The job of the batch system.")
    user: Text | None = None
    host: Text | None = None
    nodes: tuple[Text, ...] | None = Field(None, strict=False)
    gpus: tuple[Text, ...] | None = Field(None, strict=False)
    code: Code | None = None
    command: tuple[str, ...] | None = Field(None, strict=False)
    container_digest: NamedDigest | None = None
    configuration_digest: NamedDigest | None = None
    hyper_parameters: dict[str, JsonValue] | None = None
    seed: int | None = Field(None, gt=-(2**53), lt=2**53)
    datasets: tuple[Origin, ...] | None = Field(None, strict=False)
    parents: tuple[Origin, ...] | None = Field(None, strict=False)
    metrics: dict[str, Finite] | None = None
    mlflow_run_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what is known, in JSON's types."""
        return self.model_dump(mode="json", exclude_none=True)


class Marker(_Part):
    """What `_COMPLETE.json` says of the directory it lies in."""

    schema_: Literal["checkpoint/1"] = Field(alias="schema")
    model: Annotated[str, _name("model"), WithJsonSchema(_NAME_SCHEMA)]
    run: Annotated[str, _name("run"), WithJsonSchema(_NAME_SCHEMA)]
    format: Literal["mlflow", "huggingface"]
    sealed_at: Moment = Field(description="RFC 3339.")
    files: tuple[MarkedFile, ...] = Field(min_length=1, strict=False)
    training: Training = Training()

    @model_validator(mode="after")
    def _paths_form_a_tree(self) -> "Marker":
        try:
            checked_tree(file.path for file in self.files)
        except PathRefused as refusal:
            raise ValueError(str(refusal)) from refusal
        listed = sorted(UNLISTED & {file.path for file in self.files})
        if listed:
            message = f"{listed[0]} cannot be listed: it is written after the files"
            raise ValueError(message)
        return self

    @property
    def serving_files(self) -> tuple[MarkedFile, ...]:
        """The files that belong to the model as it is served."""
        return tuple(file for file in self.files if file.serving)


def parse_marker(data: bytes, where: str) -> Marker:
    """Read a marker; `where` names the file in the message.

    Raises:
        MarkerRefused: too large, not JSON, keys twice or unknown, values outside the schema.
    """
    if len(data) > MAX_MARKER_BYTES:
        message = (
            f"{where}: expected at most {MAX_MARKER_BYTES} bytes, found {len(data)}; "
            "it is too large to be a marker; seal again"
        )
        raise MarkerRefused(message)
    try:
        document: Any = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite_number,
        )
        _check_texts(document)
        return Marker.model_validate(document)
    except ValidationError as error:
        message = (
            f"{where}: expected schema checkpoint/1, found {_told(error)}; "
            "see docs/checkpoints.md and seal again"
        )
        raise MarkerRefused(message) from error
    except (ValueError, RecursionError) as error:
        message = f"{where}: expected JSON, found text that does not parse: {error}; seal again"
        raise MarkerRefused(message) from error


def _told(error: ValidationError) -> str:
    told = [
        f"{'.'.join(str(part) for part in entry['loc']) or 'marker'}: {entry['msg']}"
        for entry in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    rest = len(told) - _SHOWN_ERRORS
    return "; ".join(told[:_SHOWN_ERRORS]) + (f"; and {rest} more" if rest > 0 else "")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            message = f"key {key!r} comes twice"
            raise ValueError(message)
        found[key] = value
    return found


def _no_constant(constant: str) -> float:
    message = f"{constant} is no number of JSON"
    raise ValueError(message)


def _finite_number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        message = f"{text} is too large for a number"
        raise ValueError(message)
    return number


def _check_texts(document: Any) -> None:  # noqa: ANN401 - parsed JSON
    """Refuse texts that no database and no file of UTF-8 can hold."""
    waiting = [document]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            waiting.extend(node)
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, str) and ("\x00" in node or not _is_unicode(node)):
            message = f"text {node[:40]!a} holds a NUL or half a surrogate pair"
            raise ValueError(message)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def published_schema() -> dict[str, Any]:
    """Return the JSON schema of a marker, as `docs/schemas/checkpoint-1.json` holds it."""
    schema = Marker.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "checkpoint/1",
        **schema,
    }
