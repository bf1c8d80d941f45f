"""Every spelling of the estate into the one that the model knows; places are kept.

The tree is walked from the top with the model in hand. At each part unknown keys are told, other
spellings are made one, and the part's own dialects are read (the modules `*_dialects`). Secrets are
told apart before the references in their text would be replaced.
"""

import difflib

from platform_assets.spec.findings import Path
from platform_assets.spec.loading.dialect import Dialect, is_foreign, move
from platform_assets.spec.loading.estate_dialects import ESTATE_DIALECTS
from platform_assets.spec.loading.machine_dialects import MACHINE_DIALECTS
from platform_assets.spec.loading.reading import Reading
from platform_assets.spec.loading.secrets import read_free_secret, read_secret
from platform_assets.spec.loading.service_dialects import SERVICE_DIALECTS
from platform_assets.spec.loading.tree import Node
from platform_assets.spec.loading.wording import found
from platform_assets.spec.model.base import Declared
from platform_assets.spec.model.estate import CloudCluster, Estate
from platform_assets.spec.model.hpc import HpcCluster
from platform_assets.spec.model.shapes import ROOT, Shape, keys_of
from platform_assets.spec.secret_names import names_a_secret

DIALECTS: dict[type[Declared], Dialect] = {
    **ESTATE_DIALECTS,
    **MACHINE_DIALECTS,
    **SERVICE_DIALECTS,
}
_LONGEST_GUESSED = 64
_NO_DIALECT = Dialect()
# Where sections of test tools are met.
_MAY_HOLD_FOREIGN = {Estate, HpcCluster, CloudCluster}


def into_canonical_form(tree: Node, reading: Reading) -> None:
    """Change the tree into the canonical form; what has no place in it is told, and gone."""
    _walk(tree, ROOT, (), reading)


def _walk(node: Node, shape: Shape | None, path: Path, reading: Reading) -> None:
    if shape is None or node.gone or node.value is None:
        return
    if shape.is_secret:
        read_secret(node, path, reading)
    elif node.text is not None:
        reading.text(node, path)
    else:
        if node.is_mapping and shape.part is not None:
            _tidy(node, shape.part, path, reading)
        for step, child in list(node.present()):
            if shape.takes_anything and isinstance(step, str) and names_a_secret(step):
                read_free_secret(child, (*path, step), reading)
            else:
                _walk(child, shape.under(step), (*path, step), reading)


def _tidy(node: Node, part: type[Declared], path: Path, reading: Reading) -> None:
    """Make the keys of a mapping those of a part, as far as they can be understood."""
    known = keys_of(part)
    dialect = DIALECTS.get(part, _NO_DIALECT)
    understood = {*known, *dialect.spellings, *dialect.elsewhere}
    for key in [key for key in node.keys if key not in understood]:
        if not (part in _MAY_HOLD_FOREIGN and is_foreign(key)):
            _tell_unknown(node, key, understood, path, reading)
    for key, name in dialect.spellings.items():
        if key in node.keys:
            move(node, key, (node, name), path, reading)
    if dialect.read is not None:
        dialect.read(node, path, reading)
    for key, child in node.keys.items():
        if key not in known and not child.gone and child.value is not None:
            message = f"{key}: expected something else here, found {found(child)}"
            reading.tell(child, "wrong-type", (*path, key), message, "see the reference of keys")
        if child.value is None or key not in known:
            child.gone = True


def _tell_unknown(node: Node, key: str, understood: set[str], path: Path, reading: Reading) -> None:
    """Tell an unknown key; the rest is judged as if the key that it resembles had been meant."""
    child = node.keys[key]
    near = (
        difflib.get_close_matches(key, sorted(understood), n=1)
        if len(key) <= _LONGEST_GUESSED and reading.may_guess()
        else []
    )
    message = f"{key}: unknown" + (f", did you mean {near[0]}?" if near else "")
    remedy = (
        f"write {near[0]}" if near else f"take it out; known here: {', '.join(sorted(understood))}"
    )
    reading.tell(child, "unknown-key", (*path, key), message, remedy)
    child.gone = True
    if near and near[0] not in node.keys:
        child.gone = False
        node.keys[near[0]] = node.keys.pop(key)
