"""What every declared part shares, and the types of values that several parts use.

Scalars arrive as text, whatever YAML would have made of them (`1e36`, `24:00:00`, `no`): the type
of a key decides what a value means. What can only be judged with other keys in view is a rule's
matter (`spec/rules`), and so is whatever deserves a better word than a pattern gives.
"""

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_serializer,
    model_validator,
)


class Declared(BaseModel):
    """A part of the estate: immutable, no unknown keys, no NaN; keys are described below them."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        populate_by_name=True,
    )


def _hex_id(value: object) -> object:
    """Read `10de`, `0x10DE` and the number 2684 (which is the text of a hex id) as the same id."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value.lower().removeprefix("0x").zfill(4) if isinstance(value, str) else value


def unit(name: str) -> dict[str, Any]:
    """Return what the reference of keys shows as a key's unit."""
    return {"unit": name}


HexId = Annotated[str, BeforeValidator(_hex_id), Field(pattern=r"^[0-9a-f]{4}$")]
Cores = Annotated[int, Field(ge=1, le=4096, json_schema_extra=unit("cores"))]
Gibibytes = Annotated[float, Field(gt=0, le=1_000_000, json_schema_extra=unit("GiB"))]
Port = Annotated[int, Field(ge=1, le=65535)]
# A Kubernetes quantity, as in 100Gi or 500m.
Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?([EPTGM]i?|Ki|[km])?$")]
Duration = Annotated[
    str, Field(pattern=r"^[0-9]+(ms|[smhdwy])$", json_schema_extra=unit("s m h d w y"))
]
# How a version is written differs (`v1.28.0`, `1.28`); rules normalise it.
Version = Annotated[str, AfterValidator(str.strip), Field(min_length=1, max_length=64)]
# The name of an object of Kubernetes.
ObjectName = Annotated[
    str, Field(pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$", min_length=1, max_length=253)
]
Labels = dict[str, str]
# Keys of a tool that is not ours to know; taken as they are.
Free = dict[str, Any]


# What is shown in the place of a literal secret.
HIDDEN = "(literal, hidden)"


class SecretSource(Declared):
    """Where a secret's value is found when it is needed; never the value itself."""

    env: str | None = None
    """Name of the environment variable that holds the value."""
    file: str | None = None
    """File whose first line is the value; it should be of mode 0600."""

    @model_validator(mode="after")
    def _one_source(self) -> "SecretSource":
        if (self.env is None) == (self.file is None):
            message = "expected exactly one of env and file"
            raise ValueError(message)
        return self


class Secret(Declared):
    """A secret: `{secret: {env: NAME}}`, `{secret: {file: PATH}}`, or its literal value.

    A literal is read, so that the rule `literal-secret` can speak of it, and never written again.
    """

    secret: SecretSource | None = None
    """Where the value is found."""
    literal: SecretStr | None = Field(default=None, exclude=True, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return {"literal": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _is_one_thing(self) -> "Secret":
        if (self.secret is None) == (self.literal is None):
            message = "expected {secret: {env: NAME}} or {secret: {file: PATH}}"
            raise ValueError(message)
        return self

    @model_serializer
    def _hidden(self) -> dict[str, Any] | str:
        return (
            HIDDEN if self.secret is None else {"secret": self.secret.model_dump(exclude_none=True)}
        )
