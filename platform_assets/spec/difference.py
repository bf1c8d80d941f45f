"""What differs between two estates by meaning, whatever words and order their files use.

A default that is written out is no difference, nor is the order of keys or of things that have a
name; versions and addresses are compared in one form. A literal secret is compared and not shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, SecretStr

from platform_assets.spec.findings import Path
from platform_assets.spec.model.base import HIDDEN, Secret
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.model.shapes import ROOT, Shape
from platform_assets.spec.secret_names import is_reference, names_a_secret

ANOTHER_HIDDEN = "(another literal, hidden)"
# What identifies an item of a list, the first that all items have.
_IDENTITIES = ("name", "id", "tag", "pci_address", "key")
_VERSIONS = ("version", "_version", "kubespray", "nvidia_driver")


@dataclass(frozen=True)
class Difference:
    """One place and what stands there before and after; None where it is absent.

    An item that has a name is placed by it: `("clusters", "cloud", "workers", "gpu-worker-1")`.
    """

    path: Path
    old: object
    new: object


def differences(before: Estate, after: Estate) -> list[Difference]:
    """Return every difference, in the order of the model's keys."""
    return list(_compared((), _meaning(before, ROOT), _meaning(after, ROOT)))


def _meaning(value: object, shape: Shape | None, key: str = "", *, secret: bool = False) -> object:
    """Return a part of the model as plain data in one form, without what is absent.

    What must not be shown is wrapped into a SecretStr.
    """
    if isinstance(value, Secret):
        return value.literal or value.model_dump(mode="json")
    if isinstance(value, BaseModel):
        found = {
            field.alias or name: _meaning(getattr(value, name), shape and shape.under(name), name)
            for name, field in type(value).model_fields.items()
        }
        return {name: one for name, one in found.items() if one is not None}
    if is_reference(value):
        return value
    if isinstance(value, Mapping):
        inner = shape.under("") if shape else None
        free = shape is not None and shape.takes_anything
        return {
            name: _meaning(one, inner, str(name), secret=secret or (free and names_a_secret(name)))
            for name, one in value.items()
        }
    if isinstance(value, list | tuple):
        inner = shape.under(0) if shape else None
        return [_meaning(one, inner, key, secret=secret) for one in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if secret and isinstance(value, str):
        return SecretStr(value)
    return _scalar(value.strip(), key) if isinstance(value, str) else value


def _scalar(text: str, key: str) -> str:
    """Return the one form of a text whose spelling may differ."""
    if key.endswith(_VERSIONS) and text[:1] in "vV" and text[1:2].isdigit():
        return text[1:]
    if key == "mac":
        return text.lower().replace("-", ":")
    if key == "pci_address":
        return text.lower() if text.count(":") > 1 else f"0000:{text.lower()}"
    return text


def _compared(path: Path, old: object, new: object) -> Iterator[Difference]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _compared((*path, key), old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list) and (key := _identity(old, new)):
        named_old, named_new = ({one[key]: one for one in items} for items in (old, new))
        yield from _compared(path, named_old, named_new)
    elif old != new:
        yield Difference(path, *_shown(old, new))


def _identity(old: Sequence[object], new: Sequence[object]) -> str | None:
    """Return the key whose value identifies every item of both lists, each once."""
    for key in _IDENTITIES:
        for items in (old, new):
            found = [one.get(key) for one in items if isinstance(one, dict)]
            named = all(isinstance(one, str) for one in found)
            if not named or len(found) != len(items) or len(set(found)) != len(found):
                break
        else:
            return key
    return None


def _shown(old: object, new: object) -> tuple[object, object]:
    """Return both sides with literal secrets hidden, and told apart where both are one."""
    before, after = _hidden(old, HIDDEN), _hidden(new, HIDDEN)
    return before, _hidden(new, ANOTHER_HIDDEN) if before == after else after


def _hidden(value: object, word: str) -> object:
    if isinstance(value, SecretStr):
        return word
    if isinstance(value, dict):
        return {key: _hidden(one, word) for key, one in value.items()}
    if isinstance(value, list):
        return [_hidden(one, word) for one in value]
    return value
