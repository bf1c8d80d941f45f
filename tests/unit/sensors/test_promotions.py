"""When a moved alias asks for a run, and that its configuration is what the job takes."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from platform_assets.lineage.ledger import Fact
from platform_assets.serving import intervention_jobs
from platform_assets.serving.alias_move import is_moved
from platform_assets.serving.intervention_jobs import run_config
from sensors.promotions import Move, Tried, attempt_due, promotion_request

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def seen(version: str | None) -> Fact:
    body = {} if version is None else {"version": version}
    return Fact(7, "promotion/1", "digits", body, "2026", "2026", "0", "0")


@pytest.mark.parametrize(
    ("target", "last", "concluded", "expected"),
    [
        (None, None, True, False),
        ("3", None, True, True),
        ("3", seen("3"), True, False),
        ("3", seen("3"), False, True),
        ("4", seen("3"), True, True),
        (None, seen("3"), True, True),
        (None, seen(None), True, False),
        ("3", seen(None), True, True),
    ],
)
def test_an_alias_asks_for_something_when_it_leads_elsewhere_than_it_did(
    target: str | None, last: Fact | None, concluded: bool, expected: bool
) -> None:
    assert is_moved(target, last, concluded=concluded) is expected


def test_attempts_are_spaced_and_end() -> None:
    assert attempt_due([], NOW) == 1
    assert attempt_due([Tried(1, None)], NOW) is None
    assert attempt_due([Tried(1, NOW - timedelta(seconds=5))], NOW) is None
    assert attempt_due([Tried(1, NOW - timedelta(seconds=20))], NOW) == 2
    assert attempt_due([Tried(1, NOW - timedelta(days=1)), Tried(2, None)], NOW) is None
    assert attempt_due([Tried(6, NOW - timedelta(days=1))], NOW) is None


def test_two_moves_have_two_run_keys() -> None:
    first = promotion_request(Move("digits", "champion:3:after-7"), 1)
    later = promotion_request(Move("digits", "champion:3:after-9"), 1)
    assert first.run_key != later.run_key


def test_every_command_sends_what_its_job_takes() -> None:
    by = {"by": "ada"}
    sent = {
        "rollback_endpoint": {"reason": "slow", **by},
        "pause_endpoint": {"reason": "", **by},
        "resume_endpoint": by,
        "delete_endpoint": {"confirm": "digits", "reason": "", **by},
        "approve_version": {"version": "3", **by},
        "promote_version": {},
    }
    assert set(sent) == {job.name for job in intervention_jobs.JOBS}
    for job in intervention_jobs.JOBS:
        config = run_config(job.name, {"endpoint": "digits", **sent[job.name]})
        assert dg.validate_run_config(job, config)
