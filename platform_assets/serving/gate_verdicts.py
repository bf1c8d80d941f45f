"""What passes a gate: pure functions from what was measured to results.

Measuring stands in `gates.py`. A value that is no number never passes, and floating point alone
never fails a value that lies exactly on its bound.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from platform_assets.serving.gate_report import GateResult
from platform_assets.serving.requirements import Compared, Size
from platform_assets.spec.gates import EvaluationGate, LoadGate, SmokeGate

_SLACK: Final = 1e-9
_SHOWN: Final = 3


@dataclass(frozen=True)
class Answer:
    """How one request went: how long it took, and its outputs or the reason why it has none."""

    seconds: float
    outputs: Mapping[str, Any] | None
    error: str | None = None


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the nearest-rank percentile: the smallest value that `percent` % do not exceed."""
    rank = -(-percent * len(values) // 100)
    return sorted(values)[max(rank, 1) - 1]


def is_lost(gate: LoadGate, answers: Sequence[Answer]) -> bool:
    """Say whether the gate fails however the requests that are still to come turn out."""
    if sum(answer.error is not None for answer in answers) > gate.max_error_rate * gate.requests:
        return True
    return any(
        sum(answer.seconds * 1000 > bound for answer in answers if answer.error is None)
        > gate.requests * (100 - percent) // 100
        for percent, bound in gate.bounds().items()
    )


def load_results(gate: LoadGate, answers: Sequence[Answer]) -> list[GateResult]:
    """Judge the answers to the load; fewer than were declared will do only where they failed."""
    errors = [answer.error for answer in answers if answer.error is not None]
    rate = len(errors) / len(answers) if answers else 1.0
    whole = len(answers) == gate.requests
    asked = f"{len(answers)} requests"
    if not whole:
        asked = f"{asked} of {gate.requests}, ended early"
    first = f"; the first: {errors[0]}" if errors else ""
    results = [
        GateResult(
            "error rate",
            f"at most {_told(gate.max_error_rate)} over {gate.requests} requests",
            f"{len(errors)} errors in {asked}{first}",
            rate <= gate.max_error_rate and (whole or is_lost(gate, answers)),
        )
    ]
    times = [answer.seconds * 1000 for answer in answers if answer.error is None]
    for percent, bound in gate.bounds().items():
        if not times:
            results.append(_latency(percent, bound, "no answer", False))
            continue
        value = percentile(times, percent)
        results.append(_latency(percent, bound, f"{value:.1f} ms in {asked}", value <= bound))
    if not gate.bounds() and times:
        p50, p95, p99 = (percentile(times, percent) for percent in (50, 95, 99))
        found = f"p50 {p50:.1f}, p95 {p95:.1f}, p99 {p99:.1f} ms in {asked}"
        results.append(GateResult("latency", "no bound", found, True))
    return results


def _latency(percent: int, bound: float, found: str, passed: bool) -> GateResult:
    return GateResult(f"latency p{percent}", f"at most {_told(bound)} ms", found, passed)


def smoke_result(
    gate: SmokeGate, rows: int, asked: int, wrong: Sequence[tuple[str, str]]
) -> GateResult:
    """Judge the smoke requests: `wrong` has each row's name and how it went otherwise."""
    expected = f"{rows} answers as in {gate.file}"
    if not wrong and asked == rows:
        return GateResult("smoke", expected, f"all {rows}", True)
    told = "; ".join(f"{name}: {words}" for name, words in wrong[:_SHOWN])
    more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    found = f"{len(wrong)} of {asked} otherwise: {told}{more}"
    return GateResult("smoke", expected, found, False)


@dataclass(frozen=True)
class Measured:
    """The metric on the evaluation rows: of the candidate, of training's record, of the live one.

    `live` is None where nothing of ours is live or it did not answer; `live_words` says which.
    """

    value: float
    rows: int
    recorded: float | None
    live: float | None
    live_words: str


def evaluation_results(gate: EvaluationGate, measured: Measured) -> list[GateResult]:
    """Judge the candidate's metric by every bound that is declared."""
    found = f"{_told(measured.value)} on {measured.rows} rows"
    results = []
    if gate.minimum is not None:
        passed = measured.value >= gate.minimum - _SLACK
        results.append(
            GateResult(gate.metric, f"at least {_told(gate.minimum)}", found, passed),
        )
    if gate.maximum is not None:
        passed = measured.value <= gate.maximum + _SLACK
        results.append(GateResult(gate.metric, f"at most {_told(gate.maximum)}", found, passed))
    if gate.agrees_with_training_within is not None:
        results.append(_agreement(gate, measured, gate.agrees_with_training_within, found))
    if gate.not_worse_than_live_by is not None:
        results.append(_not_worse(gate, measured, gate.not_worse_than_live_by, found))
    return results


def _agreement(gate: EvaluationGate, measured: Measured, within: float, found: str) -> GateResult:
    name, recorded = f"{gate.metric} agrees with training", measured.recorded
    key = gate.recorded_as or gate.metric
    if recorded is None:
        expected = f"within {_told(within)} of what training recorded as {key}"
        return GateResult(name, expected, f"{found}, and no record of {key}", False)
    expected = f"within {_told(within)} of {_told(recorded)}, recorded by training as {key}"
    return GateResult(name, expected, found, abs(measured.value - recorded) <= within + _SLACK)


def _not_worse(gate: EvaluationGate, measured: Measured, by: float, found: str) -> GateResult:
    name, live = f"{gate.metric} not worse than live", measured.live
    if live is None or math.isnan(live):
        words = measured.live_words or "the live version's value is no number"
        return GateResult(name, f"not worse by more than {_told(by)}", f"{found}; {words}", True)
    expected = f"not worse by more than {_told(by)} than the live version's {_told(live)}"
    loss = live - measured.value if gate.more_is_better else measured.value - live
    return GateResult(name, expected, found, loss <= by + _SLACK)


def requirement_results(compared: Sequence[Compared]) -> list[GateResult]:
    """Judge the requirements: one row for each that differs, and one for all that do not."""
    results = [
        GateResult(
            f"requirement {one.name}", one.logged, f"{one.found} ({_SIZES[one.size]})", one.passed
        )
        for one in compared
        if one.size is not Size.SAME
    ]
    same = sum(one.size is Size.SAME for one in compared)
    expected = f"{len(compared)} requirements as the model logged them"
    found = f"{same} alike, {len(results)} different"
    return [GateResult("requirements", expected, found, True), *results]


_SIZES: Final = {
    Size.SAME: "alike",
    Size.PATCH: "another patch",
    Size.MINOR: "another minor version",
    Size.MAJOR: "another major version, or outside what was logged",
    Size.MISSING: "missing",
}


def _told(number: float) -> str:
    return f"{number:.6g}"
