"""The nearest set of versions that works and is maintained, for `ai-how config suggest`.

Pure. What can stay stays; of what must change as little as possible does, and moves as little as
possible. The same pins, table and day always give the same set, and a set that was proposed is
proposed again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from platform_assets.spec.compatibility import COMPONENTS, Compatibility, Pin
from platform_assets.spec.compatibility_rules import (
    Version,
    fits,
    has_ended,
    kubespray_meant,
    nearest_first,
    notices,
    version,
)
from platform_assets.spec.findings import Severity
from platform_assets.spec.versions import VersionRefused, is_complete

# Whoever decides most is tried first, so that dead ends show early.
_ORDER = (
    "kubespray",
    "kubernetes",
    *(c for c in COMPONENTS if c not in {"kubespray", "kubernetes"}),
)
# To leave a component out is worse than any change, a change is worse than any distance.
_CHANGE = 1_000
_LEFT_OUT = 1_000_000


@dataclass(frozen=True)
class Suggestion:
    """The proposed versions, and why each that differs from what is written does so."""

    versions: dict[str, str]
    reasons: dict[str, str]


@dataclass(frozen=True)
class _Choice:
    cost: int
    version: Version | None


_Domain = tuple[_Choice, ...]


def suggest(pins: Mapping[str, Pin], table: Compatibility, today: date) -> Suggestion:
    """Return the set nearest to `pins` without an error and without an ended version on `today`.

    A component for which there is no such version is left out, with the reason; what replaces a
    retired project is put in.
    """
    wanted = {name: pins[name].version for name in COMPONENTS if name in pins}
    added = _added(wanted, table, today)
    meant = kubespray_meant(pins, table)
    if meant is not None:
        added["kubespray"] = meant
    wanted |= added
    present = frozenset(wanted)
    domains = {
        name: _domain(name, wanted[name], table, today, present)
        for name in _ORDER
        if name in wanted
    }
    chosen = _Search(table, present).best(domains)
    versions = {name: chosen[name].text for name in COMPONENTS if name in chosen}
    reasons = {}
    for name in COMPONENTS:
        if name not in wanted:
            continue
        kept = versions.get(name) == _written(name, wanted[name])
        if name in added or name not in versions or not kept:
            old = None if name in added else wanted[name]
            reasons[name] = _Reasons(table, today, present).of(name, old, versions)
    return Suggestion(versions, reasons)


def _written(name: str, text: str) -> str | None:
    try:
        return version(name, text).text
    except VersionRefused:
        return None


def _added(wanted: Mapping[str, str], table: Compatibility, today: date) -> dict[str, str]:
    """What replaces the retired projects among `wanted`."""
    added: dict[str, str] = {}
    for name in wanted:
        retired = table.component(name).retired
        if retired is not None and retired.date < today:
            added |= {str(new): text for new, text in retired.instead.items() if new not in wanted}
    return added


def _domain(
    name: str, text: str, table: Compatibility, today: date, present: frozenset[str]
) -> _Domain:
    """Every version that could be chosen for `name`, the cheapest first; last, to leave it out.

    An empty one would mean that Kubespray has no version left; its versions have no end.
    """
    kept = _written(name, text)
    if kept is not None and not is_complete(name, kept):
        # A series such as 1.28 is kept by the newest of its releases that goes with the rest.
        series, kept = version(name, kept).number, None
    else:
        series = None
    choices = []
    candidates = [text for text in nearest_first(name, text, table) if text != kept]
    for rank, candidate in enumerate([kept, *candidates] if kept is not None else candidates):
        found = version(name, candidate)
        if kept is not None and found.number.family != version(name, kept).number.family:
            continue  # another operating system is not the same one in another version
        forbidden = any(n.severity is Severity.ERROR for n in notices(found, table, present))
        if forbidden or has_ended(found, table, today):
            continue
        stays = candidate == kept or (series is not None and series.overlaps(found.number))
        choices.append(_Choice(rank + (0 if stays else _CHANGE), found))
    choices.sort(key=lambda choice: choice.cost)
    if name == "kubespray":  # left out, its newest version would be meant, and was not weighed
        return tuple(choices)
    return (*choices, _Choice(_LEFT_OUT, None))


class _Search:
    """Depth first with forward checking and a bound: the exact minimum, the first one of equals."""

    def __init__(self, table: Compatibility, present: frozenset[str]) -> None:
        self._table, self._present = table, present
        self._fits: dict[tuple[Version, Version], bool] = {}
        self._best: dict[str, Version] = {}
        self._best_cost: int | None = None

    def best(self, domains: Mapping[str, _Domain]) -> dict[str, Version]:
        self._descend(dict(domains), {}, 0)
        return self._best

    def _descend(self, domains: dict[str, _Domain], chosen: dict[str, Version], cost: int) -> None:
        bound = cost + sum(domain[0].cost for domain in domains.values())
        if self._best_cost is not None and bound >= self._best_cost:
            return
        if not domains:
            self._best, self._best_cost = chosen, cost
            return
        name, *_ = domains
        for choice in domains[name]:
            rest = {
                other: self._beside(choice, domain)
                for other, domain in domains.items()
                if other != name
            }
            more = chosen if choice.version is None else chosen | {name: choice.version}
            self._descend(rest, more, cost + choice.cost)

    def _beside(self, choice: _Choice, domain: _Domain) -> _Domain:
        one = choice.version
        if one is None:
            return domain
        return tuple(c for c in domain if c.version is None or self._go_together(one, c.version))

    def _go_together(self, one: Version, two: Version) -> bool:
        key = (one, two)
        if key not in self._fits:
            self._fits[key] = fits(one, two, self._table, self._present)
        return self._fits[key]


class _Reasons:
    """Why a component is proposed as it is."""

    def __init__(self, table: Compatibility, today: date, present: frozenset[str]) -> None:
        self._table, self._today, self._present = table, today, present

    def of(self, name: str, old: str | None, versions: Mapping[str, str]) -> str:
        if old is None:
            if name == "kubespray":
                return "no version is named; the newest in the table is meant"
            return f"takes the place of {self._replaced(name)}"
        try:
            found = version(name, old)
        except VersionRefused as refusal:
            left_out = "" if name in versions else "; left out: no version that works"
            return f"{refusal}{left_out}"
        return self._fault(found, versions)

    def _replaced(self, name: str) -> str:
        replaced = [
            component.title
            for component in self._table.components.values()
            if component.retired is not None and name in component.retired.instead
        ]
        return ", ".join(replaced)

    def _fault(self, found: Version, versions: Mapping[str, str]) -> str:
        component = self._table.component(found.component)
        end = component.ends(found.number)
        faults = []
        if end is not None and end[0] < self._today:
            faults.append(f"{found.text} reached its end of life on {end[0]}")
        faults += [
            f"{found.text}: {notice.message}"
            for notice in notices(found, self._table, self._present)
            if notice.severity is Severity.ERROR
        ]
        others = [
            self._table.component(name).title + " " + text
            for name, text in versions.items()
            if name != found.component
            and not fits(found, version(name, text), self._table, self._present)
        ]
        if others:
            faults.append(f"{found.text} does not go with {', '.join(others)}")
        if not faults and not is_complete(found.component, found.text):
            faults.append(f"{found.text} names no release")
        if found.component not in versions:
            retired = component.retired
            over = retired is not None and retired.date < self._today
            end_words = retired.remedy if retired is not None and over else "no version that works"
            faults.append(f"left out: {end_words}")
        return "; ".join(faults) or "another version goes with more of the rest"
