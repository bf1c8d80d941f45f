"""What passes a gate: the pure decisions."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.serving.gate_report import (
    GateReport,
    GateResult,
    gates_check,
    no_gates_declared,
    not_asked,
)
from platform_assets.serving.gate_verdicts import (
    Answer,
    Measured,
    evaluation_results,
    is_lost,
    load_results,
    percentile,
    requirement_results,
    smoke_result,
)
from platform_assets.serving.requirements import Compared, Size
from platform_assets.spec.gates import EvaluationGate, LoadGate, SmokeGate

times = st.floats(min_value=0, max_value=10)
answers = st.builds(
    lambda seconds, error: Answer(seconds, None if error else {}, "no" if error else None),
    times,
    st.integers(0, 4).map(lambda number: number == 0),
)


@st.composite
def loads(draw: st.DrawFn) -> tuple[LoadGate, list[Answer]]:
    count = draw(st.integers(1, 40))
    bound = st.none() | st.floats(min_value=1, max_value=10_000)
    gate = LoadGate(
        requests=count,
        max_error_rate=draw(st.floats(0, 0.99)),
        p50_ms=draw(bound),
        p95_ms=draw(bound),
        p99_ms=draw(bound),
    )
    return gate, draw(st.lists(answers, min_size=count, max_size=count))


def passed(gate: LoadGate, given_answers: list[Answer]) -> bool:
    return all(result.passed for result in load_results(gate, given_answers))


@settings(deadline=None)
@given(loads())
def test_ending_early_never_changes_the_verdict(load: tuple[LoadGate, list[Answer]]) -> None:
    gate, all_answers = load
    for count in range(1, len(all_answers) + 1):
        if is_lost(gate, all_answers[:count]):
            assert not passed(gate, all_answers[:count])
            assert not passed(gate, all_answers)
            return


@settings(deadline=None)
@given(loads())
def test_a_load_that_was_not_finished_never_passes(load: tuple[LoadGate, list[Answer]]) -> None:
    gate, all_answers = load
    assert not passed(gate, all_answers[:-1])


@settings(deadline=None)
@given(st.lists(times, min_size=1), st.sampled_from([50, 95, 99]))
def test_a_percentile_is_a_measured_value_that_enough_do_not_exceed(
    values: list[float], percent: int
) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) * 100 >= percent * len(values)
    assert sum(value < found for value in values) * 100 < percent * len(values)


def test_a_load_without_bounds_shows_its_percentiles() -> None:
    answers = [Answer(number / 1000, {}) for number in range(1, 101)]
    rate, latency = load_results(LoadGate(requests=100), answers)
    assert rate.passed
    assert latency.passed
    assert "p50 50.0, p95 95.0, p99 99.0 ms" in latency.found


def test_errors_show_the_first_reason_and_silence_has_no_latency() -> None:
    silent = [Answer(1.0, None, "no answer within 1 s")]
    rate, latency = load_results(LoadGate(requests=1, p95_ms=9), silent)
    assert not rate.passed
    assert "1 errors in 1 requests; the first: no answer within 1 s" in rate.found
    assert not latency.passed
    assert latency.found == "no answer"


def test_smoke_names_the_first_rows_that_came_out_otherwise() -> None:
    gate = SmokeGate(file="rows.jsonl")
    assert smoke_result(gate, 4, 4, []).passed
    assert not smoke_result(gate, 4, 3, []).passed
    wrong = [(f"row {n}", "expected 1, found 2") for n in range(4)]
    found = smoke_result(gate, 4, 4, wrong)
    assert not found.passed
    assert "4 of 4 otherwise: row 0: expected 1, found 2; " in found.found
    assert found.found.endswith("and 1 more")


def measured(value: float, recorded: float | None = None, live: float | None = None) -> Measured:
    return Measured(value, 10, recorded, live, "nothing is live")


def verdicts(metric: str, found: Measured, **bounds: float) -> list[bool]:
    gate = EvaluationGate.model_validate({"file": "a.csv", "metric": metric} | bounds)
    return [result.passed for result in evaluation_results(gate, found)]


@pytest.mark.parametrize(
    ("metric", "value", "bounds", "expected"),
    [
        ("accuracy", 0.9, {"minimum": 0.9}, [True]),
        ("accuracy", 0.89, {"minimum": 0.9}, [False]),
        ("accuracy", math.nan, {"minimum": 0}, [False]),
        ("mean_squared_error", math.inf, {"maximum": 1e300}, [False]),
        ("mean_squared_error", 2, {"minimum": 1, "maximum": 1.5}, [True, False]),
    ],
)
def test_absolute_bounds(
    metric: str, value: float, bounds: dict[str, float], expected: list[bool]
) -> None:
    assert verdicts(metric, measured(value), **bounds) == expected


@pytest.mark.parametrize(
    ("value", "recorded", "passes"),
    [(0.85, 0.9, True), (0.95, 0.9, True), (0.84, 0.9, False), (0.96, 0.9, False),
     (0.9, None, False), (0.9, math.nan, False)],
)  # fmt: skip
def test_agreement_with_training_goes_both_ways_and_wants_a_record(
    value: float, recorded: float | None, passes: bool
) -> None:
    bound = {"agrees_with_training_within": 0.05}
    assert verdicts("accuracy", measured(value, recorded), **bound) == [passes]


@pytest.mark.parametrize(
    ("metric", "value", "live", "passes"),
    [
        ("accuracy", 0.88, 0.9, True),
        ("accuracy", 0.87, 0.9, False),
        ("accuracy", 1.0, 0.9, True),
        ("mean_absolute_error", 0.92, 0.9, True),
        ("mean_absolute_error", 0.93, 0.9, False),
        ("mean_absolute_error", 0.0, 0.9, True),
        ("accuracy", 0.1, None, True),
        ("accuracy", math.nan, 0.9, False),
        ("accuracy", 0.1, math.nan, True),
    ],
)
def test_not_worse_than_live_knows_which_way_is_better(
    metric: str, value: float, live: float | None, passes: bool
) -> None:
    found = measured(value, live=live)
    assert verdicts(metric, found, not_worse_than_live_by=0.02) == [passes]


def test_alike_requirements_are_one_row_and_each_other_one_its_own() -> None:
    compared = [
        Compared("python", "3.11.7", "3.11.9", Size.PATCH, True),
        Compared("numpy", "2.0", "2.0", Size.SAME, True),
        Compared("gone", "==1", "not installed", Size.MISSING, False),
    ]
    whole, python, gone = requirement_results(compared)
    assert whole.found == "1 alike, 2 different"
    assert str(python) == "requirement python: expected 3.11.7, found 3.11.9 (another patch)"
    assert python.passed
    assert not gone.passed


def test_a_report_says_in_one_sentence_how_it_ended() -> None:
    good, bad = GateResult("a", "1", "1", True), GateResult("b", "1", "2", False)
    assert GateReport((good,)).summary() == "all 1 gates passed"
    assert GateReport((good, bad)).summary() == "1 of 2 gates failed: b: expected 1, found 2"
    assert no_gates_declared().passed
    assert no_gates_declared().summary() == "no gates are declared for this model"
    assert not_asked("it ended superseded").summary() == "not asked: it ended superseded"


def test_the_check_has_one_row_per_gate_and_cuts_long_words() -> None:
    check = gates_check(GateReport((GateResult("a", "1", "x" * 9000, False),), seconds=1.0))
    assert not check.passed
    (record,) = check.metadata["gates"].records
    assert set(record.data) == {"gate", "expected", "found", "passed"}
    assert len(str(record.data["found"])) == 500
    assert gates_check(no_gates_declared()).passed
