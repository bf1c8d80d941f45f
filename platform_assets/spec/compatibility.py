"""The table of versions that go together, as `config/compatibility.yaml` declares it.

Here are only the table, its reading and its look-ups. What is judged with it stands in
`compatibility_rules.py`, what is proposed in `compatibility_suggestion.py`; the versions of an
estate arrive as `Pin`s, found elsewhere. Every entry names its public source.
"""

from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path as FilePath
from typing import Annotated, Literal, Self, get_args

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from platform_assets.spec.errors import AiHowError
from platform_assets.spec.findings import Path, Severity, dotted
from platform_assets.spec.once_loader import OnceLoader
from platform_assets.spec.versions import Number, Range, is_complete, normalised, number

Name = Literal[
    "os", "kubespray", "ansible_core", "kubernetes", "containerd", "calico", "ingress_nginx",
    "cert_manager", "knative", "kserve", "gpu_operator", "nvidia_driver", "postgresql", "minio",
    "seaweedfs", "mlflow", "prometheus", "grafana", "loki",
]  # fmt: skip
# From the ground up: of two that contradict each other the later one is reported, and yields.
COMPONENTS: tuple[str, ...] = get_args(Name)
# Relative to the project's folder, as every path that a person writes.
DEFAULT_FILE = FilePath("config/compatibility.yaml")
Text = Annotated[str, StringConstraints(strict=True, min_length=1)]
_FROZEN = ConfigDict(frozen=True, extra="forbid")


class CompatibilityRefused(AiHowError):
    """The table of versions cannot be read, or contradicts itself."""


@dataclass(frozen=True)
class Pin:
    """A version that the estate names, and where.

    `apart_from` names components that it has nothing to do with there: what the table says of the
    two together is left out.
    """

    version: str
    path: Path
    apart_from: frozenset[str] = frozenset()


class Need(BaseModel):
    """Which versions of another component go with an entry."""

    model_config = _FROZEN

    works: Range | None = Field(default=None, description="Outside of it: an error.")
    tested: Range | None = Field(default=None, description="Outside of it: a warning.")
    beside: Name | None = Field(default=None, description="Holds only where this is pinned too.")
    why: Text | None = None
    remedy: Text | None = Field(default=None, description="Absent: the nearest versions that go.")
    source: Text | None = Field(default=None, description="Absent: the entry's own source.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.works is None and self.tested is None:
            message = "expected works, tested or both, found neither; add one or remove the need"
            raise ValueError(message)
        return self


class Notice(BaseModel):
    """Something to know about versions that no other version can mend."""

    model_config = _FROZEN

    severity: Severity
    message: Text
    remedy: Text
    source: Text
    versions: Range | None = Field(default=None, description="Absent: every version.")
    beside: tuple[Name, ...] = Field(default=(), description="Only where one of them is pinned.")


class Entry(BaseModel):
    """One series of a component: its key is `1.33` for every 1.33.x, `2.29.0` for itself."""

    model_config = _FROZEN

    source: Text | None = Field(default=None, description="Absent: the component's own.")
    newest: Text | None = Field(default=None, description="The newest release that was seen.")
    end_of_life: date | None = Field(default=None, description="The last day of maintenance.")
    needs: dict[Name, Need] = Field(default_factory=dict)
    notices: tuple[Notice, ...] = ()


class Retirement(BaseModel):
    """The end of a whole project."""

    model_config = _FROZEN

    date: date
    why: Text
    remedy: Text
    source: Text
    instead: dict[Name, Text] = Field(default_factory=dict, description="What replaces it.")


class Component(BaseModel):
    """Everything known about one component."""

    model_config = _FROZEN

    title: Text
    source: Text | None = Field(default=None, description="Of every entry that names none.")
    retired: Retirement | None = None
    entries: dict[Text, Entry] = Field(min_length=1)
    notices: tuple[Notice, ...] = ()

    @field_validator("entries")
    @classmethod
    def _keys_are_versions(cls, value: dict[str, Entry]) -> dict[str, Entry]:
        try:
            numbers = [number(key) for key in value]
        except AiHowError as refusal:
            raise ValueError(str(refusal)) from refusal
        for index, first in enumerate(numbers):
            if any(first.overlaps(second) for second in numbers[:index]):
                message = f"expected series apart from each other, found {list(value)[index]!r}"
                raise ValueError(f"{message} inside another; remove one")
        return value

    @model_validator(mode="after")
    def _every_entry_has_a_source(self) -> Self:
        bare = [key for key, entry in self.entries.items() if not (entry.source or self.source)]
        if bare:
            message = f"expected a source, found none for {', '.join(bare)}; name where it stands"
            raise ValueError(message)
        return self

    @cached_property
    def series(self) -> tuple[tuple[Number, str, Entry], ...]:
        """The entries from the oldest to the newest."""
        found = [(number(key), key, entry) for key, entry in self.entries.items()]
        return tuple(sorted(found, key=lambda each: each[0]))

    def entry(self, version: Number) -> tuple[str, Entry] | None:
        """Return the newest entry that `version` belongs to, with its key."""
        for each, key, entry in reversed(self.series):
            if each.overlaps(version):
                return key, entry
        return None

    def ends(self, version: Number) -> tuple[date, str, str] | None:
        """Return the last day of maintenance, the reason where it is not age, and the source."""
        found = self.entry(version)
        ends = []
        if found is not None and found[1].end_of_life is not None:
            ends.append((found[1].end_of_life, "", self.source or found[1].source or ""))
        if self.retired is not None:
            ends.append((self.retired.date, self.retired.why, self.retired.source))
        return min(ends, default=None)


class KnownGood(BaseModel):
    """Versions that were seen to go together."""

    model_config = _FROZEN

    title: Text
    checked: date
    versions: dict[Name, Text] = Field(min_length=1)
    notes: tuple[Text, ...] = ()

    @field_validator("versions")
    @classmethod
    def _versions_are_versions(cls, value: dict[str, str]) -> dict[str, str]:
        try:
            return {name: normalised(name, version) for name, version in value.items()}
        except AiHowError as refusal:
            raise ValueError(str(refusal)) from refusal


class Compatibility(BaseModel):
    """The whole table. The first set of `known_good` is the recommended one."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    version: Literal["compatibility/1"] = Field(alias="schema")
    known_good: dict[Text, KnownGood] = Field(min_length=1)
    components: dict[Name, Component]

    @field_validator("components")
    @classmethod
    def _all_are_there(cls, value: dict[str, Component]) -> dict[str, Component]:
        missing = [name for name in COMPONENTS if name not in value]
        if missing:
            message = f"expected every component, missing {', '.join(missing)}"
            raise ValueError(message)
        return value

    @property
    def recommended(self) -> dict[str, str]:
        """The versions of the recommended set."""
        return {
            str(name): text for name, text in next(iter(self.known_good.values())).versions.items()
        }

    def component(self, name: str) -> Component:
        """Return the component `name`, one of COMPONENTS."""
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Component]:
        return {str(name): component for name, component in self.components.items()}

    @cached_property
    def releases(self) -> dict[str, tuple[str, ...]]:
        """Every complete release that the table names, per component, from the oldest on."""
        named: dict[str, set[str]] = {name: set() for name in COMPONENTS}
        for name in COMPONENTS:
            for key, entry in self.component(name).entries.items():
                named[name].add(entry.newest or key)
                for other, need in entry.needs.items():
                    spans = [*_spans(need.works), *_spans(need.tested)]
                    named[other].update(span for span in spans if span is not None)
        return {name: _complete(name, texts) for name, texts in named.items()}


def _spans(versions: Range | None) -> list[str | None]:
    return [] if versions is None else [span.last for span in versions.spans]


def _complete(name: str, texts: set[str]) -> tuple[str, ...]:
    kept = {text for text in texts if is_complete(name, text)}
    return tuple(sorted(kept, key=lambda text: (number(text), text)))


def _line(node: yaml.Node | None, path: list[str]) -> int | None:
    """Return the line of the deepest key of `path` that is written."""
    found: int | None = None
    for part in path:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        after = [(key, value) for key, value in pairs if getattr(key, "value", None) == part]
        if not after:
            break
        found, node = after[0][0].start_mark.line + 1, after[0][1]
    return found


def _meant(key: str) -> str:
    models = (Compatibility, KnownGood, Component, Retirement, Entry, Need, Notice)
    known = {name for model in models for name in model.model_fields}
    close = get_close_matches(key, sorted(known), n=1)
    return f", did you mean {close[0]}" if close else ""


def load_compatibility(text: str, file: FilePath) -> Compatibility:
    """Read the table from the text of `file`.

    Raises:
        CompatibilityRefused: names the file, line and key, what was expected and what was found.
    """
    try:
        loader = OnceLoader(text)
        node = loader.get_single_node()
        declared = loader.construct_document(node) if node is not None else None
    except yaml.YAMLError as error:
        message = f"{file}: expected YAML, found: {error}; mend the file"
        raise CompatibilityRefused(message) from error
    if not isinstance(declared, dict):
        message = f"{file}: expected a mapping with schema, known_good, components; mend the file"
        raise CompatibilityRefused(message)
    try:
        return Compatibility.model_validate(declared)
    except ValidationError as error:
        first = error.errors()[0]
        path = [part for part in first["loc"] if part != "[key]"]
        line = _line(node, [str(part) for part in path])
        words = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            words = f"unknown key{_meant(str(path[-1]))}; mend or remove it"
        elif first["type"] not in {"missing", "value_error"}:
            words += f", found {first['input']!r}"
        if first["type"] == "string_type":
            words += "; put it in quotes"
        where = f"{file}:{line}" if line else str(file)
        raise CompatibilityRefused(f"{where}: {dotted(tuple(path))}: {words}") from error
