"""What a rollback without a named version goes to."""

from hypothesis import given
from hypothesis import strategies as st

from platform_assets.lineage.deployments import Deployment
from platform_assets.lineage.ledger import Fact
from platform_assets.serving.rollback import version_before


def deployment(seq: int, content: int) -> Deployment:
    fact = Fact(seq, "deployment/1", "digits", {}, "2026", "2026", "0", "0")
    return Deployment("digits", "digits", str(content), f"{content}" * 64, "c", "2026", fact)


def test_it_goes_to_the_one_before() -> None:
    past = [deployment(n, n) for n in (1, 2, 3)]
    assert version_before(past, past[-1], set()) is past[1]


def test_a_second_rollback_goes_further_back_and_not_to_what_was_taken_away() -> None:
    past = [deployment(1, 1), deployment(2, 2), deployment(3, 3), deployment(4, 2)]
    assert version_before(past, past[-1], {"3" * 64}) is past[0]


def test_with_nothing_before_there_is_no_target() -> None:
    assert version_before([deployment(1, 1)], deployment(1, 1), set()) is None


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.sets(st.integers(0, 4)))
def test_it_is_never_what_is_live_nor_what_was_taken_away(past: list[int], away: set[int]) -> None:
    deployments = [deployment(seq, content) for seq, content in enumerate(past)]
    barred = {f"{content}" * 64 for content in away}
    found = version_before(deployments, deployments[-1], barred)
    if found is None:
        assert set(past) <= away | {past[-1]}
    else:
        assert found.version != str(past[-1])
        assert int(found.version) not in away
