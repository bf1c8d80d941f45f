"""Which runs are not over yet, so that a schedule asks for nothing twice."""

from typing import Final

import dagster as dg

NOT_OVER: Final = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def job_under_way(instance: dg.DagsterInstance, job_name: str) -> str | None:
    """Return the id of a run of a job that is not over yet, or None."""
    filters = dg.RunsFilter(job_name=job_name, statuses=NOT_OVER)
    runs = instance.get_runs(filters, limit=1)
    return runs[0].run_id if runs else None


def asset_under_way(instance: dg.DagsterInstance, key: dg.AssetKey) -> str | None:
    """Return the id of a run, of whatever job, that makes an asset and is not over yet, or None."""
    for run in instance.get_runs(dg.RunsFilter(statuses=NOT_OVER)):
        if key in (run.asset_selection or ()):
            return run.run_id
    return None
