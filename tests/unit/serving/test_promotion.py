"""Which checkpoint takes over an endpoint."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.serving.promotion import (
    Candidate,
    Live,
    Outcome,
    Standing,
    Wait,
    due,
    promotion,
    wished,
)
from platform_assets.spec.serving import AliasPromotion, Approval, ServedModel

ENTRY = ServedModel(model="digits", endpoint="digits")
EARLY, LATE = "2026-01-01T00:00:00.000000Z", "2026-01-02T00:00:00.000000Z"
NEW = Candidate("digits", "digits.b.bbbbbbbbbbbb", "mlflow", LATE, "b" * 64)
LIVE = Live("digits", "digits.a.aaaaaaaaaaaa", EARLY, "a" * 64, "a" * 64)


def test_the_first_checkpoint_is_deployed() -> None:
    assert promotion(NEW, ENTRY, None).deploy


def test_a_later_sealed_checkpoint_takes_over() -> None:
    decision = promotion(NEW, ENTRY, LIVE)
    assert decision.outcome is Outcome.DEPLOYED
    assert LIVE.checkpoint in decision.reason


def test_an_older_checkpoint_that_comes_late_is_superseded() -> None:
    decision = promotion(replace(NEW, sealed_at=EARLY), ENTRY, replace(LIVE, sealed_at=LATE))
    assert decision.outcome is Outcome.SUPERSEDED
    assert LIVE.checkpoint in decision.reason
    assert not decision.deploy


def test_a_model_without_entry_ends_registered_and_says_why() -> None:
    decision = promotion(NEW, None, None)
    assert decision.outcome is Outcome.REGISTERED
    assert "digits has no entry in the serving file" in decision.reason


def test_a_format_that_cannot_be_served_ends_registered_and_says_why() -> None:
    decision = promotion(replace(NEW, format="huggingface"), ENTRY, LIVE)
    assert decision.outcome is Outcome.REGISTERED
    assert "format huggingface cannot be served here" in decision.reason


@pytest.mark.parametrize("sealed_at", [EARLY, LATE])
def test_equal_content_is_not_deployed_again(sealed_at: str) -> None:
    decision = promotion(
        replace(NEW, tree_digest=LIVE.tree_digest, sealed_at=sealed_at), ENTRY, LIVE
    )
    assert decision.outcome is Outcome.ALREADY_LIVE


@pytest.mark.parametrize("told", [None, "", "c" * 64])
def test_equal_content_that_the_server_does_not_serve_is_deployed_again(told: str | None) -> None:
    candidate = replace(NEW, tree_digest=LIVE.tree_digest)
    decision = promotion(candidate, ENTRY, replace(LIVE, told_digest=told))
    assert decision.deploy
    assert "deployed again" in decision.reason


def test_equal_content_that_stands_otherwise_than_intended_is_deployed_again() -> None:
    candidate = replace(NEW, tree_digest=LIVE.tree_digest)
    edited = replace(LIVE, differs="somebody edited it")
    decision = promotion(candidate, ENTRY, edited)
    assert decision.deploy
    assert decision.reason == "these bytes are live, but somebody edited it: deployed again"
    assert not promotion(candidate, ENTRY, edited, Standing(paused="since yesterday")).deploy


def test_an_endpoint_that_was_given_to_another_model_is_taken_over() -> None:
    other = replace(LIVE, model="letters", sealed_at=LATE)
    assert promotion(replace(NEW, sealed_at=EARLY), ENTRY, other).deploy


@given(st.permutations(range(5)), st.lists(st.integers(0, 2), min_size=5, max_size=5))
def test_whatever_the_order_of_arrival_the_last_sealed_ends_live(
    order: list[int], seconds: list[int]
) -> None:
    candidates = [
        Candidate("digits", f"digits.r{n}", "mlflow", f"2026-01-01T00:00:0{s}", f"{n}" * 64)
        for n, s in enumerate(seconds)
    ]
    live: Live | None = None
    for candidate in (candidates[n] for n in order):
        if promotion(candidate, ENTRY, live).deploy:
            digest = candidate.tree_digest
            live = Live("digits", candidate.checkpoint, candidate.sealed_at, digest, digest)
    assert live is not None
    last = max(candidates, key=lambda one: (one.sealed_at, one.checkpoint))
    assert live.checkpoint == last.checkpoint


APPROVED = ServedModel(model="digits", endpoint="digits", approval=Approval())
BY_ALIAS = ServedModel(
    model="digits", endpoint="digits", promotion=AliasPromotion(alias="champion")
)


def test_promotion_by_alias_waits_for_the_person() -> None:
    decision = promotion(NEW, BY_ALIAS, LIVE)
    assert decision.outcome is Outcome.REGISTERED
    assert decision.waits_for is Wait.ALIAS
    assert wished(NEW, BY_ALIAS, LIVE).deploy


def test_a_version_that_nobody_approved_waits() -> None:
    decision = promotion(NEW, APPROVED, LIVE)
    assert decision.waits_for is Wait.APPROVAL
    assert promotion(NEW, APPROVED, LIVE, Standing(approved=frozenset({NEW.tree_digest}))).deploy


def test_a_rollback_that_was_not_concluded_is_not_undone() -> None:
    halfway = replace(LIVE, tree_digest=NEW.tree_digest, told_digest="c" * 64)
    standing = Standing(rolled_back={NEW.tree_digest: "it is bad"})
    assert not promotion(NEW, ENTRY, halfway, standing).deploy


def test_what_was_sealed_before_the_endpoint_was_deleted_does_not_bring_it_back() -> None:
    standing = Standing(withdrawn_at=LATE)
    assert not promotion(NEW, ENTRY, None, standing).deploy
    assert promotion(replace(NEW, sealed_at="2026-01-03"), ENTRY, None, standing).deploy
    assert wished(NEW, BY_ALIAS, None, standing).deploy


def seconds(number: int) -> str:
    return f"2026-01-01T00:00:{number:02}"


candidates = st.builds(
    lambda run, sealed, content: Candidate(
        "digits", f"digits.r{run}", "mlflow", seconds(sealed), f"{content}" * 64
    ),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 4),
)
digests = st.integers(0, 4).map(lambda content: f"{content}" * 64)
standings = st.builds(
    Standing,
    paused=st.none() | st.just("since yesterday"),
    rolled_back=st.dictionaries(digests, st.just("bad"), max_size=3),
    floor=st.none() | st.tuples(st.integers(0, 9).map(seconds), st.just("digits.r5")),
    withdrawn_at=st.none() | st.integers(0, 9).map(seconds),
    approved=st.frozensets(digests),
)
lives = st.none() | st.builds(
    lambda candidate, told: Live(
        candidate.model, candidate.checkpoint, candidate.sealed_at, candidate.tree_digest, told
    ),
    candidates,
    st.none() | digests,
)
entries = st.sampled_from([ENTRY, APPROVED, BY_ALIAS])


@given(candidates, entries, lives, standings)
def test_automatic_promotion_never_goes_against_a_person(
    candidate: Candidate, entry: ServedModel, live: Live | None, standing: Standing
) -> None:
    decision = promotion(candidate, entry, live, standing)
    if not decision.deploy:
        return
    assert standing.paused is None
    assert candidate.tree_digest not in standing.rolled_back
    repairs = live is not None and live.tree_digest == candidate.tree_digest
    if repairs:
        return
    assert entry is not BY_ALIAS
    assert entry is not APPROVED or candidate.tree_digest in standing.approved
    assert standing.floor is None or candidate.sealed > standing.floor
    assert standing.withdrawn_at is None or candidate.sealed_at > standing.withdrawn_at
    assert live is None or candidate.sealed >= (live.sealed_at, live.checkpoint)


@given(candidates, entries, lives, standings)
def test_a_persons_wish_waits_for_approval_and_resume_only(
    candidate: Candidate, entry: ServedModel, live: Live | None, standing: Standing
) -> None:
    decision = wished(candidate, entry, live, standing)
    if decision.deploy:
        assert standing.paused is None
    elif decision.outcome is Outcome.REGISTERED:
        assert decision.waits_for in {Wait.APPROVAL, Wait.RESUME}


@given(st.lists(candidates, max_size=6), lives, standings)
def test_what_is_due_is_what_would_be_live_had_all_of_them_been_delivered_now(
    waiting: list[Candidate], live: Live | None, standing: Standing
) -> None:
    found = due(waiting, ENTRY, live, standing)
    may = [one for one in waiting if promotion(one, ENTRY, live, standing).deploy]
    assert (found is None) == (not may)
    if found is not None:
        assert found[0].sealed == max(one.sealed for one in may)
