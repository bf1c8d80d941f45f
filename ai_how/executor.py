"""The executor of every run: all steps in the run's own process, which names itself first.

A delivery is a chain, so a process per step would only cost its start. The tag lets
`sensors.dead_runs` tell a run that works from one whose process was killed.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor

from platform_assets.keys import PROCESS_TAG
from sensors.run_process import process_tag

if TYPE_CHECKING:
    from dagster._core.execution.context.system import PlanOrchestrationContext
    from dagster._core.execution.plan.plan import ExecutionPlan


class IdentifiedInProcessExecutor(InProcessExecutor):
    """Dagster's in-process executor; its run carries the identity of the executing process."""

    def execute(
        self, plan_context: "PlanOrchestrationContext", execution_plan: "ExecutionPlan"
    ) -> Iterator[dg.DagsterEvent]:
        """Name this process on the run, then execute the steps in it."""
        run_id = plan_context.dagster_run.run_id
        plan_context.instance.add_run_tags(run_id, {PROCESS_TAG: process_tag(run_id)})
        yield from super().execute(plan_context, execution_plan)


@dg.executor(name="in_process_with_identity")
def in_process_with_identity(_context: dg.InitExecutorContext) -> IdentifiedInProcessExecutor:
    """Execute all steps in one process, tagged with its identity."""
    return IdentifiedInProcessExecutor(retries=RetryMode.ENABLED)
