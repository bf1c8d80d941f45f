"""The JSON schema of the estate, for editors that complete and underline while a person types.

It is made from the model and describes the canonical form as YAML writes it, so it is wider than
the model where the loader is: a scalar may stand in quotes or not (`device_id: 2684`,
`version: 1.30`), and `${VAR}` may stand for any of them. Other spellings that the loader takes are
underlined: `ai-how config migrate` mends them.
"""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from platform_assets.spec.model.base import Secret, SecretSource
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.model.machines import Machine, Taint

Schema = dict[str, Any]
_DIALECT = "http://json-schema.org/draft-07/schema#"  # what editors of YAML know best
_REFERENCE = r"\$\{"
_REF = "#/$defs/"
_NULLABLE = "nullable"  # taken out again
_TEXT = ["string", "number", "boolean"]


class _AsYamlWritesIt(GenerateJsonSchema):
    """Widens what pydantic would generate by what YAML and `${VAR}` allow."""

    def str_schema(self, schema: core_schema.StringSchema) -> Schema:
        return {**_or_reference(super().str_schema(schema)), "type": list(_TEXT)}

    def int_schema(self, schema: core_schema.IntSchema) -> Schema:
        number = {"pattern": r"^[-+]?[0-9]+$"}
        return {**_or_reference(super().int_schema(schema) | number), "type": ["integer", "string"]}

    def float_schema(self, schema: core_schema.FloatSchema) -> Schema:
        number = {"pattern": r"^[-+]?[0-9.]+([eE][-+]?[0-9]+)?$"}
        return {
            **_or_reference(super().float_schema(schema) | number),
            "type": ["number", "string"],
        }

    def bool_schema(self, schema: core_schema.BoolSchema) -> Schema:
        word = {"pattern": r"^([Tt]rue|[Ff]alse|TRUE|FALSE|yes|no|on|off)$"}
        return {**_or_reference(super().bool_schema(schema) | word), "type": ["boolean", "string"]}

    def literal_schema(self, schema: core_schema.LiteralSchema) -> Schema:
        expected = [*schema["expected"]]
        numbers = [float(one) for one in expected if str(one).replace(".", "", 1).isdigit()]
        return {
            "anyOf": [
                {"enum": [*expected, *numbers]},
                {"type": "string", "pattern": _REFERENCE},
            ]
        }

    def nullable_schema(self, schema: core_schema.NullableSchema) -> Schema:
        return _or_null(self.generate_inner(schema["schema"]))

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> Schema:
        made = super().default_schema(schema)
        if not isinstance(made.get("default"), str | int | float):
            made.pop("default", None)
        return made

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - pydantic's own
        return False  # it would only respell the key


def estate_schema() -> Schema:
    """Return the JSON schema of an estate's file, as `config/estate.schema.json` holds it."""
    made = Estate.model_json_schema(schema_generator=_AsYamlWritesIt)
    parts: dict[str, Schema] = made["$defs"]
    for part in (made, *parts.values()):
        for value in part.get("properties", {}).values():
            _tell_unit(value)
            if value.pop(_NULLABLE, False):
                _take(parts[value["$ref"].removeprefix(_REF)], "null")
    _as_the_loader_takes_it(parts)
    made["properties"]["name"] = {
        "type": list(_TEXT),
        "description": "Name of the estate, short for `metadata: {name: …}`.",
    }
    made["anyOf"] = [{"required": made.pop("required")}, {"required": ["name"]}]
    return {"$schema": _DIALECT, **made}


def _as_the_loader_takes_it(parts: dict[str, Schema]) -> None:
    """Allow what is read before the model sees it: short forms, and names that are made."""
    parts[SecretSource.__name__]["oneOf"] = [{"required": ["env"]}, {"required": ["file"]}]
    secret = parts[Secret.__name__]
    del secret["properties"]["literal"]
    secret["required"] = ["secret"]
    _take(secret, *_TEXT)
    _take(parts[Taint.__name__], *_TEXT)
    parts[Machine.__name__]["required"].remove("name")


def _take(part: Schema, *kinds: str) -> None:
    """Let a part be of other types, too; its keys are only asked of a mapping."""
    known = [part["type"]] if isinstance(part["type"], str) else part["type"]
    part["type"] = [*dict.fromkeys([*known, *kinds])]


def _tell_unit(schema: Schema) -> None:
    unit = schema.pop("unit", None) or _inner(schema).pop("unit", None)
    if unit is not None:
        schema["description"] = f"{schema.get('description', '')} Unit: {unit}.".strip()


def _inner(schema: Schema) -> Schema:
    branches: list[Schema] = schema.get("anyOf", [])
    return next((branch for branch in branches if "unit" in branch), {})


def _or_reference(schema: Schema) -> Schema:
    """Let `${VAR}` stand for a value that has a pattern."""
    if "pattern" in schema:
        return {**schema, "pattern": f"{schema['pattern']}|{_REFERENCE}"}
    return schema


def _or_null(schema: Schema) -> Schema:
    """Let a value be empty, which means that the key is absent.

    Where that is possible there is no `anyOf`: editors would underline the whole of a part that
    holds one mistake.
    """
    if "type" in schema:
        _take(schema, "null")
        return schema
    if "$ref" in schema:
        return {**schema, _NULLABLE: True}
    branches = schema["anyOf"] if set(schema) == {"anyOf"} else [schema]
    return {"anyOf": [*branches, {"type": "null"}]}
