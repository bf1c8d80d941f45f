"""The estate as a person declares it: one YAML file. What runs is the applied estate."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from platform_assets.spec.errors import AiHowError
from platform_assets.spec.names import NameRefused, checked_name


class EstateRefused(AiHowError):
    """The estate file does not parse, or declares something that cannot be."""


class Estate(BaseModel):
    """What `config/clusters/*.yaml` declares; relative paths begin at the project's folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    checkpoint_root: Path = Field(description="Where training leaves <model>/<run>/ directories.")
    serving: Path = Field(description="The file that says which model is served where.")

    @field_validator("name")
    @classmethod
    def _name_keeps_the_rule(cls, value: str) -> str:
        try:
            return checked_name("estate", value)
        except NameRefused as refusal:
            raise ValueError(str(refusal)) from refusal


def load_estate(text: str, file: Path) -> Estate:
    """Read the estate from the text of `file`.

    Raises:
        EstateRefused: names the file, the key, what was expected and what was found.
    """
    try:
        declared: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        message = f"{file}: not YAML: {error}; mend the file"
        raise EstateRefused(message) from error
    if not isinstance(declared, dict):
        message = f"{file}: expected a mapping with {', '.join(Estate.model_fields)}"
        raise EstateRefused(message)
    try:
        return Estate.model_validate(declared)
    except ValidationError as error:
        found = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg']} (found {e['input']!r})"
            for e in error.errors()
        )
        message = f"{file}: {found}; known keys are {', '.join(Estate.model_fields)}"
        raise EstateRefused(message) from error
