"""The capacity plan as an asset: what the declared machines want of the host, and what is left.

What is counted, and how, stands in `spec/capacity.py`; tables for a terminal in `ai_how/cli`.
"""

import dagster as dg

from platform_assets import keys
from platform_assets.infrastructure.grounds import capacity_of, file_grounds
from platform_assets.infrastructure.sound_part import refuse_unsound_part
from platform_assets.spec.applied import AppliedEstate
from platform_assets.spec.capacity import (
    CapacityPlan,
    Resource,
    Share,
    as_json,
    capacity_plan,
    number,
)
from resources.host import Host

LOGIC_VERSION = "1"
CHECK_NAME = "fits"
# What of the estate decides the plan.
MACHINES = (
    ("clusters", "hpc", "controller"),
    ("clusters", "hpc", "compute_nodes"),
    ("clusters", "cloud", "control_plane"),
    ("clusters", "cloud", "workers"),
)
PARTS = (("mode",), ("host",), ("gpus",), *MACHINES)


def plan_markdown(plan: CapacityPlan) -> str:
    """Return the plan as Markdown: what is left in each scope, and each machine."""
    if not plan.machines:
        return "No machines are declared."
    left = [
        [scope.name if scope.judged else f"*{scope.name}*", *map(_cell, scope.shares)]
        for scope in plan.scopes
    ]
    machines = [
        [each.cluster, each.name, each.role, *(number(each.wants[one]) for one in Resource)]
        for each in plan.machines
    ]
    headings = [f"{one}, {one.unit}" if one.unit else str(one) for one in Resource]
    there = ["?" if each.available is None else number(each.available) for each in plan.host]
    return "\n\n".join(
        [
            f"Mode {plan.mode}: {_verdict(plan.fits)}. Scopes in italics belong to the other mode.",
            _table(["running", *headings], [["*for machines*", *there], *left]),
            _table(["cluster", "machine", "role", *headings], machines),
        ]
    )


def _cell(share: Share) -> str:
    if share.left is None:
        return f"{number(share.wanted)} of ?"
    if share.left < 0:
        much = "much" if share.resource.unit else "many"
        return f"{number(share.wanted)}: **{number(-share.left)} too {much}**"
    return f"{number(share.wanted)}, {number(share.left)} left"


def _verdict(fits: bool | None) -> str:
    if fits is None:
        return "cannot tell whether it fits"
    return "it fits" if fits else "**it does not fit**"


def _table(headings: list[str], rows: list[list[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plan_result(plan: CapacityPlan) -> dg.MaterializeResult[None]:
    """Return what a materialization shows a person; the check fails where it does not fit."""
    unknown = plan.fits is None
    return dg.MaterializeResult(
        metadata={
            "plan": dg.MetadataValue.md(plan_markdown(plan)),
            "figures": dg.MetadataValue.json(as_json(plan)),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name=CHECK_NAME,
                passed=plan.fits is True,
                severity=dg.AssetCheckSeverity.WARN if unknown else dg.AssetCheckSeverity.ERROR,
                description=_verdict(plan.fits).strip("*"),
            )
        ],
    )


def capacity_plan_of(applied: AppliedEstate) -> dg.AssetsDefinition:
    """Return the asset of the applied estate's plan, out of date when another one was applied."""

    @dg.asset(
        key=keys.CAPACITY_PLAN,
        group_name="infrastructure",
        kinds={"linux"},
        owners=[keys.OWNER],
        deps=[keys.ESTATE, keys.HOST_FACTS],
        code_version=f"{LOGIC_VERSION}-{applied.part_digest(*PARTS)}",
        check_specs=[
            dg.AssetCheckSpec(
                CHECK_NAME,
                asset=keys.CAPACITY_PLAN,
                description="The host carries the machines that run at a time.",
            )
        ],
    )
    # Dagster takes the result with its type's parameter for one of several outputs.
    def capacity_plan_asset(
        host: dg.ResourceParam[Host],
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """What runs on the host, what is left of it, and what does not fit and by how much.

        For the HPC cluster alone, the cloud cluster alone, and both: cores, memory, disk, GPUs,
        with the estate's reserve and overcommit. Nothing is made; `ai-how plan capacity` shows the
        same of a file.
        """
        # Judged without the host: what it lacks is what the plan is asked for.
        judged_by = file_grounds(applied.estate)
        refuse_unsound_part(applied, judged_by, MACHINES, told_elsewhere={"host-capacity"})
        return plan_result(capacity_plan(applied.estate, capacity_of(host.hardware())))

    return capacity_plan_asset
