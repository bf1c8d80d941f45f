"""Runs asked for from the command line: submitted to the running webserver, waited for, told.

A command that changes models or machines goes this way, so that what it did stands among all other
runs. Speaks Dagster's GraphQL (`launchRun`, `runsOrError`) over HTTP.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from platform_assets.keys import CHECKPOINT_TAG, ENDPOINT_TAG
from platform_assets.serving.delivery_job import JOB_NAME, attempt_of, delivery_tags
from platform_assets.spec.applied import AppliedEstate, read_applied, state_dir
from platform_assets.spec.errors import AiHowError
from platform_assets.spec.serving import read_serving

LOCATION = "platform"
REPOSITORY = "__repository__"
SUCCEEDED, FOUND, CANNOT_TELL = 0, 1, 2
_ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
_TIMEOUT_S = 20.0
_POLL_S = 0.5

_RUNS = """
query Runs($filter: RunsFilter!) {
  runsOrError(filter: $filter, limit: 100) {
    __typename
    ... on Runs { results {
      runId status tags { key value } stepStats { stepKey status }
    } }
    ... on PythonError { message }
  }
}"""
_LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on Error { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}"""
_FAILURES = """
query Failures($run: ID!) {
  logsForRun(runId: $run, limit: 1000) {
    ... on EventConnection { events {
      __typename
      ... on ExecutionStepFailureEvent {
        stepKey error { message causes { message } } failureMetadata { description }
      }
      ... on RunFailureEvent { message }
    } }
  }
}"""


_OUTCOMES = """
query Outcomes($run: ID!) {
  logsForRun(runId: $run, limit: 1000) {
    ... on EventConnection { events {
      __typename
      ... on MaterializationEvent { description }
      ... on ObservationEvent { description }
    } }
  }
}"""


class DagsterUnreachable(AiHowError):
    """The webserver does not answer, or not as Dagster does."""


class RunRefused(AiHowError):
    """Dagster did not take the run."""


class CheckpointUnknown(AiHowError):
    """No run for this checkpoint was ever asked for."""


@dataclass(frozen=True)
class Run:
    """A run as Dagster tells it."""

    run_id: str
    status: str
    tags: dict[str, str]
    steps: dict[str, str]

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen in this run."""
        return self.status in _ENDED


@dataclass(frozen=True)
class Dagster:
    """The webserver of a running platform."""

    url: str

    def ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Return the data that answer `query`.

        Raises:
            DagsterUnreachable: no answer, or one that holds no data.
        """
        remedy = "run `ai-how status`, and `ai-how up` if it is down"
        try:
            response = httpx.post(
                f"{self.url}/graphql",
                json={"query": query, "variables": variables},
                timeout=_TIMEOUT_S,
                trust_env=False,
            )
            answer = response.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            message = f"{self.url}: Dagster's webserver does not answer: {error}; {remedy}"
            raise DagsterUnreachable(message) from error
        if not answer.get("data"):
            message = f"{self.url}: Dagster refused the question: {answer.get('errors')}; {remedy}"
            raise DagsterUnreachable(message)
        data: dict[str, Any] = answer["data"]
        return data

    def runs(self, filters: dict[str, Any]) -> list[Run]:
        """Return the newest runs that `filters` names, newest first."""
        found = self.ask(_RUNS, {"filter": filters})["runsOrError"]
        if found["__typename"] != "Runs":
            message = f"{self.url}: Dagster cannot list runs: {found.get('message')}"
            raise DagsterUnreachable(message)
        return [
            Run(
                run_id=one["runId"],
                status=one["status"],
                tags={tag["key"]: tag["value"] for tag in one["tags"]},
                steps={step["stepKey"]: step["status"] or "" for step in one["stepStats"]},
            )
            for one in found["results"]
        ]

    def launch(self, job: str, tags: dict[str, str], config: dict[str, Any] | None = None) -> str:
        """Submit a run of `job` with `tags` and `config` and return its id.

        Raises:
            RunRefused: says why Dagster did not take it.
        """
        params = {
            "selector": {
                "repositoryLocationName": LOCATION,
                "repositoryName": REPOSITORY,
                "jobName": job,
            },
            "runConfigData": config or {},
            "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in tags.items()]},
        }
        answer = self.ask(_LAUNCH, {"params": params})["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            why = answer.get("message") or "; ".join(e["message"] for e in answer.get("errors", []))
            message = f"Dagster did not take a run of {job}: {answer['__typename']}: {why}"
            raise RunRefused(message)
        return str(answer["run"]["runId"])

    def failures(self, run_id: str) -> list[str]:
        """Return what the failed steps of a run say, or what the run itself says."""
        events = self.ask(_FAILURES, {"run": run_id})["logsForRun"].get("events", [])
        steps, whole = [], []
        for event in events:
            if event["__typename"] == "ExecutionStepFailureEvent":
                steps.append(f"{event['stepKey']}: {_cause(event)}")
            elif event["__typename"] == "RunFailureEvent":
                whole.append(str(event["message"]))
        return steps or whole

    def outcomes(self, run_id: str) -> list[str]:
        """Return what a run that succeeded says of what it did, in sentences."""
        events = self.ask(_OUTCOMES, {"run": run_id})["logsForRun"].get("events", [])
        return [str(event["description"]) for event in events if event.get("description")]

    def wait(self, run_id: str, told: Callable[[Run], None]) -> Run:
        """Wait until the run is over; `told` hears of it at every look."""
        while True:
            runs = self.runs({"runIds": [run_id]})
            if not runs:
                message = f"run {run_id} is not known to Dagster any more; someone deleted it"
                raise RunRefused(message)
            told(runs[0])
            if runs[0].is_over:
                return runs[0]
            time.sleep(_POLL_S)


def _cause(event: dict[str, Any]) -> str:
    declared = (event.get("failureMetadata") or {}).get("description")
    error = event.get("error") or {}
    causes = [c["message"] for c in error.get("causes") or []]
    return str(declared or (causes or [error.get("message", "")])[0]).strip()


def wait_and_tell(dagster: Dagster, run_id: str, console: Console) -> int:
    """Show the steps of a run until it is over; return the exit code of its end."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(f"run {run_id}: waiting for its turn", total=None)

        def show(run: Run) -> None:
            steps = ", ".join(f"{k} {v.lower()}" for k, v in run.steps.items() if v)
            progress.update(task, description=f"run {run_id[:8]} {run.status.lower()}: {steps}")

        run = dagster.wait(run_id, show)
    console.print(f"run {run_id} ended {run.status.lower()}  {dagster.url}/runs/{run_id}")
    if run.status == "SUCCESS":
        for outcome in dagster.outcomes(run_id):
            console.print(outcome, markup=False)
        return SUCCEEDED
    for failure in dagster.failures(run_id) if run.status == "FAILURE" else []:
        console.print(failure, markup=False)
    return FOUND


def intervene(job: str, endpoint: str, values: dict[str, Any]) -> int:
    """Submit a run of an intervention's `job`, wait for it, tell what it did; return the exit code.

    Raises:
        DagsterUnreachable, RunRefused: the platform is down, or did not take the run.
    """
    from platform_assets.serving.intervention_jobs import run_config

    applied = read_applied(state_dir())
    console = Console(soft_wrap=True)
    dagster = Dagster(applied.addresses.dagster_url)
    config = run_config(job, {"endpoint": endpoint, **values})
    run_id = dagster.launch(job, {ENDPOINT_TAG: endpoint}, config)
    return wait_and_tell(dagster, run_id, console)


def request_retry(key: str, applied: AppliedEstate | None = None) -> int:
    """Deliver checkpoint `key` once more and wait for it; return the exit code.

    A delivery that is still going on is waited for instead: there is nothing to try again.

    Raises:
        CheckpointUnknown: no run was ever asked for; the sensor has not taken this checkpoint.
        DagsterUnreachable, RunRefused: the platform is down, or did not take the run.
    """
    applied = applied or read_applied(state_dir())
    console = Console(soft_wrap=True)
    dagster = Dagster(applied.addresses.dagster_url)
    before = dagster.runs({"tags": [{"key": CHECKPOINT_TAG, "value": key}]})
    if not before:
        message = (
            f"checkpoint {key}: expected one that was taken before, found no run for it; "
            "`ai-how checkpoint list` shows every checkpoint and why it is not taken"
        )
        raise CheckpointUnknown(message)
    going_on = [run for run in before if not run.is_over]
    if going_on:
        console.print(f"checkpoint {key} is being delivered by run {going_on[0].run_id}")
        return wait_and_tell(dagster, going_on[0].run_id, console)
    attempt = max(attempt_of(run.tags) for run in before) + 1
    served = read_serving(applied.serving_file).for_model(key.partition(".")[0])
    tags = delivery_tags(key, attempt, served.endpoint if served else None)
    run_id = dagster.launch(JOB_NAME, tags | {"dagster/partition": key})
    console.print(f"checkpoint {key}: attempt {attempt} is run {run_id}")
    return wait_and_tell(dagster, run_id, console)
