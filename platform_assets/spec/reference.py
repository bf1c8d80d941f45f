"""The page `docs/configuration.md`: every key of the estate and every rule, from their own words.

Keys, types, units, defaults and descriptions come from the model; rules from their docstrings. The
short parts written by hand stand in `reference_words.py`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from platform_assets.spec.model.estate import Estate
from platform_assets.spec.model.machines import Machine
from platform_assets.spec.reference_words import HEAD, RULES_HEAD, SPELLINGS

Schema = dict[str, Any]
_REF = "#/$defs/"
_TYPES = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "true or false",
    "object": "settings",
}
_SECRET = "Secret"  # noqa: S105 - the name of a type


@dataclass(frozen=True)
class DescribedRule:
    """A rule: the names of its findings, and what it is about in one line."""

    names: tuple[str, ...]
    line: str


@dataclass
class _Section:
    """Keys that belong together, and every place where they stand."""

    name: str
    schema: Schema
    places: list[str] = field(default_factory=list)


def configuration_page(rules: Iterable[DescribedRule]) -> str:
    """Return the page, as `docs/configuration.md` holds it."""
    parts = [HEAD, *_keys(), RULES_HEAD, _rules(rules), SPELLINGS]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _keys() -> Iterator[str]:
    schema = Estate.model_json_schema()
    sections: dict[str, _Section] = {}
    _collect(sections, schema, Estate.__name__, "", schema["$defs"])
    for section in sections.values():
        title, *others = section.places
        yield f"### {f'`{title}`' if title else 'The top of the file'}"
        yield " ".join(section.schema.get("description", "").split())
        if others:
            yield f"The same keys stand under {_listed(others)}."
        yield _table(section.schema, sections)


def _collect(
    sections: dict[str, _Section], schema: Schema, name: str, place: str, parts: dict[str, Schema]
) -> None:
    """Note each part of the model in the order of its first place, with all of its places."""
    known = name in sections
    section = sections.setdefault(name, _Section(name, schema))
    section.places.append(place)
    if known:
        return
    for key, value in schema["properties"].items():
        inner = f"{place}.{key}" if place else key
        for part, suffix in _parts_of(value):
            if part != _SECRET:
                _collect(sections, parts[part], part, inner + suffix, parts)


def _parts_of(schema: Schema, suffix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the parts of the model that a value is made of, with what leads to them."""
    if reference := schema.get("$ref"):
        yield reference.removeprefix(_REF), suffix
    for branch in schema.get("anyOf", []):
        yield from _parts_of(branch, suffix)
    if "items" in schema:
        yield from _parts_of(schema["items"], f"{suffix}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _parts_of(schema["additionalProperties"], f"{suffix}.NAME")


def _table(schema: Schema, sections: dict[str, _Section]) -> str:
    rows = [
        (
            f"`{key}`",
            _type(value, sections),
            _unit(value),
            _needed(schema, key) or _default(value, sections),
            " ".join(_description(value, sections).split()),
        )
        for key, value in schema["properties"].items()
    ]
    return _markdown(("Key", "Type", "Unit", "Default", "Meaning"), rows)


def _needed(schema: Schema, key: str) -> str:
    """Return what becomes of a key without default, or nothing where it may be absent."""
    if (schema["title"], key) == (Machine.__name__, "name"):
        return "made"  # when the file is loaded, from role and number
    return "required" if key in schema.get("required", []) else ""


def _markdown(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(_cell(text) for text in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("<", "&lt;")


def _type(schema: Schema, sections: dict[str, _Section]) -> str:
    if reference := schema.get("$ref"):
        name = reference.removeprefix(_REF)
        if name == _SECRET:
            return "[secret](#secrets)"
        place = sections[name].places[0]
        return f"[section](#{_anchor(place)})"
    if branches := schema.get("anyOf"):
        kinds = [_type(one, sections) for one in branches if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{one}`" for one in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'], sections)}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"name: {_type(schema['additionalProperties'], sections)}"
    return _TYPES[schema["type"]] + _bounds(schema)


def _bounds(schema: Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    above = schema.get("exclusiveMinimum")
    if above is not None:
        return f", above {_number(above)}" + (f", at most {_number(most)}" if most else "")
    if least is not None and most is not None:
        return f", {_number(least)} to {_number(most)}"
    return f", at least {_number(least)}" if least is not None else ""


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else str(value)


def _anchor(place: str) -> str:
    """Return the anchor that GitHub makes of a heading."""
    return "".join(one for one in place.lower() if one.isalnum() or one in "-_")


def _unit(schema: Schema) -> str:
    found: str | None = schema.get("unit")
    branches = schema.get("anyOf", [])
    return found or next((one["unit"] for one in branches if "unit" in one), "")


def _default(schema: Schema, sections: dict[str, _Section]) -> str:
    default = schema.get("default")
    if isinstance(default, dict):
        return ", ".join(
            f"`{key}: {_word(value)}`"
            for part, _ in _parts_of(schema)
            for key, value in default.items()
            if isinstance(value, str | int | float)
            and value != sections[part].schema["properties"][key].get("default")
        )
    return f"`{_word(default)}`" if isinstance(default, str | int | float) else ""


def _word(value: object) -> str:
    """Return a scalar as YAML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return _number(value) if isinstance(value, float) else str(value)


def _description(schema: Schema, sections: dict[str, _Section]) -> str:
    """Return what a key means; where it says no more than the part it holds, the part's words."""
    if "description" in schema:
        return str(schema["description"])
    for part, _ in _parts_of(schema):
        if part in sections:
            return str(sections[part].schema.get("description", "")).split("\n\n")[0]
    return ""


def _listed(places: list[str]) -> str:
    return ", ".join(f"`{place}`" for place in places)


def _rules(rules: Iterable[DescribedRule]) -> str:
    rows = [(", ".join(f"`{name}`" for name in rule.names), rule.line) for rule in rules]
    return _markdown(("Rule", "What it finds"), sorted(rows))
