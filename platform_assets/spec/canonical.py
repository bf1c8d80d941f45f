"""The canonical form of an estate as plain data, ready for YAML or JSON; secrets stay hidden."""

from typing import Any

from platform_assets.spec.loading.references import escaped
from platform_assets.spec.model.base import HIDDEN
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.model.shapes import ROOT, Shape
from platform_assets.spec.secret_names import is_reference, names_a_secret


def canonical(estate: Estate) -> dict[str, Any]:
    """Return what the estate declares, in the one spelling, without what it leaves to defaults.

    Loading it gives the same estate, but for literal secrets, which it does not show.
    """
    return _top(
        estate.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    )


def effective(estate: Estate) -> dict[str, Any]:
    """Return the estate with every default written out; what is absent is left out."""
    return _top(estate.model_dump(mode="json", by_alias=True, exclude_none=True))


def _top(declared: dict[str, Any]) -> dict[str, Any]:
    return {key: _shown(value, ROOT.under(key)) for key, value in declared.items()}


def _shown(value: object, shape: Shape | None, *, hidden: bool = False) -> object:
    """Return `value` without secrets among the keys that the model takes as they are.

    Text is written so that loading it gives the same text; whole numbers lose their `.0`.
    """
    if is_reference(value):
        [(source, name)] = value["secret"].items()
        return {"secret": {source: escaped(name)}}
    if isinstance(value, dict):
        free = shape is not None and shape.takes_anything
        return {
            key: _shown(
                content, _under(shape, key), hidden=hidden or (free and names_a_secret(key))
            )
            for key, content in value.items()
        }
    if isinstance(value, list):
        return [_shown(item, _under(shape, 0), hidden=hidden) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, str):
        return value
    return HIDDEN if hidden else escaped(value)


def _under(shape: Shape | None, step: str | int) -> Shape | None:
    return shape.under(step) if shape is not None else None
