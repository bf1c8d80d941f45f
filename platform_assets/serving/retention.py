"""Which versions go and which stay, and why: one pure function and its words.

A rule (`keep` of the serving file) keeps the last N versions of a model; everything live, pinned,
aliased, or younger than D days stays whatever the rule says. A copy goes with the last version that
needs it. Gathering what there is, and removing, happen in `platform_assets/audits/retention.py`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from platform_assets.spec.retention import Keep


@dataclass(frozen=True)
class StoredVersion:
    """A version and its copy. `since` is when this content last arrived.

    `registered` is False where the registry lost it; `ours` is False where somebody else registered
    it and it names our copy.
    """

    model: str
    version: str
    tree_digest: str
    since: datetime
    registered: bool = True
    ours: bool = True


@dataclass(frozen=True)
class Kept:
    """A version that stays, with every reason."""

    version: StoredVersion
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Removal:
    """Versions of equal content that go, and whether their copy goes with them."""

    model: str
    tree_digest: str
    versions: tuple[str, ...]
    copy: bool
    reason: str


@dataclass(frozen=True)
class Plan:
    """What goes and what stays."""

    removals: tuple[Removal, ...]
    kept: tuple[Kept, ...]


@dataclass(frozen=True)
class Use:
    """Content that is in use; `model` is None where it is not known of which model it is."""

    tree_digest: str
    model: str | None
    why: str


def retention_plan(
    versions: Iterable[StoredVersion],
    rule: Callable[[str], Keep | None],
    uses: Collection[Use],
    aliases: Mapping[str, Mapping[str, str]],
    now: datetime,
) -> Plan:
    """Decide for every version. `aliases` says by model which version each alias means."""
    by_model: dict[str, list[StoredVersion]] = {}
    for version in versions:
        by_model.setdefault(version.model, []).append(version)
    kept: list[Kept] = []
    removals: list[Removal] = []
    for model, of_model in sorted(by_model.items()):
        ordered = sorted(of_model, key=lambda one: int(one.version), reverse=True)
        keep = rule(model)
        last = [one.version for one in ordered if one.registered and one.ours]
        last = last[: keep.versions] if keep else []
        reasons = {
            one.version: _reasons(one, keep, last, uses, aliases.get(model, {}), now)
            for one in ordered
        }
        kept += [Kept(one, reasons[one.version]) for one in ordered if reasons[one.version]]
        needed = {one.tree_digest for one in ordered if reasons[one.version]}
        going = [one for one in ordered if not reasons[one.version]]
        removals += _removals(going, needed, keep)
    return Plan(tuple(removals), tuple(kept))


def _reasons(  # noqa: PLR0917 - everything that may keep a version
    one: StoredVersion,
    keep: Keep | None,
    last: Collection[str],
    uses: Collection[Use],
    aliases: Mapping[str, str],
    now: datetime,
) -> tuple[str, ...]:
    reasons = [
        use.why
        for use in uses
        if use.tree_digest == one.tree_digest and use.model in {None, one.model}
    ]
    reasons += [f"alias {alias}" for alias, version in aliases.items() if version == one.version]
    if not one.ours:
        reasons.append("registered by somebody else")
    if keep is None:
        reasons.append("no rule: the serving file has no `keep` for it")
        return tuple(reasons)
    if one.version in keep.pinned:
        reasons.append("pinned")
    if one.version in last:
        reasons.append(f"among the last {keep.versions}")
    if now - one.since < timedelta(days=keep.days):
        reasons.append(f"younger than {keep.days} days")
    return tuple(reasons)


def _removals(
    going: Iterable[StoredVersion], needed: Collection[str], keep: Keep | None
) -> list[Removal]:
    by_digest: dict[str, list[StoredVersion]] = {}
    for one in going:
        by_digest.setdefault(one.tree_digest, []).append(one)
    if keep is None:
        return []
    reason = f"older than {keep.days} days and not among the last {keep.versions}"
    return [
        Removal(
            model=group[0].model,
            tree_digest=digest,
            versions=tuple(one.version for one in group),
            copy=digest not in needed,
            reason=reason,
        )
        for digest, group in by_digest.items()
    ]
