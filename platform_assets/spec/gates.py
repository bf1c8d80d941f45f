"""What a candidate must pass before it serves: the key `gates` of a model in the serving file.

Only what is declared, and what is wrong about it. How a candidate is tried stands in
`platform_assets/serving/gates.py`, the format of the files named here in
`platform_assets/serving/evaluation_set.py`. Names of files are relative to the serving file.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from platform_assets.spec.paths import path_objection

Difference = Literal["minor", "major", "missing", "never"]
# A metric's name, and whether more of it is better.
METRICS: dict[str, bool] = {
    "accuracy": True,
    "balanced_accuracy": True,
    "f1_macro": True,
    "r2": True,
    "mean_absolute_error": False,
    "mean_squared_error": False,
    "root_mean_squared_error": False,
}
_FROZEN = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
Milliseconds = Annotated[float, Field(gt=0)]


def _file(value: str) -> str:
    objection = path_objection(value)
    if objection is not None:
        message = f"expected a file relative to the serving file's folder: {objection}"
        raise ValueError(f"{message}, found {value!a}")
    return value


class SmokeGate(BaseModel):
    """Requests whose answers are known: each row of `file` is asked alone and must come out."""

    model_config = _FROZEN

    file: str
    tolerance: float = Field(default=1e-6, ge=0, description="How far a number may be off.")

    @field_validator("file")
    @classmethod
    def _file_keeps_the_rule(cls, value: str) -> str:
        return _file(value)


class LoadGate(BaseModel):
    """How fast and how reliably the candidate answers `requests` requests, one after another."""

    model_config = _FROZEN

    requests: int = Field(default=50, ge=1, le=10_000)
    max_error_rate: float = Field(default=0.0, ge=0, lt=1)
    p50_ms: Milliseconds | None = None
    p95_ms: Milliseconds | None = None
    p99_ms: Milliseconds | None = None

    def bounds(self) -> dict[int, float]:
        """Return each bounded percentile with its bound in milliseconds."""
        declared = {50: self.p50_ms, 95: self.p95_ms, 99: self.p99_ms}
        return {percent: bound for percent, bound in declared.items() if bound is not None}


class EvaluationGate(BaseModel):
    """How good the candidate is on the rows of `file`, by one metric."""

    model_config = _FROZEN

    file: str
    metric: str
    recorded_as: str | None = Field(
        default=None, description="The metric's name in training's records; absent: the same."
    )
    minimum: float | None = None
    maximum: float | None = None
    agrees_with_training_within: float | None = Field(default=None, ge=0)
    not_worse_than_live_by: float | None = Field(default=None, ge=0)

    @field_validator("file")
    @classmethod
    def _file_keeps_the_rule(cls, value: str) -> str:
        return _file(value)

    @field_validator("metric")
    @classmethod
    def _metric_is_known(cls, value: str) -> str:
        if value not in METRICS:
            message = f"expected one of {', '.join(METRICS)}, found {value!r}"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _something_is_asked(self) -> "EvaluationGate":
        asked = (
            self.minimum,
            self.maximum,
            self.agrees_with_training_within,
            self.not_worse_than_live_by,
        )
        if all(bound is None for bound in asked):
            message = (
                "expected at least one of minimum, maximum, agrees_with_training_within, "
                "not_worse_than_live_by, found none: the gate would pass everything"
            )
            raise ValueError(message)
        return self

    @property
    def more_is_better(self) -> bool:
        """Whether a higher value of the metric is a better one."""
        return METRICS[self.metric]


class RequirementsGate(BaseModel):
    """From which difference on to what the server has a logged requirement fails.

    Below 1.0 the second number of a version counts as the major one.
    """

    model_config = _FROZEN

    library: Difference = Field(default="major", description="The library that loads the model.")
    python: Difference = "major"
    others: Difference = "missing"


class Gates(BaseModel):
    """Every gate of one model; those that are absent are not asked, requirements always are."""

    model_config = _FROZEN

    timeout_s: float = Field(default=10.0, gt=0, le=60, description="The limit of each request.")
    smoke: SmokeGate | None = None
    load: LoadGate | None = None
    evaluation: EvaluationGate | None = None
    requirements: RequirementsGate = RequirementsGate()

    def files(self) -> tuple[str, ...]:
        """Return the files of rows that the gates name."""
        return tuple(gate.file for gate in (self.smoke, self.evaluation) if gate is not None)
