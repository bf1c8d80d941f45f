"""Whatever the rules say, nothing live, pinned, young or among the last goes."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.serving.retention import (
    Plan,
    StoredVersion,
    Use,
    retention_plan,
)
from platform_assets.spec.retention import Keep

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DIGESTS = [character * 64 for character in "abcd"]


def stored(version: int, digest: str = "a" * 64, days: float = 100, **more) -> StoredVersion:
    return StoredVersion("digits", str(version), digest, NOW - timedelta(days=days), **more)


def planned(versions, keep, uses=(), aliases=None) -> Plan:
    return retention_plan(versions, lambda _: keep, uses, {"digits": aliases or {}}, NOW)


def going(plan: Plan) -> set[str]:
    return {version for removal in plan.removals for version in removal.versions}


@st.composite
def stocks(draw):
    count = draw(st.integers(0, 8))
    versions = [
        stored(
            number,
            draw(st.sampled_from(DIGESTS)),
            draw(st.floats(-1, 60)),
            registered=draw(st.booleans()),
            ours=draw(st.integers(0, 9)) > 0,
        )
        for number in draw(st.permutations(range(1, count + 1)))
    ]
    numbers = st.sampled_from([str(n) for n in range(1, 10)])
    keep = draw(
        st.none()
        | st.builds(
            Keep,
            versions=st.integers(1, 4),
            days=st.integers(0, 40),
            pinned=st.lists(numbers, max_size=2).map(tuple),
        )
    )
    models = st.sampled_from(["digits", "others", None])
    uses = draw(st.lists(st.builds(Use, st.sampled_from(DIGESTS), models, st.just("live"))))
    aliases = draw(st.dictionaries(st.sampled_from(["champion", "live-x"]), numbers))
    return versions, keep, uses, aliases


@settings(deadline=None)
@given(stocks())
def test_nothing_that_is_wanted_ever_goes(stock) -> None:
    versions, keep, uses, aliases = stock
    plan = planned(versions, keep, uses, aliases)
    gone = going(plan)
    assert gone.isdisjoint(kept.version.version for kept in plan.kept)
    assert len(gone) + len(plan.kept) == len(versions)
    assert all(kept.reasons for kept in plan.kept)
    if keep is None:
        assert gone == set()
        return
    ours = [v for v in versions if v.registered and v.ours]
    last = sorted(ours, key=lambda v: int(v.version))[-keep.versions :]
    live = {use.tree_digest for use in uses if use.model in {"digits", None}}
    for one in versions:
        wanted = (
            one in last
            or one.tree_digest in live
            or one.version in keep.pinned
            or one.version in aliases.values()
            or not one.ours
            or NOW - one.since < timedelta(days=keep.days)
        )
        assert (one.version in gone) == (not wanted)


@settings(deadline=None)
@given(stocks())
def test_a_copy_goes_only_with_the_last_version_that_needs_it(stock) -> None:
    versions, keep, uses, aliases = stock
    plan = planned(versions, keep, uses, aliases)
    needed = {kept.version.tree_digest for kept in plan.kept}
    for removal in plan.removals:
        assert removal.copy == (removal.tree_digest not in needed)
    assert len({removal.tree_digest for removal in plan.removals}) == len(plan.removals)


@settings(deadline=None)
@given(stocks())
def test_what_stays_stays_when_the_plan_is_made_again(stock) -> None:
    versions, keep, uses, aliases = stock
    first = planned(versions, keep, uses, aliases)
    rest = [kept.version for kept in first.kept]
    assert planned(rest, keep, uses, aliases).removals == ()


def test_the_reasons_are_told() -> None:
    keep = Keep(versions=1, days=7, pinned=("2",))
    versions = [stored(1), stored(2), stored(3, "b" * 64), stored(4, days=1), stored(5)]
    plan = planned(versions, keep, [Use("b" * 64, "digits", "live on endpoint digits")])
    told = {kept.version.version: kept.reasons for kept in plan.kept}
    assert told == {
        "2": ("pinned",),
        "3": ("live on endpoint digits",),
        "4": ("younger than 7 days",),
        "5": ("among the last 1",),
    }
    (removal,) = plan.removals
    assert (removal.versions, removal.copy) == (("1",), False)
    assert removal.reason == "older than 7 days and not among the last 1"


def test_without_a_rule_everything_stays_and_says_so() -> None:
    plan = planned([stored(1)], None)
    assert plan.removals == ()
    assert "no rule" in plan.kept[0].reasons[0]


def test_versions_that_the_registry_lost_do_not_count_among_the_last() -> None:
    versions = [stored(1), stored(2), stored(3, registered=False), stored(4, registered=False)]
    assert going(planned(versions, Keep(versions=2, days=0))) == {"3", "4"}


def test_a_clock_that_was_set_back_makes_everything_young() -> None:
    assert going(planned([stored(1, days=-400), stored(2)], Keep(versions=1, days=0))) == set()
