"""`ai-how retention`: what the rules of the serving file let go, and its confirmed removal."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from platform_assets.spec.applied import read_applied, state_dir

if TYPE_CHECKING:
    from platform_assets.audits.retention import Stock
    from platform_assets.serving.retention import Plan

WIDTH = 100
_DIGEST_SHOWN = 12

app = typer.Typer(no_args_is_help=True, help="Old versions: what would go, and its removal.")


@app.command("list")
def show_plan(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a machine.")] = False,
) -> None:
    """Show what would be removed now, and why each rest stays. Removes nothing.

    Exit codes: 0 told, 2 what is in use cannot be told.
    """
    from platform_assets.audits.retention import current_plan

    plan = current_plan(_stock(), datetime.now(UTC))
    if as_json:
        typer.echo(json.dumps(_as_json(plan), indent=2))
        return
    console = Console(width=WIDTH, highlight=False)
    if not plan.removals:
        console.print("nothing would go")
    else:
        console.print(_going(plan))
    if plan.kept:
        console.print(_staying(plan))


@app.command("apply")
def remove(
    confirm: Annotated[str, typer.Option("--confirm", help="The estate's name.")],
) -> None:
    """Remove what `retention list` shows, in a run of the platform, and wait for it.

    Exit codes: 0 done, 1 the run failed, 2 it cannot be told.
    """
    from ai_how.build import connections
    from ai_how.runs import Dagster, wait_and_tell
    from platform_assets.audits.retention_job import JOB_NAME, OP_NAME, check_confirmed
    from platform_assets.lineage.facts import RETENTION

    applied = read_applied(state_dir())
    check_confirmed(applied, confirm)
    dagster = Dagster(applied.addresses.dagster_url)
    config = {"ops": {OP_NAME: {"config": {"confirm": confirm}}}}
    run_id = dagster.launch(JOB_NAME, {}, config)
    console = Console(soft_wrap=True)
    status = wait_and_tell(dagster, run_id, console)
    removed = [
        fact
        for fact in connections(applied).ledger.facts(RETENTION)
        if fact.body.get("dagster_run") == run_id
    ]
    for fact in removed:
        console.print(f"removed {fact.body['what']} {fact.subject}", markup=False)
    if status == 0 and not removed:
        console.print("nothing was removed")
    raise typer.Exit(status)


def _stock() -> "Stock":
    from ai_how.build import connections
    from platform_assets.audits.retention import Stock

    platform = connections(read_applied(state_dir()))
    return Stock(
        platform.reader_store,
        platform.mlflow,
        platform.provider,
        platform.ledger,
        platform.estate.serving_file,
    )


def _as_json(plan: "Plan") -> dict[str, object]:
    return {
        "schema": "retention-plan/1",
        "removals": [
            {
                "model": one.model,
                "versions": list(one.versions),
                "tree_digest": one.tree_digest,
                "copy": one.copy,
                "reason": one.reason,
            }
            for one in plan.removals
        ],
        "kept": [
            {
                "model": one.version.model,
                "version": one.version.version,
                "tree_digest": one.version.tree_digest,
                "since": one.version.since.isoformat(),
                "reasons": list(one.reasons),
            }
            for one in plan.kept
        ],
    }


def _going(plan: "Plan") -> Table:
    table = Table("Model", "Versions", "Digest", "Copy goes", "Why", title="Would go")
    for one in plan.removals:
        table.add_row(
            one.model,
            ", ".join(one.versions),
            one.tree_digest[:_DIGEST_SHOWN],
            "yes" if one.copy else "no",
            one.reason,
        )
    return table


def _staying(plan: "Plan") -> Table:
    table = Table("Model", "Version", "Digest", "Since", "Why", title="Stays")
    for one in plan.kept:
        version = one.version
        table.add_row(
            version.model,
            version.version,
            version.tree_digest[:_DIGEST_SHOWN],
            version.since.strftime("%Y-%m-%dT%H:%MZ"),
            "; ".join(one.reasons),
        )
    return table
