"""Kubernetes quantities and durations as numbers.

Kubernetes documentation, "Quantity": k M G T P E are powers of 1000, Ki Mi Gi Ti Pi Ei of 1024, and
m u n of a thousandth; the API also takes 1e3, which the estate does not. Durations are written as
Prometheus does: 30d, 12h.
"""

import re
from fractions import Fraction

_SUFFIXES = {"": Fraction(1), "m": Fraction(1, 1000), "k": Fraction(1000)}
_SUFFIXES |= {"u": Fraction(1, 1000**2), "n": Fraction(1, 1000**3)}
_SUFFIXES |= {letter: Fraction(1000 ** (2 + at)) for at, letter in enumerate("MGTPE")}
_SUFFIXES |= {f"{letter}i": Fraction(1024 ** (1 + at)) for at, letter in enumerate("KMGTPE")}
_SECONDS = {
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86400),
    "w": Fraction(7 * 86400),
    "y": Fraction(365 * 86400),
}


_QUANTITY = re.compile(
    r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:[eE]([+-]?[0-9]{1,3})|([EPTGMK]i|[EPTGMkmun]?))\Z"
)


def number_of(quantity: str) -> Fraction:
    """Return a quantity of the model (`base.Quantity`), or of the Kubernetes API, as a number.

    >>> number_of("500m"), number_of("4Gi") == 4 * 1024**3, number_of("1e3"), number_of("2E")
    (Fraction(1, 2), True, Fraction(1000, 1), Fraction(2000000000000000000, 1))

    Raises:
        ValueError: it is no quantity.
    """
    found = _QUANTITY.match(quantity)
    if found is None:
        message = f"expected a Kubernetes quantity as in 500m, 2 or 4Gi, found {quantity!r}"
        raise ValueError(message)
    digits, exponent, suffix = found.groups()
    return Fraction(digits) * (_SUFFIXES[suffix] if exponent is None else _power(int(exponent)))


def _power(exponent: int) -> Fraction:
    return Fraction(10) ** exponent


def days_of(duration: str) -> Fraction:
    """Return a duration of the model (`base.Duration`) in days.

    >>> days_of("36h")
    Fraction(3, 2)
    """
    digits, suffix = _split(duration)
    return Fraction(digits) * _SECONDS[suffix] / 86400


def _split(text: str) -> tuple[str, str]:
    suffix = re.sub(r"[0-9.]", "", text)
    return text.removesuffix(suffix), suffix
