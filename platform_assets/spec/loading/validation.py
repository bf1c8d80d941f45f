"""The canonical tree against the model: pydantic's errors as findings, and the rest as an estate.

What is wrong is taken out and the rest is judged again. A value that its part cannot do without is
replaced, for a machine that vanished would make every reference to it look wrong; the error stays.
"""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from platform_assets.spec.findings import Path
from platform_assets.spec.loading.reading import Reading
from platform_assets.spec.loading.tree import Node
from platform_assets.spec.loading.wording import told as told_as
from platform_assets.spec.model.base import Declared
from platform_assets.spec.model.estate import Estate, Metadata
from platform_assets.spec.model.machines import Machine
from platform_assets.spec.model.shapes import at

_MAX_PASSES = 100

# What stands in for a key that is missing or wrong, by the part that cannot do without it.
_STAND_INS: dict[type[Declared], dict[str, str | dict[str, str]]] = {
    Estate: {"metadata": {"name": "unnamed"}},
    Metadata: {"name": "unnamed"},
    Machine: {"name": "unnamed", "cpu_cores": "4", "memory_gb": "8", "disk_gb": "50"},
}


def validated(tree: Node, reading: Reading) -> Estate | None:
    """Return the estate as far as it can be had; what is wrong becomes findings, and is gone."""
    told: set[Path] = set()
    for _ in range(_MAX_PASSES):
        try:
            return None if tree.gone else Estate.model_validate(tree.plain())
        except ValidationError as error:
            wrong: dict[Path, tuple[Node, ErrorDetails]] = {}
            places = _Places(tree)
            for detail in error.errors(include_url=False):
                node, path = places.of(detail)
                wrong.setdefault(path, (node, detail))  # a union has an error for each member
            for path, (node, detail) in wrong.items():
                if detail["type"] == "missing":
                    _mend_missing(node, path, reading, told)
                else:
                    _tell_wrong(node, path, detail, reading)
                told.add(path)
    return None


class _Places:
    """Finds the place of an error in the tree as it was validated."""

    def __init__(self, tree: Node) -> None:
        self._tree = tree
        self._present: dict[int, list[int | str]] = {}

    def of(self, detail: ErrorDetails) -> tuple[Node, Path]:
        """Return the node that an error is about, and its path as in the file.

        For a missing key that is the node that lacks it, and the path with the key. Pydantic counts
        only what is present, and names the members of a union on the way.
        """
        node, path = self._tree, list[int | str]()
        for step in detail["loc"]:
            part = step
            if isinstance(step, int):
                present = self._positions(node)
                if step >= len(present):
                    break
                part = present[step]
            under = node.child(part)
            if under is not None and not under.gone:
                node = under
                path.append(part)
        if detail["type"] == "missing":
            path.append(detail["loc"][-1])
        return node, tuple(path)

    def _positions(self, node: Node) -> list[int | str]:
        """Return where the items that are present stand; counted once, for lists may be long."""
        if id(node) not in self._present:
            self._present[id(node)] = [part for part, _ in node.present()]
        return self._present[id(node)]


def _tell_wrong(node: Node, path: Path, detail: ErrorDetails, reading: Reading) -> None:
    label = path[-1] if path and isinstance(path[-1], str) else "this item"
    secret = any((above := at(path[:end])) and above.is_secret for end in range(len(path) + 1))
    rule, message, remedy = told_as(detail, node, secret)
    reading.tell(node, rule, path, f"{label}: {message}", remedy)
    node.gone = True


def _mend_missing(node: Node, path: Path, reading: Reading, told: set[Path]) -> None:
    """Tell a missing key, unless it was told why it is gone, and put something in its place."""
    key = str(path[-1])
    shape = at(path[:-1])
    part = shape.part if shape else None
    before = node.keys.get(key)
    was_told = path in told or (before is not None and before.value is not None)
    if not was_told:
        field = part.model_fields.get(key) if part else None
        meaning = (field.description if field else None) or key
        reading.tell(node, "missing-key", path, f"{key}: missing", f"add it: {meaning}")
    stand_in = _STAND_INS.get(part, {}).get(key) if part else None
    if stand_in is None:
        node.gone = True
        told.add(path[:-1])
        return
    place = before or node
    node.keys[key] = place.beside(
        stand_in
        if isinstance(stand_in, str)
        else {name: place.beside(text) for name, text in stand_in.items()}
    )
