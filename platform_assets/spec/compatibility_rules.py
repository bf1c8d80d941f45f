"""What is wrong with the versions that an estate names, judged by the table of `compatibility.py`.

Pure: the day is an argument. A contradiction is reported at the component that stands later in
COMPONENTS, for that is the one that yields; the remedy names the nearest version of either that
works. Nothing passes in silence: a version that is in no entry is reported too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from platform_assets.spec.compatibility import COMPONENTS, Compatibility, Need, Notice, Pin
from platform_assets.spec.findings import Finding, Path, Severity, dotted
from platform_assets.spec.versions import (
    Number,
    Range,
    VersionRefused,
    is_complete,
    kubespray_form,
    normalised,
    number,
)

MALFORMED = "version-malformed"
UNKNOWN = "version-unknown"
CONTRADICTION = "versions-contradict"
UNTESTED = "versions-untested"
END_OF_LIFE = "end-of-life"
DEFECT = "version-defect"
FORM = "version-form"
NEWEST_KUBESPRAY = "kubespray-unnamed"
# What Kubespray installs: without a version of it, the newest entry judges them.
_BY_KUBESPRAY = ("kubernetes", "containerd", "calico")
_SUGGEST = "`ai-how config suggest` proposes a whole set"


@dataclass(frozen=True)
class Version:
    """One pinned version that could be read."""

    component: str
    text: str
    number: Number


@dataclass(frozen=True)
class Breach:
    """What `owner` says about `other`, which does not hold; `hard` where it cannot work."""

    owner: Version
    other: Version
    expected: Range
    need: Need
    source: str
    hard: bool


def version(component: str, text: str) -> Version:
    """Return the version that `text` means.

    Raises:
        VersionRefused: it is none.
    """
    found = _version(component, text)
    if isinstance(found, VersionRefused):
        raise found
    return found


@lru_cache(maxsize=4096)
def _version(component: str, text: str) -> Version | VersionRefused:
    try:
        bare = normalised(component, text)
        return Version(component, bare, number(bare))
    except VersionRefused as refusal:
        return refusal


def breaches(
    one: Version, two: Version, table: Compatibility, present: frozenset[str]
) -> list[Breach]:
    """Return what the two say about each other that does not hold, among `present` components."""
    found = []
    for owner, other in ((one, two), (two, one)):
        component = table.component(owner.component)
        entry = component.entry(owner.number)
        if entry is None:
            continue
        need = next((n for name, n in entry[1].needs.items() if name == other.component), None)
        if need is None:
            continue
        if need.beside is not None and need.beside not in present:
            continue
        source = need.source or entry[1].source or component.source or ""
        if need.works is not None and not need.works.has(other.number):
            found.append(Breach(owner, other, need.works, need, source, hard=True))
        elif need.tested is not None and not need.tested.has(other.number):
            found.append(Breach(owner, other, need.tested, need, source, hard=False))
    return found


def notices(found: Version, table: Compatibility, present: frozenset[str]) -> Iterator[Notice]:
    """Give what is to be known about this version beside the components that are present."""
    component = table.component(found.component)
    entry = component.entry(found.number)
    for notice in (*(entry[1].notices if entry else ()), *component.notices):
        applies = not notice.beside or not present.isdisjoint(notice.beside)
        if applies and (notice.versions is None or notice.versions.has(found.number)):
            yield notice


def has_ended(found: Version, table: Compatibility, today: date) -> bool:
    """Whether nobody maintains this version any more on `today`."""
    end = table.component(found.component).ends(found.number)
    return end is not None and end[0] < today


def fits(one: Version, two: Version, table: Compatibility, present: frozenset[str]) -> bool:
    """Whether nothing in the table forbids the two together."""
    return not any(breach.hard for breach in breaches(one, two, table, present))


def nearest_first(component: str, text: str, table: Compatibility) -> list[str]:
    """Return every release in the table, the nearest to `text` first.

    Near is the same system, then the number of series between, then newer before older, then the
    newest release of a series. A `text` that is no version is nearest to the recommended set, and
    to the newest release where that set lacks the component.
    """
    known = table.component(component)
    releases = [r for r in table.releases[component] if known.entry(number(r)) is not None]
    here = _version(component, text)
    if isinstance(here, VersionRefused):
        here = version(component, table.recommended.get(component, releases[-1]))

    def series(place: Number) -> int:
        found = known.entry(place)
        below = sum(each < place for each, _, _ in known.series)
        keys = [key for _, key, _ in known.series]
        return keys.index(found[0]) if found is not None else below

    def distance(release: str) -> tuple[bool, int, bool, tuple[int, ...]]:
        place = number(release)
        apart = series(place) - series(here.number)
        newest_first = tuple(-part for part in place.release)
        return place.family != here.number.family, abs(apart), apart < 0, newest_first

    return sorted(releases, key=distance)


def kubespray_meant(pins: Mapping[str, Pin], table: Compatibility) -> str | None:
    """Return the version of Kubespray that is meant though unnamed, or None."""
    if "kubespray" in pins or not any(name in pins for name in _BY_KUBESPRAY):
        return None
    return table.releases["kubespray"][-1]


def check_compatibility(
    pins: Mapping[str, Pin], table: Compatibility, today: date, *, production: bool = False
) -> list[Finding]:
    """Return every finding about the versions `pins`, in the order of COMPONENTS.

    A version past its end of life is an error in `production` and a warning elsewhere. Where no
    Kubespray is pinned, the newest one in the table is meant, and a note says so.
    """
    judge = _Judge(pins, table, today, production=production)
    return judge.findings()


class _Judge:
    """The rules over one mapping of pins."""

    def __init__(
        self, pins: Mapping[str, Pin], table: Compatibility, today: date, *, production: bool
    ) -> None:
        self.table, self.today, self.production = table, today, production
        self.pins = {name: pins[name] for name in COMPONENTS if name in pins}
        self.meant = kubespray_meant(pins, table)
        if self.meant is not None:
            first = next(name for name in _BY_KUBESPRAY if name in pins)
            self.pins["kubespray"] = Pin(self.meant, pins[first].path)
        self.present = frozenset(self.pins)
        self.versions: dict[str, Version] = {}

    def findings(self) -> list[Finding]:
        found = list(self._malformed())
        for name in COMPONENTS:
            here = self.versions.get(name)
            if here is None:
                continue
            if name == "kubespray" and self.meant is not None:
                found.append(self._unnamed(self.meant))
            found += [*self._known(here), *self._form(here), *self._pairs(here)]
            found += [*self._ended(here), *self._notices(here)]
        return found

    def _path(self, name: str) -> Path:
        return self.pins[name].path

    def _title(self, name: str) -> str:
        return self.table.component(name).title

    def _named(self, found: Version) -> str:
        """A version as people say it."""
        if found.component == "os":
            return found.text
        return f"{self._title(found.component)} {found.text}"

    def _malformed(self) -> Iterator[Finding]:
        for name, pin in self.pins.items():
            found = _version(name, pin.version)
            if isinstance(found, Version):
                self.versions[name] = found
                continue
            near = nearest_first(name, pin.version, self.table)[0]
            message = f"{self._title(name)}: {found}"
            yield Finding(MALFORMED, Severity.ERROR, pin.path, message, f"write {near}")

    def _unnamed(self, newest: str) -> Finding:
        message = f"no version of Kubespray is named; the newest in the table, {newest}, is meant"
        remedy = f"name kubespray v{newest}, so that a newer table changes nothing"
        return Finding(NEWEST_KUBESPRAY, Severity.NOTE, self._path("kubespray"), message, remedy)

    def _known(self, here: Version) -> Iterator[Finding]:
        component = self.table.component(here.component)
        if component.entry(here.number) is not None and not here.number.prerelease:
            return
        known = [key for _, key, _ in component.series]
        alike = [each for each, _, _ in component.series if each.family == here.number.family]
        newer = bool(alike) and here.number > alike[-1]
        what = "is a pre-release" if here.number.prerelease else "is not in the table"
        newer_words = " (it is newer than all of them)" if newer else ""
        message = (
            f"{self._named(here)} {what}, so nothing is known about it; "
            f"known are {', '.join(known)}{newer_words}"
        )
        near = nearest_first(here.component, here.text, self.table)[0]
        remedy = f"take {near}, or add an entry to the table of compatibility"
        yield Finding(UNKNOWN, Severity.WARNING, self._path(here.component), message, remedy)

    def _form(self, here: Version) -> Iterator[Finding]:
        kubespray = self.versions.get("kubespray")
        if here.component not in _BY_KUBESPRAY or kubespray is None:
            return
        path, title = self._path(here.component), self._title(here.component)
        written = self.pins[here.component].version.strip()
        form = kubespray_form(here.component, here.text, kubespray.text)
        if not is_complete(here.component, here.text):
            message = (
                f"{title} {written!r} names no patch release, and Kubespray installs only "
                f"releases that it has a checksum for"
            )
            releases = nearest_first(here.component, here.text, self.table)
            installed = [
                text
                for text in releases
                if fits(version(here.component, text), kubespray, self.table, self.present)
            ]
            remedy = f"write {(installed or releases)[0]!r}, in quotes"
            yield Finding(FORM, Severity.WARNING, path, message, remedy)
        elif form != written:
            rule = "without" if form == here.text else "with"
            message = (
                f"{title} {written!r} goes to Ansible as {form!r}: Kubespray {kubespray.text} "
                f"takes versions {rule} `v`, and fails on the other form"
            )
            yield Finding(FORM, Severity.NOTE, path, message, f"write {form!r}")

    def _pairs(self, here: Version) -> Iterator[Finding]:
        """What is wrong between this one and those that stand before it."""
        for name in COMPONENTS[: COMPONENTS.index(here.component)]:
            other = self.versions.get(name)
            if other is None or name in self.pins[here.component].apart_from:
                continue
            for breach in breaches(here, other, self.table, self.present):
                yield self._breach(breach, here, other)

    def _breach(self, breach: Breach, here: Version, other: Version) -> Finding:
        owner, guest = breach.owner, breach.other
        verb = "works with" if breach.hard else "is tested with"
        expected = str(breach.expected)
        if guest.component != "os":
            expected = f"{self._title(guest.component)} {expected}"
        where = "" if self._unwritten(other) else f" ({dotted(self._path(other.component))})"
        named = f"{self._named(other)}{where}"
        found = (
            f"{self._named(owner)} {verb} {expected}, found {named}"
            if owner is here
            else f"{named} {verb} {expected}, found {guest.text}"
        )
        why = f"; {breach.need.why}" if breach.need.why else ""
        message = f"{found}{why} [{breach.source}]"
        rule, severity = (
            (CONTRADICTION, Severity.ERROR) if breach.hard else (UNTESTED, Severity.WARNING)
        )
        remedy = breach.need.remedy or self._remedy(here, other)
        return Finding(rule, severity, self._path(here.component), message, remedy)

    def _unwritten(self, found: Version) -> bool:
        return found.component == "kubespray" and self.meant is not None

    def _remedy(self, here: Version, other: Version) -> str:
        """The nearest version of either that works; ended ones only where there is no other."""
        ways = [
            near
            for mine, fixed in ((here, other), (other, here))
            if (near := self._nearest(mine, fixed)) is not None
        ]
        maintained = [way for way in ways if not has_ended(way, self.table, self.today)]
        words = [self._named(way) for way in maintained] or [
            f"{self._named(way)} (past its end of life)" for way in ways
        ]
        if not words:
            return f"no version in the table goes with either; {_SUGGEST}"
        return f"take {' or '.join(words)}; {_SUGGEST}"

    def _nearest(self, mine: Version, fixed: Version) -> Version | None:
        """The nearest release of `mine` beside `fixed`; one that is maintained, if there is one."""
        good = [
            candidate
            for text in nearest_first(mine.component, mine.text, self.table)
            if (candidate := version(mine.component, text)).text != mine.text
            and not breaches(candidate, fixed, self.table, self.present)
        ]
        maintained = [each for each in good if not has_ended(each, self.table, self.today)]
        return next(iter(maintained or good), None)

    def _ended(self, here: Version) -> Iterator[Finding]:
        end = self.table.component(here.component).ends(here.number)
        if end is None or end[0] >= self.today:
            return
        severity = Severity.ERROR if self.production else Severity.WARNING
        why = f": {end[1]}" if end[1] else ""
        message = f"{self._named(here)} reached its end of life on {end[0]}{why} [{end[2]}]"
        retired = self.table.component(here.component).retired
        alive = self._maintained(here)
        fitting = [each for each in alive if self._fits_all(each, here)]
        if fitting:
            remedy = f"take {fitting[0].text}"
        elif alive:
            remedy = f"take {alive[0].text}, and with it others: {_SUGGEST}"
        elif retired is not None and retired.date < self.today:
            remedy = retired.remedy
        else:
            remedy = "no version in the table is maintained; add a newer entry to it"
        yield Finding(END_OF_LIFE, severity, self._path(here.component), message, remedy)

    def _maintained(self, here: Version) -> list[Version]:
        """The maintained releases of the same component, the nearest first.

        Beside Kubespray, those that its newest version can install come before all others.
        """
        alive = [
            found
            for text in nearest_first(here.component, here.text, self.table)
            if not has_ended(found := version(here.component, text), self.table, self.today)
        ]
        if "kubespray" not in self.present or here.component == "kubespray":
            return alive
        newest = version("kubespray", self.table.releases["kubespray"][-1])
        return sorted(alive, key=lambda each: not fits(each, newest, self.table, self.present))

    def _fits_all(self, candidate: Version, here: Version) -> bool:
        others = [each for name, each in self.versions.items() if name != here.component]
        return all(fits(candidate, other, self.table, self.present) for other in others)

    def _notices(self, here: Version) -> Iterator[Finding]:
        beside = self.present - self.pins[here.component].apart_from
        for notice in notices(here, self.table, beside):
            message = f"{self._named(here)}: {notice.message} [{notice.source}]"
            path = self._path(here.component)
            yield Finding(DEFECT, notice.severity, path, message, notice.remedy)
