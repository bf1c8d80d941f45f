"""`${VAR}`, `${VAR:-default}` and `$$` in text; the variables come as a mapping, never from here.

`$$` means one `$`; a `$` before anything else means itself. The default is taken when the variable
is absent or empty, as shells do. Defaults hold no references.
"""

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(?:\$|\{(?P<name>[^}:]*)(?::-(?P<default>[^}]*))?(?P<rest>[^}]*)\}|\{)")
_WOULD_CHANGE = re.compile(r"\$(?=[${])")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


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
        name, default = match["name"], match["default"]
        if name is None or match["rest"] or not _NAME.fullmatch(name):
            message = "a reference that is neither ${NAME} nor ${NAME:-default}"
            raise Unresolved(message, "mend it, or write `$${` where `${` is meant as text")
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
    if match is None or not match["name"] or match["rest"] or not _NAME.fullmatch(match["name"]):
        return None
    return match["name"], match["default"]


def escaped(text: str) -> str:
    """Return what must be written so that `resolved` gives `text`.

    >>> escaped("${HOME} costs $5")
    '$${HOME} costs $5'
    """
    return _WOULD_CHANGE.sub("$$", text)


def has_reference(text: str) -> bool:
    """Return whether a reference stands anywhere in the text."""
    return any(match["name"] is not None for match in _REFERENCE.finditer(text))
