"""What is kept of a model: the key `keep` of the serving file, as a plain value.

It stands at the top of the file, as the rule of every model, or in a model's entry, which then
replaces it as a whole. Where there is neither, everything is kept. What follows from a rule is
decided in `platform_assets/serving/retention.py`.
"""

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Keep(BaseModel):
    """What is kept beside everything live: the last `versions`, the younger ones, the pinned."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    versions: int = Field(ge=1, description="How many of the latest versions are kept.")
    days: int = Field(default=30, ge=0, description="Younger versions are kept.")
    pinned: tuple[str, ...] = Field(default=(), description="Versions that are always kept.")

    @field_validator("pinned", mode="before")
    @classmethod
    def _pinned_are_versions(cls, value: object) -> object:
        """Take `[3, "4"]` as well as text; a version is a number of the registry."""
        if not isinstance(value, list | tuple):
            return value
        for one in value:
            if not str(one).isdecimal():
                message = f"expected numbers of versions, found {one!r}"
                raise ValueError(message)
        return tuple(str(one) for one in value)
