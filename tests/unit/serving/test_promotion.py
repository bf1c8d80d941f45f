"""Which checkpoint takes over an endpoint."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.serving.promotion import Candidate, Live, Outcome, promotion
from platform_assets.spec.serving import ServedModel

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
