"""Every spelling of the estate into the one that the model knows; places are kept.

The tree is walked from the top with the model in hand. At each part the spellings of its keys are
made one, then the part's own dialects are read (the modules `*_dialects`), then what is still
unknown is told, and references are replaced. Secrets are told apart before their text is read.
"""

import difflib

from platform_assets.spec.findings import Path
from platform_assets.spec.loading.reading import Reading
from platform_assets.spec.loading.tree import Node
from platform_assets.spec.model.base import Declared
from platform_assets.spec.model.shapes import ROOT, Shape, keys_of


def into_canonical_form(tree: Node, reading: Reading) -> None:
    """Change the tree into the canonical form; what has no place in it is told, and gone."""
    _walk(tree, ROOT, (), reading)


def _walk(node: Node, shape: Shape | None, path: Path, reading: Reading) -> None:
    if shape is None or node.gone:
        return
    if node.text is not None:
        reading.text(node, path)
        return
    if node.is_mapping and shape.part is not None:
        _tidy(node, shape.part, path, reading)
    for step, child in list(node.present()):
        _walk(child, shape.under(step), (*path, step), reading)


def _tidy(node: Node, part: type[Declared], path: Path, reading: Reading) -> None:
    known = keys_of(part)
    for key, child in node.keys.items():
        if child.gone:
            continue
        if key not in known:
            child.gone = True
            _tell_unknown(child, key, set(known), (*path, key), reading)
        elif child.value is None:
            child.gone = True


def _tell_unknown(node: Node, key: str, known: set[str], path: Path, reading: Reading) -> None:
    near = difflib.get_close_matches(key, sorted(known), n=1)
    message = f"{key}: unknown" + (f", did you mean {near[0]}?" if near else "")
    remedy = f"write {near[0]}" if near else f"take it out; known here: {', '.join(sorted(known))}"
    reading.tell(node, "unknown-key", path, message, remedy)
