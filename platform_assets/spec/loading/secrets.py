"""A secret in the tree: a reference stays one, whatever its spelling; its value is never asked for.

`${NAME}` is `{secret: {env: NAME}}`. The default in `${NAME:-default}` is a literal in the file.
"""

from platform_assets.spec.findings import Path, Severity
from platform_assets.spec.loading.reading import Reading
from platform_assets.spec.loading.references import has_reference, whole_reference
from platform_assets.spec.loading.tree import Node
from platform_assets.spec.model.base import HIDDEN

_REMEDY = "write {secret: {env: NAME}} or {secret: {file: PATH}}"


def read_secret(node: Node, path: Path, reading: Reading) -> None:
    """Bring a secret into the canonical form; a literal stays, so that a rule can speak of it."""
    text = node.text
    if text is None:
        _read_mapping(node, path, reading)
        return
    reference = whole_reference(text)
    if reference is not None:
        name, default = reference
        if default:
            reading.tell(
                node,
                "literal-secret",
                path,
                f"{path[-1]}: the default of ${{{name}:-…}} is a secret in clear",
                f"take the default out, and set {name}",
                severity=Severity.WARNING,
            )
        node.value = {"secret": node.beside({"env": node.beside(name)})}
    elif has_reference(text):
        message = f"{path[-1]}: expected one reference as the whole secret, found one inside text"
        reading.tell(
            node, "secret-in-parts", path, message, "keep the whole secret in one variable"
        )
        node.gone = True
    elif text == HIDDEN:
        message = f"{path[-1]}: the secret was hidden when this file was written"
        reading.tell(node, "secret-hidden", path, message, _REMEDY)
        node.gone = True
    else:
        node.value = text.replace("$$", "$")


def read_free_secret(node: Node, path: Path, reading: Reading) -> None:
    """Bring whatever stands under the name of a secret into the canonical form, however deep."""
    if node.gone or node.value is None:
        return
    source = node.keys.get("secret") if node.is_mapping and len(node.keys) == 1 else None
    if node.text is not None or (source is not None and _is_source(source)):
        read_secret(node, path, reading)
        return
    for step, child in list(node.present()):
        read_free_secret(child, (*path, step), reading)


def _read_mapping(node: Node, path: Path, reading: Reading) -> None:
    """Replace references in the name of a file or variable; refuse whatever is no reference."""
    source = node.keys.get("secret")
    if source is None or len(node.keys) > 1 or not _is_source(source):
        message = f"{path[-1]}: expected a reference to a secret; what was found is not shown"
        reading.tell(node, "wrong-type", path, message, _REMEDY)
        node.gone = True
        return
    for key, child in source.keys.items():
        reading.text(child, (*path, "secret", key))


def _is_source(node: Node) -> bool:
    return (
        len(node.keys) == 1
        and set(node.keys) <= {"env", "file"}
        and all(child.text is not None for child in node.keys.values())
    )
