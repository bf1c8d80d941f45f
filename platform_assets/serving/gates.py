"""The gates: a candidate that is loaded beside the live version is tried before it may serve.

Every request has a time limit and goes to the candidate, one after another; the live version is
asked only where the gates compare with it. All gates are tried, so that the report is whole; one
that is lost for certain is ended early. What passes stands in `gate_verdicts.py`, the rows that
are sent in `evaluation_set.py`. A server that goes away in between proves nothing about the model.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from platform_assets.serving.evaluation_metrics import metric_value
from platform_assets.serving.evaluation_request import (
    DoesNotFit,
    answered_rows,
    comes_out,
    inference_request,
    takes_batches,
)
from platform_assets.serving.evaluation_set import EvaluationSet, Row, read_evaluation_set
from platform_assets.serving.gate_report import GateReport, GateResult
from platform_assets.serving.gate_verdicts import (
    Answer,
    Measured,
    evaluation_results,
    is_lost,
    load_results,
    requirement_results,
    smoke_result,
)
from platform_assets.serving.provider import Answering
from platform_assets.serving.requirements import (
    RequirementsUnreadable,
    compared_requirements,
    installed_distributions,
    logged_requirements,
)
from platform_assets.serving.smoke_request import smoke_request
from platform_assets.spec.gates import EvaluationGate, Gates, LoadGate, RequirementsGate, SmokeGate
from resources.model_server import (
    ModelNotFound,
    ModelServerRefused,
    ModelServerTimedOut,
    ModelServerUnavailable,
)

BATCH: Final = 64
LOAD_LIMIT_S: Final = 300.0
_UNANSWERED: Final = 3  # after so many a model is taken to be silent


@dataclass(frozen=True)
class GatePlan:
    """Declared gates with the rows that they name."""

    gates: Gates
    smoke: EvaluationSet | None
    evaluation: EvaluationSet | None

    def declaration(self) -> str:
        """Return the SHA-256 of the declared gates, their defaults filled in."""
        text = json.dumps(self.gates.model_dump(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def files(self) -> dict[str, str]:
        """Return the SHA-256 of each file that the gates name."""
        return {found.file: found.sha256 for found in (self.smoke, self.evaluation) if found}


@dataclass(frozen=True)
class Tried:
    """A loaded candidate, its copy on this machine (None: there is none), training's metrics.

    `live` is what it is compared with, None where there is nothing to compare with.
    """

    candidate: Answering
    directory: Path | None
    recorded: Mapping[str, float]
    live: Answering | None


def gate_plan(gates: Gates, folder: Path) -> GatePlan:
    """Read the files that `gates` name, relative to `folder`, the serving file's.

    Raises:
        EvaluationSetRefused: one of them is missing, or is not what its format says.
    """
    smoke, evaluation = gates.smoke, gates.evaluation
    return GatePlan(
        gates,
        None if smoke is None else read_evaluation_set(folder, smoke.file),
        None if evaluation is None else read_evaluation_set(folder, evaluation.file),
    )


def run_gates(
    plan: GatePlan,
    tried: Tried,
    progress: Callable[[str], None] = lambda _: None,
) -> GateReport:
    """Try the candidate at every gate; the report says whether it may serve.

    Raises:
        ModelServerUnavailable: the server went away, or forgot the candidate: nothing is known.
    """
    begun = time.monotonic()
    results = _requirements(plan.gates.requirements, tried.directory)
    asker = _Asker(tried.candidate, plan.gates.timeout_s)
    if plan.gates.smoke is not None and plan.smoke is not None:
        results.append(_smoke(asker, plan.gates.smoke, plan.smoke.rows))
    if plan.gates.load is not None:
        results += _load(asker, plan.gates.load, plan.smoke or plan.evaluation)
    if plan.gates.evaluation is not None and plan.evaluation is not None:
        results += _evaluation(asker, plan.gates.evaluation, plan.evaluation.rows, tried)
    for result in results:
        progress(f"gate {'passed' if result.passed else 'FAILED'}: {result}")
    return GateReport(
        results=tuple(results),
        declaration=plan.declaration(),
        files=plan.files(),
        seconds=time.monotonic() - begun,
    )


@dataclass(frozen=True)
class _Asker:
    """Asks one model, and tells what is the model's fault from what is the server's."""

    asked: Answering
    timeout_s: float

    def metadata(self) -> dict[str, Any]:
        try:
            return self.asked.server.metadata(self.asked.name)
        except ModelNotFound as error:
            raise self._forgotten() from error

    def ask(self, request: Mapping[str, Any]) -> Answer:
        begun = time.monotonic()
        try:
            outputs = self.asked.server.infer(self.asked.name, request, timeout_s=self.timeout_s)
        except ModelNotFound as error:
            raise self._forgotten() from error
        except ModelServerTimedOut as late:
            if not self.asked.server.ready():
                raise
            return Answer(time.monotonic() - begun, None, str(late))
        except ModelServerRefused as refusal:
            return Answer(time.monotonic() - begun, None, str(refusal))
        return Answer(time.monotonic() - begun, outputs)

    def _forgotten(self) -> ModelServerUnavailable:
        message = (
            f"model {self.asked.name} at {self.asked.server.url} is gone while its gates are "
            "tried: the server was restarted; it is tried again"
        )
        return ModelServerUnavailable(message)


def _requirements(rules: RequirementsGate, directory: Path | None) -> list[GateResult]:
    if directory is None:
        found = "not asked: which packages the pods have is not known here"
        return [GateResult("requirements", "what MLflow logs with a model", found, passed=True)]
    try:
        logged = logged_requirements(directory)
    except RequirementsUnreadable as error:
        expected = "what MLflow logs with a model"
        return [GateResult("requirements", expected, str(error), passed=False)]
    return requirement_results(compared_requirements(logged, rules, installed_distributions()))


def _smoke(asker: _Asker, gate: SmokeGate, rows: Sequence[Row]) -> GateResult:
    metadata = asker.metadata()
    wrong: list[tuple[str, str]] = []
    unanswered = asked = 0
    for row in rows:
        asked += 1
        try:
            answer = asker.ask(inference_request([row], metadata))
            if answer.outputs is None:
                unanswered += 1
                wrong.append((row.name, str(answer.error)))
            else:
                (found,) = answered_rows(answer.outputs, 1)
                if not comes_out(row.expected, found, gate.tolerance):
                    wrong.append((row.name, f"expected {row.expected!r}, found {found!r}"))
        except DoesNotFit as misfit:
            wrong.append((row.name, str(misfit)))
        if unanswered == _UNANSWERED:
            break
    return smoke_result(gate, len(rows), asked, wrong)


def _load(asker: _Asker, gate: LoadGate, given: EvaluationSet | None) -> list[GateResult]:
    metadata = asker.metadata()
    try:
        if given is None:
            made = smoke_request(metadata)
            requests = [] if made is None else [made]
        else:
            requests = [inference_request([row], metadata) for row in given.rows[: gate.requests]]
    except DoesNotFit as misfit:
        return [GateResult("load", f"{gate.requests} requests", str(misfit), passed=False)]
    if not requests:
        found = (
            "the signature does not tell a harmless input; declare gates.smoke or gates.evaluation"
        )
        return [GateResult("load", f"{gate.requests} requests", found, passed=False)]
    begun = time.monotonic()
    answers: list[Answer] = []
    while len(answers) < gate.requests and time.monotonic() - begun < LOAD_LIMIT_S:
        answers.append(_with_outputs(asker.ask(requests[len(answers) % len(requests)])))
        if is_lost(gate, answers):
            break
    return load_results(gate, answers)


def _with_outputs(answer: Answer) -> Answer:
    """Count an answer that says nothing as an error."""
    if answer.outputs is None:
        return answer
    try:
        answered_rows(answer.outputs, 1)
    except DoesNotFit as misfit:
        return Answer(answer.seconds, None, str(misfit))
    return answer


def _evaluation(
    asker: _Asker, gate: EvaluationGate, rows: Sequence[Row], tried: Tried
) -> list[GateResult]:
    try:
        value = _metric(asker, gate, rows)
    except _NoValue as without:
        expected = f"a value on {len(rows)} rows of {gate.file}"
        return [GateResult(gate.metric, expected, str(without), passed=False)]
    live, words = None, "nothing of this model is live to compare with"
    if gate.not_worse_than_live_by is not None and tried.live is not None:
        try:
            live = _metric(_Asker(tried.live, asker.timeout_s), gate, rows)
        except _NoValue as without:
            words = f"the live version cannot be compared with: {without}"
    recorded = tried.recorded.get(gate.recorded_as or gate.metric)
    return evaluation_results(gate, Measured(value, len(rows), recorded, live, words))


class _NoValue(Exception):
    """The model gave no answer that the metric can be computed from."""


def _metric(asker: _Asker, gate: EvaluationGate, rows: Sequence[Row]) -> float:
    metadata = asker.metadata()
    found: list[Any] = []
    try:
        for batch in _batches(rows, BATCH if takes_batches(metadata) else 1):
            answer = asker.ask(inference_request(batch, metadata))
            if answer.outputs is None:
                raise _NoValue(f"{batch[0].name} to {batch[-1].name}: {answer.error}")
            found += answered_rows(answer.outputs, len(batch))
        return metric_value(gate.metric, [row.expected for row in rows], found)
    except DoesNotFit as misfit:
        raise _NoValue(str(misfit)) from misfit


def _batches(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
