"""What the model expects at each key: a walkable picture of the pydantic classes.

Loading, hiding and suggesting need to know which part of the model a place in the file belongs
to before it is validated.
"""

import types
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

from platform_assets.spec.findings import Path
from platform_assets.spec.model.base import Declared, Secret
from platform_assets.spec.model.estate import Estate


@dataclass(frozen=True)
class Shape:
    """What is expected at a place: a part of the model, lists or mappings of a shape, or anything.

    With none of these it is text or a number.
    """

    part: type[Declared] | None = None
    item: "Shape | None" = None
    value: "Shape | None" = None
    anything: bool = False

    @property
    def is_secret(self) -> bool:
        """Whether a secret is expected."""
        return self.part is Secret

    @property
    def takes_anything(self) -> bool:
        """Whether it is a mapping whose keys and values are taken as they are."""
        return self.anything or (self.value is not None and self.value.anything)

    def under(self, step: str | int) -> "Shape | None":
        """Return the shape under a key or position; None where the model knows nothing."""
        if self.anything:
            return self
        if isinstance(step, int):
            return self.item
        if self.part is not None:
            return keys_of(self.part).get(step)
        return self.value


ROOT = Shape(part=Estate)


@cache
def keys_of(part: type[Declared]) -> dict[str, Shape]:
    """Return the shape of each key of a part, under every spelling that the model itself takes."""
    keys = {}
    for name, field in part.model_fields.items():
        keys[name] = _shape(field.annotation)
        if field.alias:
            keys[field.alias] = keys[name]
    return keys


def at(path: Path) -> Shape | None:
    """Return the shape at a canonical path, or None where the model knows nothing."""
    shape: Shape | None = ROOT
    for step in path:
        if shape is None:
            return None
        shape = shape.under(step)
    return shape


def _shape(annotation: object) -> Shape:
    if annotation is Any:
        return Shape(anything=True)
    origin = get_origin(annotation)
    arguments = get_args(annotation)
    if origin is Annotated:
        return _shape(arguments[0])
    if origin in (Union, types.UnionType):
        shapes = [_shape(argument) for argument in arguments]
        return next((shape for shape in shapes if shape != Shape()), Shape())
    if origin is tuple:
        return Shape(item=_shape(arguments[0]))
    if origin is dict:
        return Shape(value=_shape(arguments[1]))
    if isinstance(annotation, type) and issubclass(annotation, Declared):
        return Shape(part=annotation)
    return Shape()
