from datetime import UTC, datetime, timedelta

from sensors.next_attempt import MAX_ATTEMPTS, Outlook, due_at, outlook

ENDED = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def test_attempts_are_spaced_wider_each_time_and_then_end():
    waits = [due_at(n, ENDED) for n in range(1, 8)]
    seconds = [None if w is None else (w - ENDED).total_seconds() for w in waits]
    assert seconds == [15, 60, 300, 900, 3600, None, None]


def test_a_lasting_cause_is_never_tried_again():
    assert outlook(1, transient=False) is Outlook.DEFINITIVE


def test_a_passing_cause_is_waited_for_until_attempts_are_used_up():
    assert outlook(1, transient=True) is Outlook.WAITING
    assert outlook(MAX_ATTEMPTS - 1, transient=True) is Outlook.WAITING
    assert outlook(MAX_ATTEMPTS, transient=True) is Outlook.EXHAUSTED
    assert due_at(MAX_ATTEMPTS, ENDED + timedelta(days=1)) is None
