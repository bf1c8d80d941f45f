"""An estate written anew in the canonical form, so that it can be loaded again.

A literal secret is never written. A reference to a variable stands in its place, and is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from platform_assets.spec.canonical import canonical
from platform_assets.spec.findings import Path
from platform_assets.spec.literal_secrets import literal_secrets, put
from platform_assets.spec.model.estate import Estate

_PARTS_OF_A_NAME = 3


@dataclass(frozen=True)
class Migrated:
    """The canonical form, and the variables that stand for what were literal secrets."""

    declared: dict[str, Any]
    variables: Mapping[str, Path]


def migrated(estate: Estate) -> Migrated:
    """Return the estate as a file that declares the same."""
    declared = canonical(estate)
    variables: dict[str, Path] = {}
    for path, _value in literal_secrets(estate):
        name = _variable(path, variables)
        variables[name] = path
        put(declared, path, {"secret": {"env": name}})
    return Migrated(declared, variables)


def _variable(path: Path, taken: Mapping[str, Path]) -> str:
    """Return a name that says which secret it holds, from the last keys of its path."""
    words = ["".join(c if c.isalnum() else "_" for c in str(part)).upper() for part in path]
    short = "_".join(words[-_PARTS_OF_A_NAME:])
    return "_".join(words) if short in taken or short[0].isdigit() else short
