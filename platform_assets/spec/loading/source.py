"""Bytes of an estate file to a tree with places. What the keys mean stands in its siblings.

libyaml reads the events, so that no depth and no alias is followed before it is counted. Scalars
stay text, whatever YAML 1.1 would make of them; only plain `null`, `~` and nothing are None.
Format: YAML 1.1 as libyaml reads it, https://yaml.org/spec/1.1/; keys are text and unique, one
document in one file, UTF-8, no tags of one's own.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

import yaml

from platform_assets.spec.findings import Finding, Path
from platform_assets.spec.loading.tree import Node, Place, Value

MAX_BYTES = 4 * 1024 * 1024
MAX_NODES = 200_000
MAX_DEPTH = 40

_CONTROL = re.compile(
    r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_LINE_END = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")
_NOTHING = {"", "~", "null", "Null", "NULL"}
_CORE = "tag:yaml.org,2002:"
_TEXT_TAGS = {None, "!", *(_CORE + name for name in ("str", "int", "float", "bool"))}
_COLLECTION_TAGS = {None, "!", _CORE + "seq", _CORE + "map"}
_OTHER_ENCODINGS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


@dataclass(frozen=True)
class Parsed:
    """The tree of a file, or None where it cannot be read, and what was found on the way."""

    tree: Node | None
    findings: tuple[Finding, ...]


class _Refused(Exception):
    """Reading cannot go on; carries the finding."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def parse(content: bytes, file: str) -> Parsed:
    """Read a file's bytes; `file` is only told in findings. Nothing is raised."""
    try:
        text = _decoded(content, file)
        reader = _Reader(text, file)
        return Parsed(reader.read(), tuple(reader.findings))
    except _Refused as refusal:
        return Parsed(None, (refusal.finding,))


def _decoded(content: bytes, file: str) -> str:
    if len(content) > MAX_BYTES:
        message = f"expected at most {MAX_BYTES // 1024**2} MiB, found {len(content):,} bytes"
        remedy = "is this the right file? An estate of 500 machines has about 0.5 MiB"
        raise _Refused(Place(file).finding("too-large", (), message, remedy))
    for mark, encoding in _OTHER_ENCODINGS.items():
        if content.startswith(mark):
            message = f"expected UTF-8, found {encoding}"
            raise _Refused(Place(file, 1, 1).finding("not-utf-8", (), message, "save it as UTF-8"))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _place_at(content[: error.start].decode("utf-8-sig"))
        message = f"expected UTF-8, found the byte 0x{content[error.start]:02x}"
        finding = Place(file, line, column).finding("not-utf-8", (), message, "save it as UTF-8")
        raise _Refused(finding) from error
    wrong = _CONTROL.search(text)
    if wrong:
        line, column = _place_at(text[: wrong.start()])
        message = f"the character U+{ord(wrong[0]):04X} cannot stand in YAML"
        remedy = "take it out, or write it as an escape between double quotes"
        raise _Refused(Place(file, line, column).finding("not-yaml", (), message, remedy))
    return text


def _place_at(before: str) -> tuple[int, int]:
    ends = list(_LINE_END.finditer(before))
    return len(ends) + 1, len(before) - (ends[-1].end() if ends else 0) + 1


def _start_of(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end was not seen yet."""

    node: Node
    anchor: str | None
    key: str | None = None
    key_mark: tuple[int, int] = (1, 1)
    merged: list[Node] = field(default_factory=list)

    @property
    def awaits_key(self) -> bool:
        return self.node.is_mapping and self.key is None


class _Reader:
    """Builds the tree from libyaml's events."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.findings: list[Finding] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, Node | None] = {}
        self._count = 0
        self._root: Node | None = None

    def read(self) -> Node:
        for event in self._events():
            if isinstance(event, yaml.ScalarEvent):
                self._scalar(event)
            elif isinstance(event, yaml.MappingStartEvent):
                self._start(event, {})
            elif isinstance(event, yaml.SequenceStartEvent):
                self._start(event, [])
            elif isinstance(event, yaml.CollectionEndEvent):
                self._end()
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event)
            elif isinstance(event, yaml.DocumentStartEvent) and self._root is not None:
                self._refuse(
                    event,
                    "several-documents",
                    "expected one document, found another after `---`",
                    "put each estate in a file of its own",
                )
        if self._root is None or self._root.value is None:
            finding = Place(self.file).finding(
                "not-an-estate",
                (),
                "expected an estate, found nothing",
                "`ai-how config init` writes one to begin with",
            )
            raise _Refused(finding)
        if not self._root.is_mapping:
            place = Place(self.file, self._root.line, self._root.column)
            found = "a list" if self._root.is_list else "text"
            raise _Refused(
                place.finding(
                    "not-an-estate",
                    (),
                    f"expected keys such as `metadata:` and `clusters:`, found {found}",
                    "`ai-how config init` writes an estate to begin with",
                )
            )
        return self._root

    def _events(self) -> Iterator[yaml.Event]:
        try:
            parser = yaml.CSafeLoader(self.text)
            while (event := parser.get_event()) is not None:
                yield event
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = Place(self.file, mark.line + 1, mark.column + 1) if mark else Place(self.file)
            told = f"{error.context}: {error.problem}" if error.context else f"{error.problem}"
            remedy = "mend the line, or the one before it; look at indentation, quotes and brackets"
            message = f"this is not YAML: {told}"
            raise _Refused(place.finding("not-yaml", (), message, remedy)) from error
        except yaml.YAMLError as error:
            finding = Place(self.file).finding(
                "not-yaml", (), f"this is not YAML: {error}", "mend the file"
            )
            raise _Refused(finding) from error

    def _path(self) -> Path:
        return tuple(
            opened.key if opened.key is not None else len(opened.node.items)
            for opened in self._open
            if opened.key is not None or opened.node.is_list
        )

    def _refuse(self, event: yaml.Event, rule: str, message: str, remedy: str) -> NoReturn:
        place = Place(self.file, *_start_of(event))
        raise _Refused(place.finding(rule, self._path(), message, remedy))

    def _checked(
        self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, allowed: set[str | None]
    ) -> None:
        self._counted(event, 1)
        if event.tag in allowed:
            return
        # A tag may be a secret that begins with `!`, where quotes were forgotten.
        name = (event.tag or "").removeprefix(_CORE)
        told = f"the tag !!{name}" if name.startswith("python/") else "a tag"
        self._refuse(
            event,
            "tag-refused",
            f"expected a plain value, found one with {told}",
            "take the tag out; put text that begins with `!` between quotes",
        )

    def _counted(self, event: yaml.Event, nodes: int) -> None:
        self._count += nodes
        if self._count > MAX_NODES:
            self._refuse(
                event,
                "too-many-values",
                f"expected at most {MAX_NODES:,} values, aliases written out",
                "write the estate without aliases that multiply",
            )

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        if self._open and self._open[-1].awaits_key:
            self._key(event)
            return
        null = event.tag == _CORE + "null" or (
            event.implicit[0] and event.style in ("", None) and event.value in _NOTHING
        )
        self._checked(event, {*_TEXT_TAGS, _CORE + "null"})
        node = Node(None if null else event.value, *_start_of(event))
        if event.anchor:
            self._anchors[event.anchor] = node
        self._add(node)

    def _key(self, event: yaml.ScalarEvent) -> None:
        self._checked(event, _TEXT_TAGS)
        opened = self._open[-1]
        opened.key, opened.key_mark = event.value, _start_of(event)
        if event.anchor:
            self._anchors[event.anchor] = Node(event.value, *opened.key_mark)

    def _start(self, event: yaml.CollectionStartEvent, value: Value) -> None:
        self._checked(event, _COLLECTION_TAGS)
        if self._open and self._open[-1].awaits_key:
            self._refuse(
                event,
                "not-a-key",
                "expected text as a key, found a list or a mapping",
                "write a plain name before the colon; put `{{ … }}` between quotes",
            )
        if len(self._open) >= MAX_DEPTH:
            self._too_deep(event)
        if event.anchor:
            self._anchors[event.anchor] = None
        self._open.append(_Open(Node(value, *_start_of(event)), event.anchor))

    def _too_deep(self, event: yaml.Event) -> NoReturn:
        self._refuse(
            event,
            "too-deep",
            f"expected at most {MAX_DEPTH} lists and mappings inside each other",
            "look for a bracket or an indentation too many",
        )

    def _end(self) -> None:
        opened = self._open.pop()
        for source in opened.merged:
            for key, child in source.keys.items():
                opened.node.keys.setdefault(key, child.copy())
        if opened.anchor:
            self._anchors[opened.anchor] = opened.node
        self._add(opened.node)

    def _alias(self, event: yaml.AliasEvent) -> None:
        if event.anchor not in self._anchors:
            self._refuse(
                event,
                "unknown-alias",
                "an alias `*name` without its anchor `&name` before it",
                "put text that begins with `*` between quotes, or name the anchor",
            )
        node = self._anchors[event.anchor]
        if node is None:
            self._refuse(
                event,
                "unknown-alias",
                "an alias inside of what it stands for",
                "write out what is meant",
            )
        if self._open and self._open[-1].awaits_key:
            if node.text is None:
                self._refuse(event, "not-a-key", "expected text as a key", "write a plain name")
            self._open[-1].key = node.text
            self._open[-1].key_mark = _start_of(event)
            return
        self._measure(event, node, len(self._open))
        self._add(node.copy())

    def _measure(self, event: yaml.Event, node: Node, depth: int) -> None:
        """Count what an alias stands for before it is copied."""
        self._counted(event, 1)
        if node.text is None and depth >= MAX_DEPTH:
            self._too_deep(event)
        for _, child in node.present():
            self._measure(event, child, depth + 1)

    def _add(self, node: Node) -> None:
        if not self._open:
            self._root = node
            return
        opened = self._open[-1]
        if opened.node.is_list:
            opened.node.items.append(node)
            return
        key = opened.key or ""
        line, column = opened.key_mark
        path = self._path()
        opened.key = None
        node.line, node.column = line, column
        if key == "<<":
            self._merge(opened, node, path)
            return
        before = opened.node.keys.get(key)
        if before is not None:
            self.findings.append(
                Place(self.file, line, column).finding(
                    "duplicate-key",
                    path,
                    f"{key}: given twice, in line {before.line} and in line {line}",
                    "keep one of them",
                )
            )
        opened.node.keys[key] = node

    def _merge(self, opened: _Open, node: Node, path: Path) -> None:
        sources = node.items if node.is_list else [node]
        if all(source.is_mapping for source in sources):
            opened.merged.extend(sources)
            return
        self.findings.append(
            Place(self.file, node.line, node.column).finding(
                "not-a-mapping",
                path,
                "<<: expected a mapping, or a list of mappings",
                "name the anchor of a mapping, as in `<<: *small`",
            )
        )
