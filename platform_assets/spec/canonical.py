"""The canonical form of an estate as plain data, ready for YAML or JSON; secrets stay hidden."""

from typing import Any

from platform_assets.spec.model.base import HIDDEN
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.model.shapes import ROOT, Shape
from platform_assets.spec.secret_names import names_a_secret


def canonical(estate: Estate) -> dict[str, Any]:
    """Return what the estate declares, in the one spelling, without what it leaves to defaults."""
    declared = estate.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return {key: _shown(value, ROOT.under(key)) for key, value in declared.items()}


def effective(estate: Estate) -> dict[str, Any]:
    """Return the estate with every default written out; what is absent is left out."""
    declared = estate.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {key: _shown(value, ROOT.under(key)) for key, value in declared.items()}


def _shown(value: object, shape: Shape | None, *, hidden: bool = False) -> object:
    """Return `value` without secrets among the keys that the model takes as they are."""
    if shape is None or shape.is_secret:
        return value
    if isinstance(value, dict):
        return {
            key: _shown(content, shape.under(key), hidden=hidden or (shape.takes_anything and names_a_secret(key)))
            for key, content in value.items()
        }
    if isinstance(value, list):
        return [_shown(item, shape.under(0), hidden=hidden) for item in value]
    return HIDDEN if hidden and isinstance(value, str) else value
