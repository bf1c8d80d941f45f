"""How pydantic's errors are told to people: what was expected, what was found, what to do."""

from collections.abc import Callable
from typing import Any

from pydantic_core import ErrorDetails

from platform_assets.spec.loading.tree import Node

_SHOWN = 60

# The patterns of the model, in words.
FORMS = {
    r"^[0-9a-f]{4}$": "four hex digits, as in 10de",
    r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$": "the name of an object of Kubernetes, as in my-registry",
    r"^[0-9]+(\.[0-9]+)?([EPTGM]i?|Ki|[km])?$": "a quantity of Kubernetes, as in 100Gi or 500m",
    r"^[0-9]+(ms|[smhdwy])$": "a duration, as in 30d or 12h",
    r"^([0-9]+-)?[0-9]+(:[0-9]{1,2}){0,2}$|^UNLIMITED$": "a time, as in 24:00:00 or 7-00:00:00",
    r"^(0o?)?[0-7]{3,4}$": "a mode in octal, as in 0755",
    r"^[0-9a-f]{64}$": "64 hex digits in lower case",
}

# The ids of findings, the expectation, the remedy; by pydantic's types of errors, see
# https://docs.pydantic.dev/latest/errors/validation_errors/
_WORDS: dict[str, tuple[str, Callable[[dict[str, Any]], str], str]] = {
    "int_parsing": ("wrong-type", lambda _: "a whole number", "write it in digits"),
    "int_type": ("wrong-type", lambda _: "a whole number", "write it in digits"),
    "int_from_float": ("wrong-type", lambda _: "a whole number", "round it"),
    "int_parsing_size": ("out-of-bounds", lambda _: "a number of sensible size", "mend it"),
    "float_parsing": ("wrong-type", lambda _: "a number", "write it in digits, without a unit"),
    "float_type": ("wrong-type", lambda _: "a number", "write it in digits, without a unit"),
    "finite_number": ("out-of-bounds", lambda _: "a finite number", "write it in digits"),
    "bool_parsing": ("wrong-type", lambda _: "true or false", "write `true` or `false`"),
    "bool_type": ("wrong-type", lambda _: "true or false", "write `true` or `false`"),
    "string_type": ("wrong-type", lambda _: "text", "write one value after the colon"),
    "tuple_type": ("wrong-type", lambda _: "a list", "write each item in a line after `- `"),
    "dict_type": ("wrong-type", lambda _: "keys and values", "write `key: value` lines below it"),
    "model_type": ("wrong-type", lambda _: "keys and values", "write `key: value` lines below it"),
    "greater_than": ("out-of-bounds", lambda c: f"more than {_number(c['gt'])}", "mend it"),
    "greater_than_equal": ("out-of-bounds", lambda c: f"at least {_number(c['ge'])}", "mend it"),
    "less_than_equal": (
        "out-of-bounds",
        lambda c: f"at most {_number(c['le'])}",
        "mend it; mind the unit",
    ),
    "literal_error": ("not-a-choice", lambda c: str(c["expected"]), "choose one of them"),
    "string_pattern_mismatch": (
        "wrong-form",
        lambda c: FORMS.get(c["pattern"], f"the form {c['pattern']}"),
        "write it in that form",
    ),
    "string_too_short": ("wrong-form", lambda _: "some text", "write it, or take the key out"),
    "string_too_long": (
        "wrong-form",
        lambda c: f"at most {c['max_length']} characters",
        "shorten it",
    ),
}


def told(detail: ErrorDetails, node: Node, secret: bool) -> tuple[str, str, str]:
    """Return rule, message and remedy of an error; a secret's value is not shown."""
    kind, context = detail["type"], detail.get("ctx", {})
    if secret:
        return (
            "wrong-type",
            "expected {secret: {env: NAME}} or {secret: {file: PATH}}",
            "name the variable or the file that holds it",
        )
    if kind == "value_error":
        told_by_model = str(context["error"])
        if node.written is not None and node.text:
            told_by_model = told_by_model.replace(node.text, node.written)
        return "wrong-value", told_by_model, "mend it"
    if kind not in _WORDS:
        return "wrong-value", f"{detail['msg']}; found {found(node)}", "mend it"
    rule, expected, remedy = _WORDS[kind]
    return rule, f"expected {expected(context)}, found {found(node)}", remedy


def found(node: Node) -> str:
    """Return how a value is told; not the value of a variable, which might be a secret."""
    if node.written is not None:
        return f"the value of {_shortened(node.written)}"
    if node.text is not None:
        return repr(_shortened(node.text))
    return "a list" if node.is_list else "keys and values" if node.is_mapping else "nothing"


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else str(value)
