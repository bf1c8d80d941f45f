"""The one rule for names of models, runs and endpoints: others are refused, never rewritten."""

import re

from platform_assets.spec.errors import AiHowError

MAX_LENGTH = 24
RULE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


class NameRefused(AiHowError):
    """A name is outside the rule."""


def checked_name(kind: str, name: str) -> str:
    """Return `name` if it may name a `kind` (model, run, endpoint, estate).

    Raises:
        NameRefused: it is empty, too long, or holds a character outside the rule.
    """
    if len(name) > MAX_LENGTH or not RULE.fullmatch(name):
        message = (
            f"{kind} name {name!r}: expected 1 to {MAX_LENGTH} lower-case letters, digits and '-', "
            "beginning with a letter and not ending with '-'; rename it"
        )
        raise NameRefused(message)
    return name
