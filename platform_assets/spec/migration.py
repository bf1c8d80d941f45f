"""An estate written anew in the canonical form, so that it can be loaded again.

A literal secret is never written. A reference to a variable stands in its place, and is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from platform_assets.spec.canonical import canonical
from platform_assets.spec.findings import Path
from platform_assets.spec.model.base import HIDDEN
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.model.shapes import at

_PARTS_OF_A_NAME = 3


@dataclass(frozen=True)
class Migrated:
    """The canonical form, and the variables that stand for what were literal secrets."""

    declared: dict[str, Any]
    variables: Mapping[str, Path]


def migrated(estate: Estate) -> Migrated:
    """Return the estate as a file that declares the same."""
    variables: dict[str, Path] = {}
    declared = {
        key: _rewritten(value, (key,), variables) for key, value in canonical(estate).items()
    }
    return Migrated(declared, variables)


def _rewritten(value: object, path: Path, variables: dict[str, Path]) -> object:
    if isinstance(value, dict):
        return {key: _rewritten(one, (*path, key), variables) for key, one in value.items()}
    if isinstance(value, list):
        return [_rewritten(one, (*path, index), variables) for index, one in enumerate(value)]
    if value == HIDDEN:
        name = _variable(path, variables)
        variables[name] = path
        shape = at(path)
        return {"secret": {"env": name}} if shape and shape.is_secret else f"${{{name}}}"
    return value


def _variable(path: Path, taken: Mapping[str, Path]) -> str:
    """Return a name that says which secret it holds, from the last keys of its path."""
    words = ["".join(c if c.isalnum() else "_" for c in str(part)).upper() for part in path]
    short = "_".join(words[-_PARTS_OF_A_NAME:])
    return "_".join(words) if short in taken or short[0].isdigit() else short
