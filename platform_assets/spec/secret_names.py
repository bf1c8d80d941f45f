"""Secrets where the model does not say so, for it takes what is there as it is."""

import re
from collections.abc import Mapping
from typing import TypeGuard

_SECRET = re.compile(
    r"(^|[_-])(pass(word|wd|phrase)?|pw|pwd|secret|token|credentials?|api[_-]?key|key)$",
    re.IGNORECASE,
)


def names_a_secret(key: str) -> bool:
    """Return whether a key's value should not be shown.

    >>> names_a_secret("storage_pass"), names_a_secret("munge_key"), names_a_secret("key_path")
    (True, True, False)
    """
    return _SECRET.search(key) is not None


def is_reference(value: object) -> TypeGuard[Mapping[str, Mapping[str, str]]]:
    """Return whether plain data refer to a secret, as `{secret: {env: NAME}}` does."""
    source = value.get("secret") if isinstance(value, Mapping) and len(value) == 1 else None
    return (
        isinstance(source, Mapping)
        and set(source) in ({"env"}, {"file"})
        and all(isinstance(name, str) for name in source.values())
    )
