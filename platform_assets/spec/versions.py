"""Versions as people write them, ranges of them, and the form in which Ansible wants them.

Pure text work. What goes with what stands in `compatibility.py`. Comparing is left to
`packaging.version` (PEP 440); only names in front (`debian 13`) and MinIO's dates are read here.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from packaging.version import InvalidVersion, Version
from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

from platform_assets.spec.errors import AiHowError

_MINIO = re.compile(r"RELEASE\.(\d{4})-(\d\d)-(\d\d)T(\d\d)-(\d\d)-(\d\d)Z")
_SYSTEM = re.compile(r"([a-z]+)[ -]?(\d+(?:\.\d+)*)(?: *\([^()]*\))?")
_BOUND = re.compile(r"(?P<low>.+?)(?: - (?P<high>.+)| (?P<open>or newer|or older))?")
_PLACES = 6  # MinIO's dates go down to the second
_ABOVE_ALL = 10**9
# Components whose versions Kubespray wanted as `v1.30.4` before it dropped the `v` in 2.28.
_ONCE_WITH_V = frozenset({"kubernetes", "calico"})
_WITHOUT_V_SINCE = Version("2.28")
# How many numbers a complete version has, where it is not three.
_COMPLETE = {"os": 1, "postgresql": 2, "seaweedfs": 2}

Place = tuple[int, ...]


class VersionRefused(AiHowError):
    """A text is no version."""


@dataclass(frozen=True, order=True)
class Number:
    """A version to compare: an operating system's name or nothing, and the numbers."""

    family: str
    release: Place
    prerelease: bool = False

    @property
    def low(self) -> Place:
        """The first version that is meant: 1.28 begins with 1.28.0."""
        return self.release + (0,) * (_PLACES - len(self.release))

    @property
    def high(self) -> Place:
        """The last version that is meant: 1.28 includes every 1.28.x."""
        return self.release + (_ABOVE_ALL,) * (_PLACES - len(self.release))

    def overlaps(self, other: "Number") -> bool:
        """Whether the two can mean the same version."""
        return self.family == other.family and self.low <= other.high and other.low <= self.high


@lru_cache(maxsize=4096)
def number(text: str) -> Number:
    """Return the version that `text` means.

    Raises:
        VersionRefused: it is none; the message says what is expected.
    """
    bare = text.strip()
    minio = _MINIO.fullmatch(bare)
    if minio is not None:
        return Number("", tuple(map(int, minio.groups())))
    system = _SYSTEM.fullmatch(bare.lower())
    if system is not None and system[1] != "v":
        return Number(system[1], Version(system[2]).release)
    try:
        version = Version(bare)
    except InvalidVersion as error:
        message = f"expected a version such as 1.35.4, v1.35.4 or 1.35, found {text!r}"
        raise VersionRefused(message) from error
    if len(version.release) > _PLACES or version.epoch or max(version.release) >= _ABOVE_ALL:
        message = f"expected a version of at most {_PLACES} plain numbers, found {text!r}"
        raise VersionRefused(message)
    return Number("", version.release, version.is_prerelease)


def normalised(component: str, text: str) -> str:
    """Return `text` as it stands in the table: without `v`, an operating system as `debian 13`.

    Raises:
        VersionRefused: it is no version of `component`.
    """
    found = number(text)
    bare = text.strip()
    if component == "os":
        if not found.family:
            message = f"expected a system with its version such as debian 13, found {text!r}"
            raise VersionRefused(message)
        return f"{found.family} {_dotted(bare)}"
    if found.family:
        message = f"expected a version such as 1.35.4, v1.35.4 or 1.35, found {text!r}"
        raise VersionRefused(message)
    if component == "minio" and _MINIO.fullmatch(bare) is None:
        message = f"expected a release such as RELEASE.2025-09-07T16-13-09Z, found {text!r}"
        raise VersionRefused(message)
    return bare if component == "minio" else bare.lower().removeprefix("v")


def _dotted(system: str) -> str:
    match = _SYSTEM.fullmatch(system.lower())
    return match[2] if match is not None else system


def is_complete(component: str, version: str) -> bool:
    """Whether `version` names one release and not a series, as 1.28 does.

    Raises:
        VersionRefused: it is no version.
    """
    places = _PLACES if component == "minio" else _COMPLETE.get(component, 3)
    return len(number(version).release) >= places


def kubespray_form(component: str, version: str, kubespray: str) -> str:
    """Return `version` as Kubespray at version `kubespray` wants it in its variables.

    Kubernetes and Calico carry a `v` before Kubespray 2.28 and never from there on, where a `v`
    ends in a type error of Ansible's comparison or in a missing checksum. Kubespray itself is
    named by its git tag, which always has one.

    Raises:
        VersionRefused: one of the two is no version.
    """
    bare = normalised(component, version)
    if component == "kubespray":
        return f"v{bare}"
    old = number(kubespray) < Number("", _WITHOUT_V_SINCE.release)
    return f"v{bare}" if old and component in _ONCE_WITH_V else bare


@dataclass(frozen=True)
class Span:
    """A range without a gap; both ends are included."""

    family: str
    low: Place
    high: Place
    last: str | None  # the newest release of the range, where it has one


class Range:
    """Versions as the table writes them: `1.31.0 - 1.31.13, 1.32`, `1.32 or newer`."""

    def __init__(self, text: str) -> None:
        """Read `text`.

        Raises:
            ValueError: it is no range; the message says what is expected.
        """
        self.text = text
        self.spans = tuple(_span(part.strip()) for part in text.split(","))

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Range) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def has(self, version: Number) -> bool:
        """Whether `version`, or for a series one of its releases, lies inside."""
        return any(
            span.family == version.family and span.low <= version.high and version.low <= span.high
            for span in self.spans
        )

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Let pydantic read it from text, and write it as text."""
        return core_schema.no_info_after_validator_function(
            cls,
            core_schema.str_schema(strict=True),
            serialization=core_schema.plain_serializer_function_ser_schema(str),
        )


def _span(text: str) -> Span:
    match = _BOUND.fullmatch(text)
    message = (
        f"expected a range such as `1.31.0 - 1.31.13, 1.32`, `1.32 or newer` or `1.35 or older`, "
        f"found {text!r}"
    )
    if match is None:
        raise ValueError(message)
    try:
        low = number(match["low"])
        high = number(match["high"]) if match["high"] else low
    except VersionRefused as error:
        raise ValueError(message) from error
    if high.family != low.family or high.high < low.low:
        message = f"expected the lower version first, found {text!r}"
        raise ValueError(message)
    if match["open"] == "or newer":
        return Span(low.family, low.low, (_ABOVE_ALL,) * _PLACES, None)
    if match["open"] == "or older":
        return Span(low.family, (0,) * _PLACES, low.high, match["low"])
    return Span(low.family, low.low, high.high, match["high"] or match["low"])
