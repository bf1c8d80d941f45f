"""The canonical tree against the model: pydantic's errors as findings, and the rest as an estate.

What is wrong is taken out and the rest is judged again. A value that its part cannot do without is
replaced, for a machine that vanished would make every reference to it look wrong; the error stays.
"""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from platform_assets.spec.findings import Path
from platform_assets.spec.loading.reading import Reading
from platform_assets.spec.loading.tree import Node
from platform_assets.spec.loading.wording import told
from platform_assets.spec.model.estate import Estate, Metadata
from platform_assets.spec.model.machines import Machine
from platform_assets.spec.model.shapes import at

_MAX_PASSES = 100

# What stands in for a key that is missing or wrong, by the part that cannot do without it.
_STAND_INS: dict[type, dict[str, str]] = {
    Metadata: {"name": "unnamed"},
    Machine: {"name": "unnamed", "cpu_cores": "4", "memory_gb": "8", "disk_gb": "50"},
}


def validated(tree: Node, reading: Reading) -> tuple[Estate | None, frozenset[Path]]:
    """Return the estate as far as it can be had, and the paths of values that were replaced."""
    replaced: set[Path] = set()
    if "metadata" not in tree.keys:
        tree.keys["metadata"] = tree.beside({})
    for _ in range(_MAX_PASSES):
        if tree.gone:
            break
        try:
            return Estate.model_validate(tree.plain()), frozenset(replaced)
        except ValidationError as error:
            wrong: dict[Path, tuple[Node, ErrorDetails]] = {}
            for detail in error.errors(include_url=False):
                node, path = _place(tree, detail["loc"])
                if detail["type"] == "missing":
                    path = (*path, str(detail["loc"][-1]))
                wrong.setdefault(path, (node, detail))  # a union has an error for each member
            for path, (node, detail) in wrong.items():
                _mend(node, path, detail, reading, replaced)
    return None, frozenset(replaced)


def _place(tree: Node, location: tuple[int | str, ...]) -> tuple[Node, Path]:
    """Return the node that an error is about, and its path as in the file.

    Pydantic counts only what is present, and names the members of a union on the way.
    """
    node, path = tree, []
    for step in location:
        part = step
        if isinstance(step, int):
            present = [position for position, item in enumerate(node.items) if not item.gone]
            if step >= len(present):
                break
            part = present[step]
        under = node.child(part)
        if under is not None and not under.gone:
            node = under
            path.append(part)
    return node, tuple(path)


def _mend(
    node: Node, path: Path, detail: ErrorDetails, reading: Reading, replaced: set[Path]
) -> None:
    """Tell an error and take out, or replace, what causes it."""
    label = path[-1] if path and isinstance(path[-1], str) else "this item"
    told_before = path in replaced
    replaced.add(path)
    if detail["type"] != "missing":
        secret = any((above := at(path[:end])) and above.is_secret for end in range(len(path) + 1))
        rule, message, remedy = told(detail, node, secret)
        reading.tell(node, rule, path, f"{label}: {message}", remedy)
        node.gone = True
        return
    shape = at(path[:-1])
    part = shape.part if shape else None
    key = str(path[-1])
    if not told_before:
        field = part.model_fields.get(key) if part else None
        meaning = (field.description if field else None) or key
        reading.tell(node, "missing-key", path, f"{key}: missing", f"add it: {meaning}")
    stand_in = _STAND_INS.get(part, {}).get(key) if part else None
    if stand_in is None:
        node.gone = True
        replaced.add(path[:-1])
    else:
        node.keys[key] = node.keys.get(key, node).beside(stand_in)
