"""Secrets that stand in the estate as they are: found, so that they can be told or moved away."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path as FilePath
from typing import Any, get_args

from pydantic import SecretStr

from platform_assets.spec.findings import Path, dotted
from platform_assets.spec.model.base import Declared, Secret
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.secret_names import is_reference, names_a_secret


def literal_secrets(estate: Estate) -> Iterator[tuple[Path, SecretStr]]:
    """Yield place and value of every literal secret, in the order of the keys.

    Among keys that are taken as they are, whatever stands under the name of a secret is one.
    """
    yield from _declared(estate, ())


def _declared(value: object, path: Path) -> Iterator[tuple[Path, SecretStr]]:
    if isinstance(value, Secret):
        if value.literal is not None:
            yield path, value.literal
    elif isinstance(value, Declared):
        for name, key, is_free in _parts(type(value)):
            look = _free if is_free else _declared
            yield from look(getattr(value, name), (*path, key))
    elif isinstance(value, Mapping):
        for key, content in value.items():
            yield from _declared(content, (*path, key))
    elif isinstance(value, tuple):
        for index, content in enumerate(value):
            yield from _declared(content, (*path, index))


def _free(value: object, path: Path, *, named: bool = False) -> Iterator[tuple[Path, SecretStr]]:
    if isinstance(value, Mapping):
        if is_reference(value):
            return
        for key, content in value.items():
            is_named = named or names_a_secret(str(key))
            yield from _free(content, (*path, key), named=is_named)
    elif isinstance(value, list | tuple):
        for index, content in enumerate(value):
            yield from _free(content, (*path, index), named=named)
    elif named and isinstance(value, str) and value:
        yield path, SecretStr(value)


@cache
def _parts(declared: type[Declared]) -> tuple[tuple[str, str, bool], ...]:
    """Return name and key of what may hold secrets, and whether it is taken as it is."""
    return tuple(
        (name, field.alias or name, _takes_anything(field.annotation))
        for name, field in declared.model_fields.items()
        if _may_hold_secrets(field.annotation)
    )


def _may_hold_secrets(annotation: object) -> bool:
    is_part = isinstance(annotation, type) and issubclass(annotation, Declared)
    inner = any(_may_hold_secrets(each) for each in get_args(annotation))
    return is_part or inner or annotation is Any


def _takes_anything(annotation: object) -> bool:
    return annotation is Any or any(_takes_anything(each) for each in get_args(annotation))


def without_literals(
    estate: Estate, directory: FilePath
) -> tuple[dict[str, Any], dict[FilePath, SecretStr]]:
    """Return what the estate declares as plain data without a secret, and files of the secrets.

    Each literal becomes `{secret: {file: ...}}`, a file of its own in `directory`, with what it
    must hold. The model takes the plain data as they are.
    """
    declared = estate.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    files: dict[FilePath, SecretStr] = {}
    for path, value in literal_secrets(estate):
        file = directory / f"estate-{re.sub(r'[^a-z0-9_]+', '-', dotted(path)).strip('-')}"
        files[file] = value
        put(declared, path, {"secret": {"file": str(file)}})
    return declared, files


def put(declared: dict[str, Any], path: Path, reference: dict[str, Any]) -> None:
    """Let `reference` stand at `path` of plain data, instead of a literal."""
    part: Any = declared
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = reference
