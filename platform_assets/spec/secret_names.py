"""Which keys name a secret where the model does not say so, for it takes what is there as it is."""

import re

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
