"""Secrets that stand in the estate as they are: found, so that they can be told or moved away."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel, SecretStr

from platform_assets.spec.canonical import canonical
from platform_assets.spec.findings import Path, dotted
from platform_assets.spec.model.base import Secret
from platform_assets.spec.model.estate import Estate


def literal_secrets(part: object, path: Path = ()) -> Iterator[tuple[Path, SecretStr]]:
    """Yield place and value of every literal secret below `part`, in the order of the keys."""
    if isinstance(part, Secret):
        if part.literal is not None:
            yield path, part.literal
    elif isinstance(part, BaseModel):
        for name, field in type(part).model_fields.items():
            yield from literal_secrets(getattr(part, name), (*path, field.alias or name))
    elif isinstance(part, Mapping):
        for key, value in part.items():
            yield from literal_secrets(value, (*path, key))
    elif isinstance(part, tuple):
        for index, value in enumerate(part):
            yield from literal_secrets(value, (*path, index))


def without_literals(
    estate: Estate, directory: FilePath
) -> tuple[dict[str, Any], dict[FilePath, SecretStr]]:
    """Return the canonical estate with references to files, and what these files must hold.

    Each literal secret becomes `{secret: {file: ...}}`, a file of its own in `directory`.
    """
    declared = canonical(estate)
    files: dict[FilePath, SecretStr] = {}
    for path, value in literal_secrets(estate):
        file = directory / f"estate-{re.sub(r'[^a-z0-9_]+', '-', dotted(path)).strip('-')}"
        files[file] = value
        part: Any = declared
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] = {"secret": {"file": str(file)}}
    return declared, files
