"""The tree of an estate file: text, lists and mappings, each with the place where it stands."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Union

from platform_assets.spec.findings import Finding, Path, Severity

Value = Union[str, None, list["Node"], dict[str, "Node"]]  # noqa: UP007 - it names itself


@dataclass(slots=True)
class Node:
    """A value and its place: the key's of a mapping's value, its own of a list's.

    Lines and columns count from 1. `written` is the text before `${VAR}` was replaced, where that
    happened. What is `gone` was found wrong and is not part of the estate.
    """

    value: Value
    line: int
    column: int
    written: str | None = None
    gone: bool = False

    @property
    def text(self) -> str | None:
        """The text of a scalar; None for whatever else."""
        return self.value if isinstance(self.value, str) else None

    @property
    def items(self) -> list["Node"]:
        """The items of a list; none for whatever else."""
        return self.value if isinstance(self.value, list) else []

    @property
    def keys(self) -> dict[str, "Node"]:
        """The values by key of a mapping; an empty mapping of its own for whatever else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def is_mapping(self) -> bool:
        """Whether it is a mapping."""
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        """Whether it is a list."""
        return isinstance(self.value, list)

    def beside(self, value: Value) -> "Node":
        """Return a new node for `value` at the same place."""
        return Node(value, self.line, self.column)

    def copy(self) -> "Node":
        """Return a copy that shares no list and no mapping with this node."""
        value = self.value
        if isinstance(value, dict):
            value = {key: child.copy() for key, child in value.items()}
        elif isinstance(value, list):
            value = [child.copy() for child in value]
        return Node(value, self.line, self.column, self.written, self.gone)

    def size(self) -> int:
        """Return how many values stand here, this one included."""
        return 1 + sum(child.size() for _, child in self.present())

    def child(self, part: str | int) -> "Node | None":
        """Return what stands under a key or a position, gone or not; None if nothing does."""
        if isinstance(part, str):
            return self.keys.get(part)
        return self.items[part] if 0 <= part < len(self.items) else None

    def present(self) -> Iterator[tuple[str | int, "Node"]]:
        """Yield key or position and value of each child that is not gone."""
        value = self.value
        if isinstance(value, dict):
            yield from ((key, child) for key, child in value.items() if not child.gone)
        elif isinstance(value, list):
            yield from ((index, child) for index, child in enumerate(value) if not child.gone)

    def plain(self) -> object:
        """Return text, lists and mappings without places, and without what is gone."""
        value = self.value
        if isinstance(value, dict):
            return {key: child.plain() for key, child in value.items() if not child.gone}
        if isinstance(value, list):
            return [child.plain() for child in value if not child.gone]
        return value


@dataclass(frozen=True)
class Place:
    """A file, and where in it; line and column count from 1."""

    file: str
    line: int | None = None
    column: int | None = None

    def finding(
        self,
        rule: str,
        path: Path,
        message: str,
        remedy: str,
        *,
        severity: Severity = Severity.ERROR,
    ) -> Finding:
        """Return a finding at this place."""
        return Finding(rule, severity, path, message, remedy, self.file, self.line, self.column)
