"""What a model was trained with, compared with what the server has.

MLflow logs `requirements.txt` (or the pip section of `conda.yaml`) and, in `MLmodel`, the versions
of Python and of the library that loads the model. The embedded model server runs in the very
environment of this process, so that its distributions are ours. Reference: PEP 440 and PEP 508;
https://mlflow.org/docs/latest/ml/model/ ("Additional Logged Files").
"""

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Final

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from platform_assets.spec.errors import AiHowError
from platform_assets.spec.gates import Difference as Limit
from platform_assets.spec.gates import RequirementsGate

_MAX_BYTES: Final = 2**20
# Flavor of MLmodel: the distribution that loads it, and the key that holds its version.
_LIBRARIES: Final = {"sklearn": ("scikit-learn", "sklearn_version")}


class RequirementsUnreadable(AiHowError):
    """A file in which the model logs its requirements is not what MLflow writes."""


class Size(IntEnum):
    """How far what the server has is from what was logged."""

    SAME = 0
    PATCH = 1
    MINOR = 2
    MAJOR = 3
    MISSING = 4


_LIMITS: Final[dict[Limit, int]] = {
    "minor": Size.MINOR,
    "major": Size.MAJOR,
    "missing": Size.MISSING,
    "never": Size.MISSING + 1,
}


@dataclass(frozen=True)
class Logged:
    """What the model's directory says; `lines` are requirements as PEP 508 writes them."""

    python: str | None
    library: tuple[str, str] | None
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Compared:
    """One requirement beside what the server has, and whether the rules let it pass."""

    name: str
    logged: str
    found: str
    size: Size
    passed: bool


def logged_requirements(directory: Path) -> Logged:
    """Read what the MLflow model in `directory` logged of its environment.

    Raises:
        RequirementsUnreadable: names the file and what is wrong with it.
    """
    described = _yaml(directory / "MLmodel")
    flavors = _mapping(described.get("flavors"))
    conda = _yaml(directory / "conda.yaml")
    written = _text(directory / "requirements.txt")
    lines = _conda_pip(conda) if written is None else written.splitlines()
    python = _mapping(flavors.get("python_function")).get("python_version")
    library = None
    for flavor, (distribution, key) in _LIBRARIES.items():
        version = _mapping(flavors.get(flavor)).get(key)
        if version is not None:
            library = (distribution, str(version))
    return Logged(None if python is None else str(python), library, tuple(_requirements(lines)))


def installed_distributions() -> dict[str, str]:
    """Return the version of every distribution of this environment, by its canonical name."""
    return {
        canonicalize_name(found.metadata["Name"]): found.version
        for found in distributions()
        if found.metadata["Name"]
    }


def compared_requirements(
    logged: Logged,
    rules: RequirementsGate,
    installed: Mapping[str, str],
    python: str | None = None,
) -> list[Compared]:
    """Compare everything that was logged; the library and Python come first."""
    found = python or platform.python_version()
    compared = []
    if logged.python is not None:
        compared.append(_by_version("python", logged.python, found, rules.python))
    library = logged.library
    if library is not None:
        name, version = library
        has = installed.get(canonicalize_name(name))
        compared.append(_by_version(name, version, has, rules.library))
    for line in logged.lines:
        one = _by_requirement(line, installed, rules.others, found)
        if one is not None and (library is None or one.name != library[0]):
            compared.append(one)
    return compared


def difference(logged: str, found: str) -> Size:
    """Return how far version `found` is from `logged`; unreadable ones are equal or far apart."""
    if logged == found:
        return Size.SAME
    try:
        old, new = Version(logged), Version(found)
    except InvalidVersion:
        return Size.MAJOR
    if old == new:
        return Size.SAME
    if old.epoch != new.epoch or old.major != new.major:
        return Size.MAJOR
    if old.minor != new.minor:
        # Before 1.0 every second number may break what the one before could read.
        return Size.MAJOR if old.major == 0 else Size.MINOR
    return Size.PATCH


def _by_version(name: str, logged: str, found: str | None, limit: Limit) -> Compared:
    size = Size.MISSING if found is None else difference(logged, found)
    return Compared(name, logged, found or "not installed", size, size < _LIMITS[limit])


def _by_requirement(
    line: str, installed: Mapping[str, str], limit: Limit, python: str
) -> Compared | None:
    """Compare one line; None where it is for another kind of machine."""
    try:
        required = Requirement(line)
    except InvalidRequirement:
        return Compared(line, line, "not compared: no plain requirement", Size.SAME, True)
    environment = {"python_full_version": python, "python_version": _two_numbers(python)}
    if required.marker is not None and not required.marker.evaluate(environment):
        return None
    name = canonicalize_name(required.name)
    has = installed.get(name)
    pinned = [one.version for one in required.specifier if one.operator in {"==", "==="}]
    if has is None:
        size = Size.MISSING
    elif len(pinned) == 1 and not pinned[0].endswith("*"):
        size = difference(pinned[0], has)
    else:
        met = required.specifier.contains(has, prereleases=True)
        size = Size.SAME if met else Size.MAJOR
    wanted = str(required.specifier) or "any version"
    return Compared(name, wanted, has or "not installed", size, size < _LIMITS[limit])


def _two_numbers(python: str) -> str:
    return ".".join(python.split(".")[:2])


def _requirements(lines: Sequence[str]) -> Iterator[str]:
    """Give the requirements among the lines of a pip file; its options name places, no versions."""
    for line in lines:
        bare = line.split(" #")[0].split(" --hash")[0].rstrip("\\").strip()
        if bare and not bare.startswith(("#", "-")):
            yield bare


def _conda_pip(conda: Mapping[str, Any]) -> list[str]:
    dependencies = conda.get("dependencies")
    inner = dependencies if isinstance(dependencies, list) else []
    return [str(line) for one in inner if isinstance(one, dict) for line in one.get("pip") or ()]


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(file: Path) -> str | None:
    try:
        if file.stat().st_size > _MAX_BYTES:
            message = f"{file}: expected at most {_MAX_BYTES} bytes; log the model with mlflow"
            raise RequirementsUnreadable(message)
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise RequirementsUnreadable(f"{file}: cannot be read: {error}") from error


def _yaml(file: Path) -> dict[str, Any]:
    text = _text(file)
    try:
        return _mapping(yaml.safe_load(text or ""))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        message = f"{file}: expected YAML, found: {told}; log the model with mlflow"
        raise RequirementsUnreadable(message) from error
