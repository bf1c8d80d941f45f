"""What a fact is as bytes: canonical JSON (RFC 8785), its times, its hash, and what is refused.

Pure functions. Where facts are kept stands in `ledger`, what they say in `facts`.

hash = hex SHA-256 of (32 bytes of prev ‖ SHA-256 of the RFC 8785 bytes of
{seq, kind, subject, body, valid_from, recorded_at}).
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import rfc8785

from platform_assets.spec.errors import AiHowError

JsonValue: TypeAlias = "bool | int | str | list[JsonValue] | dict[str, JsonValue] | None"
Body: TypeAlias = dict[str, JsonValue]

FIRST_PREV: Final = "00" * 32
ENVELOPE: Final = frozenset({"seq", "kind", "subject", "body", "valid_from", "recorded_at"})
SAFE_INTEGERS: Final = 2**53
MAX_DEPTH: Final = 64
MAX_FACT_BYTES: Final = 4 * 1024 * 1024
MAX_SUBJECT_LENGTH: Final = 512

_KIND = re.compile(r"[a-z][-a-z0-9]{0,62}/1")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class FactRefused(AiHowError):
    """A fact cannot be written as it is; nothing was written."""


def timestamp(moment: datetime) -> str:
    """Return `moment` as `YYYY-MM-DDThh:mm:ss.ffffffZ`, the only form of a time in a fact.

    Raises:
        FactRefused: `moment` names no time zone, so that nobody knows when it is.
    """
    if moment.tzinfo is None:
        message = f"time {moment.isoformat()}: expected a time with its zone; add tzinfo=UTC"
        raise FactRefused(message)
    text = moment.astimezone(UTC).isoformat(timespec="microseconds")
    return text.replace("+00:00", "Z")


def read_timestamp(text: str) -> datetime:
    """Return the moment that a fact's time names.

    Raises:
        FactRefused: `text` has another form, or names a day that does not exist.
    """
    message = f"time {text!r}: expected YYYY-MM-DDThh:mm:ss.ffffffZ"
    if not _TIME.fullmatch(text):
        raise FactRefused(message)
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise FactRefused(message) from error


def checked_body(body: Mapping[str, Any]) -> Body:
    """Return `body` as plain JSON values, which mean the same to every reader for ever.

    Raises:
        FactRefused: it holds a float, an integer from 2^53 on, a key that is no string, or another
            type; the message names the place.
    """
    if not isinstance(body, Mapping):
        message = f"body: expected an object, found {type(body).__name__}"
        raise FactRefused(message)
    return {key: _checked(value, f"body.{key}", 1) for key, value in _checked_items(body, "body")}


def _checked(value: object, where: str, depth: int) -> JsonValue:
    if depth > MAX_DEPTH:
        message = f"{where}: nested more than {MAX_DEPTH} deep; flatten it"
        raise FactRefused(message)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _checked_text(value, where)
    if isinstance(value, int):
        if abs(value) >= SAFE_INTEGERS:
            message = f"{where}: the integer {value} is 2^53 or more; write it as a decimal string"
            raise FactRefused(message)
        return int(value)
    if isinstance(value, float):
        message = f"{where}: found the float {value!r}; write it as a decimal string"
        raise FactRefused(message)
    if isinstance(value, Mapping):
        return {
            key: _checked(inner, f"{where}.{key}", depth + 1)
            for key, inner in _checked_items(value, where)
        }
    if isinstance(value, list | tuple):
        return [_checked(inner, f"{where}[{i}]", depth + 1) for i, inner in enumerate(value)]
    message = f"{where}: expected a JSON value without floats, found {type(value).__name__}"
    raise FactRefused(message)


def _checked_items(value: Mapping[Any, Any], where: str) -> list[tuple[str, Any]]:
    for key in value:
        if not isinstance(key, str):
            message = f"{where}: expected keys that are strings, found {key!r}"
            raise FactRefused(message)
    return [(_checked_text(key, f"{where}: key"), inner) for key, inner in value.items()]


def _checked_text(text: str, where: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        message = f"{where}: {text!r} is no Unicode text (a lone surrogate); decode it properly"
        raise FactRefused(message) from error
    return str(text)


def canonical_envelope(
    *,
    seq: int,
    kind: str,
    subject: str,
    body: Mapping[str, Any],
    valid_from: str,
    recorded_at: str,
) -> bytes:
    """Return the RFC 8785 bytes that are stored and hashed.

    Raises:
        FactRefused: a part of the envelope is outside its rule.
    """
    if not _KIND.fullmatch(kind):
        message = f"kind {kind!r}: expected lower-case letters, digits and '-', then '/1'"
        raise FactRefused(message)
    if not subject or len(subject) > MAX_SUBJECT_LENGTH or _CONTROL.search(subject):
        message = (
            f"subject {subject!r}: expected 1 to {MAX_SUBJECT_LENGTH} characters without controls"
        )
        raise FactRefused(message)
    _checked_text(subject, "subject")
    read_timestamp(valid_from)
    read_timestamp(recorded_at)
    envelope: dict[str, JsonValue] = {
        "seq": seq,
        "kind": kind,
        "subject": subject,
        "body": checked_body(body),
        "valid_from": valid_from,
        "recorded_at": recorded_at,
    }
    canonical = rfc8785.dumps(envelope)
    if len(canonical) > MAX_FACT_BYTES:
        message = (
            f"{kind} {subject}: {len(canonical)} bytes, expected at most {MAX_FACT_BYTES}; "
            "record a digest of the large part"
        )
        raise FactRefused(message)
    return canonical


def chained_hash(prev: str, canonical: bytes) -> str:
    """Return the hash of a fact: over the hash before it and over its own canonical bytes."""
    return hashlib.sha256(bytes.fromhex(prev) + hashlib.sha256(canonical).digest()).hexdigest()
