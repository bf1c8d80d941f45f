from hypothesis import given
from hypothesis import strategies as st

from sensors.arrival_decision import (
    Remembered,
    Step,
    in_turn,
    is_news,
    is_repeat,
    step_for,
    vanished,
)

TAKEN = Remembered("m1", "r1", "digits.a.0123456789ab", None)
REFUSED = Remembered("m1", "r1", None, "a symlink", again_at=160.0)


def test_without_a_marker_there_is_nothing_to_do_but_wait():
    assert step_for(None, None, "r1", 100.0) is Step.WAIT
    assert step_for(None, TAKEN, "r1", 100.0) is Step.WAIT


def test_a_new_marker_is_judged():
    assert step_for("m1", None, "r1", 100.0) is Step.JUDGE


def test_a_changed_marker_is_judged_again():
    assert step_for("m2", TAKEN, "r1", 100.0) is Step.JUDGE
    assert step_for("m2", REFUSED, "r1", 100.0) is Step.JUDGE


def test_a_taken_checkpoint_is_left_alone_even_when_the_rules_change():
    assert step_for("m1", TAKEN, "r1", 1e12) is Step.NOTHING
    assert step_for("m1", TAKEN, "r2", 100.0) is Step.NOTHING


def test_a_refused_checkpoint_is_judged_again_when_the_rules_change_or_a_while_has_passed():
    assert step_for("m1", REFUSED, "r1", 100.0) is Step.NOTHING
    assert step_for("m1", REFUSED, "r2", 100.0) is Step.JUDGE
    assert step_for("m1", REFUSED, "r1", 160.0) is Step.JUDGE


def test_a_second_look_at_a_refused_checkpoint_is_no_news():
    assert is_news("m1", "r1", None)
    assert is_news("m2", "r1", REFUSED)
    assert is_news("m1", "r2", REFUSED)
    assert not is_news("m1", "r1", REFUSED)


def test_a_marker_touched_with_the_same_content_repeats_its_checkpoint():
    assert is_repeat("digits.a.0123456789ab", TAKEN)
    assert not is_repeat("digits.a.ba9876543210", TAKEN)
    assert not is_repeat("digits.a.0123456789ab", REFUSED)
    assert not is_repeat("digits.a.0123456789ab", None)


def test_a_root_that_lists_nothing_forgets_nothing():
    assert vanished({"digits/a": TAKEN}, []) == set()
    assert vanished({"digits/a": TAKEN, "digits/b": TAKEN}, ["digits/b"]) == {"digits/a"}


@given(st.sets(st.text("ab/", min_size=1, max_size=6)), st.text("ab/", max_size=6))
def test_a_turn_visits_everything_once_beginning_behind_where_the_last_one_stopped(names, after):
    turn = in_turn(names, after)
    assert sorted(turn) == sorted(names)
    behind = [n for n in turn if n > after]
    assert turn[: len(behind)] == sorted(behind)


@given(st.sets(st.integers(0, 99).map(str), min_size=1), st.integers(1, 7))
def test_turns_that_stop_early_reach_every_directory_in_the_end(names, room):
    seen: set[str] = set()
    after = ""
    for _ in range(len(names) // room + 1):
        visited = in_turn(names, after)[:room]
        seen.update(visited)
        after = visited[-1]
    assert seen == names
