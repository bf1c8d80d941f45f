"""`${VAR}`, `${VAR:-default}` and `$$` in text; the variables come as a mapping, never from here.

`$$` means one `$`; a `$` before anything else means itself. The default is taken when the variable
is absent or empty, as shells do. Defaults hold no references.
"""

import re
from collections.abc import Mapping

# The body is split afterwards: one repetition, so that no text makes the search slow.
_REFERENCE = re.compile(r"\$(?:\$|\{(?P<body>[^}]*)(?P<end>\}?))")
_BODY = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)
_WOULD_CHANGE = re.compile(r"\$(?=[${])")


class Unresolved(ValueError):
    """A reference that cannot be replaced; the message says why, `remedy` what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


def resolved(text: str, variables: Mapping[str, str]) -> str:
    """Return `text` with every reference replaced.

    Raises:
        Unresolved: a variable is absent and has no default, or a reference is malformed.

    >>> resolved("${HOME}/images/$$1/${SIZE:-small}", {"HOME": "/home/me"})
    '/home/me/images/$1/small'
    """
    if "$" not in text:
        return text

    def replaced(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        reference = _split(match)
        if reference is None:
            message = "a reference that is neither ${NAME} nor ${NAME:-default}"
            raise Unresolved(message, "mend it, or write `$${` where `${` is meant as text")
        name, default = reference
        value = variables.get(name)
        if value or (value is not None and default is None):
            return value
        if default is not None:
            return default
        message = f"the variable {name} is not set"
        raise Unresolved(message, f"set it, or give a default as in ${{{name}:-value}}")

    return _REFERENCE.sub(replaced, text)


def whole_reference(text: str) -> tuple[str, str | None] | None:
    """Return name and default of a text that is one reference and nothing else, or None.

    >>> whole_reference("${DB_PASSWORD}")
    ('DB_PASSWORD', None)
    """
    match = _REFERENCE.fullmatch(text.strip())
    return _split(match) if match else None


def escaped(text: str) -> str:
    """Return what must be written so that `resolved` gives `text`.

    >>> escaped("${HOME} costs $5")
    '$${HOME} costs $5'
    """
    return _WOULD_CHANGE.sub("$$", text)


def has_reference(text: str) -> bool:
    """Return whether a reference stands anywhere in the text."""
    return any(_split(match) for match in _REFERENCE.finditer(text))


def _split(match: re.Match[str]) -> tuple[str, str | None] | None:
    """Return name and default of a reference; None for `$$` and for what is malformed."""
    body = _BODY.fullmatch(match["body"]) if match["end"] else None
    return (body["name"], body["default"]) if body else None
