"""The jobs by which people intervene: one run per request, so that it stands among all others.

`ai-how endpoint ...` submits them; from Dagster's launchpad they can be started too, and then
nobody knows who did. What each of them does stands in the module named after it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import dagster as dg

from platform_assets import keys
from platform_assets.lineage.interventions import UNKNOWN
from platform_assets.models.partition import RETRY, only_transient_errors_retry
from platform_assets.models.trained_checkpoint import DATA_VERSION_TAG
from platform_assets.serving.alias_move import follow_alias
from platform_assets.serving.approval import approve
from platform_assets.serving.endpoint import Serving, delivered_metadata
from platform_assets.serving.intervention import Done, Intervention
from platform_assets.serving.pause import pause, resume
from platform_assets.serving.rollback import roll_back
from platform_assets.serving.withdrawal import delete

ROLLBACK: Final = "rollback_endpoint"
PAUSE: Final = "pause_endpoint"
RESUME: Final = "resume_endpoint"
DELETE: Final = "delete_endpoint"
APPROVE: Final = "approve_version"
PROMOTE: Final = "promote_version"

Values = Mapping[str, Any]
_RESOURCES = {"estate", "provider", "mlflow", "ledger"}
_ENDPOINT = {"endpoint": dg.Field(str, description="The endpoint's name.")}
_BY = {"by": dg.Field(str, default_value=UNKNOWN, description="Who asks for it.")}
_REASON = {"reason": dg.Field(str, default_value="", description="Why, in a person's words.")}


def step_name(job: str) -> str:
    """Return the name of the job's only step, under which its configuration stands."""
    return f"{job}_step"


def run_config(job: str, values: Values) -> dict[str, Any]:
    """Return the configuration of a run of `job`."""
    return {"ops": {step_name(job): {"config": dict(values)}}}


def _asked(context: dg.OpExecutionContext) -> Intervention:
    resources, run = context.resources, context.run
    return Intervention(
        serving=Serving(resources.provider, resources.mlflow, resources.ledger),
        serving_file=resources.estate.serving_file,
        request=run.root_run_id or run.run_id,
        by=str(context.op_config.get("by", UNKNOWN)),
        dagster_run=run.run_id,
        progress=context.log.info,
    )


def _tell(context: dg.OpExecutionContext, done: Done) -> None:
    """Leave what was done in the event log: of the endpoint's checkpoint, or of what is live."""
    context.log.info(done.sentence)
    delivered = done.delivered
    if delivered is None:
        seen = dg.AssetObservation(keys.LIVE_ENDPOINTS, description=done.sentence)
        context.log_event(seen)
        return
    context.log_event(
        dg.AssetMaterialization(
            keys.ENDPOINT,
            description=done.sentence,
            partition=delivered.candidate.checkpoint,
            metadata=delivered_metadata(delivered, context.resources.mlflow),
            tags={DATA_VERSION_TAG: delivered.candidate.tree_digest},
        )
    )


def _job(
    name: str, description: str, schema: Values, act: Callable[[Intervention, Values], Done]
) -> dg.JobDefinition:
    @dg.op(
        name=step_name(name),
        description=description,
        config_schema=dict(schema),
        required_resource_keys=_RESOURCES,
        retry_policy=RETRY,
        out=dg.Out(dg.Nothing),
    )
    def step(context: dg.OpExecutionContext) -> None:
        with only_transient_errors_retry():
            done = act(_asked(context), context.op_config)
        _tell(context, done)

    @dg.job(name=name, description=description)
    def job() -> None:
        step()

    return job


def _promote(asked: Intervention, values: Values) -> Done:
    entry = asked.declared(values["endpoint"])
    with asked.alone(entry.endpoint):
        return follow_alias(asked, entry)


rollback_endpoint = _job(
    ROLLBACK,
    "Puts a version that served before in the place of the one that serves, and records why.",
    _ENDPOINT
    | {
        "to": dg.Field(str, is_required=False, description="The version; absent: the one before."),
        "reason": dg.Field(str, description="Why, in a person's words."),
    }
    | _BY,
    lambda asked, values: roll_back(asked, values["endpoint"], values.get("to"), values["reason"]),
)
pause_endpoint = _job(
    PAUSE,
    "Lets no sensor move an endpoint until it is resumed; what it serves goes on.",
    _ENDPOINT | _REASON | _BY,
    lambda asked, values: pause(asked, values["endpoint"], values["reason"]),
)
resume_endpoint = _job(
    RESUME,
    "Lets sensors move a paused endpoint again, and deploys what is due.",
    _ENDPOINT | _BY,
    lambda asked, values: resume(asked, values["endpoint"]),
)
delete_endpoint = _job(
    DELETE,
    "Unloads an endpoint and removes its files and its alias; versions, copies and facts stay.",
    _ENDPOINT
    | {"confirm": dg.Field(str, description="The endpoint's name once more.")}
    | _REASON
    | _BY,
    lambda asked, values: delete(asked, values["endpoint"], values["confirm"], values["reason"]),
)
approve_version = _job(
    APPROVE,
    "Records that a person approves a version, and deploys it if it is due.",
    _ENDPOINT | {"version": dg.Field(str, description="The version's number in MLflow.")} | _BY,
    lambda asked, values: approve(asked, values["endpoint"], values["version"]),
)
promote_version = _job(
    PROMOTE,
    "Deploys the version that a person's alias means, or says why it cannot be deployed.",
    _ENDPOINT,
    _promote,
)
JOBS: Final = [
    rollback_endpoint,
    pause_endpoint,
    resume_endpoint,
    delete_endpoint,
    approve_version,
    promote_version,
]
