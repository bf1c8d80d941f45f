"""What a dialect is: other spellings of a part's keys; and the moves that dialects share."""

from collections.abc import Callable
from dataclasses import dataclass, field

from platform_assets.spec.findings import Path, Severity
from platform_assets.spec.loading.reading import Reading
from platform_assets.spec.loading.tree import Node

# Changes a mapping, which stands at a canonical path, into the form that the model knows.
Read = Callable[[Node, Path, Reading], None]


@dataclass(frozen=True)
class Dialect:
    """How a part of the model is written elsewhere.

    `spellings` are other names of the part's own keys. `elsewhere` are keys that the model has in
    another place or form; `read` must take all of them out of the mapping.
    """

    spellings: dict[str, str] = field(default_factory=dict)
    elsewhere: frozenset[str] = frozenset()
    read: Read | None = None


def move(source: Node, key: str, to: tuple[Node, str], path: Path, reading: Reading) -> None:
    """Move the value of `key` to a mapping and a name in it; `path` is that mapping's.

    Mappings that are given in both places are put together. Two values are told, and the one that
    was there stays.
    """
    target, name = to
    child = source.keys.pop(key, None)
    if child is None or child.gone or child.value is None:
        return
    present = target.keys.get(name)
    if present is None or present.gone or present.value is None:
        target.keys[name] = child
    elif present.is_mapping and child.is_mapping:
        for under in list(child.keys):
            move(child, under, (present, under), (*path, name), reading)
    elif present.plain() != child.plain():
        reading.tell(
            child,
            "two-spellings",
            (*path, name),
            f"{key}: means the same as {name} in line {present.line}, and differs from it",
            "keep one of them",
        )


def section(node: Node, key: str, beside: Node) -> Node | None:
    """Return the mapping under `key`, made at the place of `beside` if there is none.

    None if something else stands there; the model will tell what.
    """
    present = node.keys.get(key)
    if present is None or present.gone or present.value is None:
        present = node.keys[key] = beside.beside({})
    return present if present.is_mapping else None


def tell_foreign(node: Node, key: str, path: Path, reading: Reading) -> None:
    """Warn of a section of a test tool, which is no part of the estate, and take it out."""
    child = node.keys.pop(key)
    reading.tell(
        child,
        "foreign-section",
        (*path, key),
        f"{key}: belongs to a tool for tests or builds; nothing is made of it",
        "take it out, or keep it in a file of its own",
        severity=Severity.WARNING,
    )


def is_foreign(key: str) -> bool:
    """Return whether a section of that name belongs to a test tool."""
    return key.startswith("test") or key in {
        "validation",
        "timeouts",
        "build",
        "dependencies",
        "logging",
    }
