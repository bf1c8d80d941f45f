"""Kubernetes quantities and durations as numbers.

Kubernetes documentation, "Quantity": k M G T P E are powers of 1000, Ki Mi Gi Ti Pi Ei of 1024, m
is a thousandth. Durations are written as Prometheus does: 30d, 12h.
"""

import re
from fractions import Fraction

_SUFFIXES = {"": Fraction(1), "m": Fraction(1, 1000), "k": Fraction(1000)}
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


def number_of(quantity: str) -> Fraction:
    """Return a quantity of the model (`base.Quantity`) as a number.

    >>> number_of("500m"), number_of("4Gi") == 4 * 1024**3
    (Fraction(1, 2), True)
    """
    digits, suffix = _split(quantity)
    return Fraction(digits) * _SUFFIXES[suffix]


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
