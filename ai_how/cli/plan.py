"""`ai-how plan`: what an estate comes to before anything of it is made."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from platform_assets.spec.errors import AiHowError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from platform_assets.spec.capacity import CapacityPlan, Resource, Share
    from platform_assets.spec.findings import Finding

DOES_NOT_FIT = 1
CANNOT_TELL = 2
_VERDICTS: dict[bool | None, str] = {True: "[green]fits[/]", None: "[magenta]cannot tell[/]"}
_SOURCES = {"estate": "the estate", "host": "this machine", "": "[magenta]nobody[/]"}


class EstateNotWhole(AiHowError):
    """The estate has mistakes, so a plan would leave out what they hide."""

    def __init__(self, file: str, wrong: "Sequence[Finding]") -> None:
        """Tell each mistake with its line."""
        from platform_assets.infrastructure.estate_file import in_one_line

        told = [f"  {in_one_line(each)}" for each in wrong]
        super().__init__("\n".join([f"{file}: mend it first, then plan", *told]))


app = typer.Typer(no_args_is_help=True, help="See what an estate comes to, before it is made.")


@app.callback()
def _group() -> None:
    """Keep `capacity` a command of its own, beside those to come."""


@app.command()
def capacity(
    file: Annotated[
        Path | None,
        typer.Argument(help="The estate; default: AI_HOW_CONFIG, or config/clusters/local.yaml."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a machine.")] = False,
) -> int:
    """Show what runs where, what is left of the host, and what does not fit and by how much.

    For the HPC cluster alone, the cloud cluster alone, and both. Changes nothing.

    Exit codes: 0 it fits, 1 it does not, 2 cannot tell.
    """
    from ai_how.estate_file import estate_file
    from platform_assets.infrastructure.estate_file import load_estate_file
    from platform_assets.infrastructure.grounds import host_grounds
    from platform_assets.spec.capacity import as_json as plan_as_json
    from platform_assets.spec.capacity import capacity_plan
    from platform_assets.spec.findings import errors
    from platform_assets.spec.rules.host import host_capacity
    from resources.host import Host

    loaded = load_estate_file(file or estate_file(), os.environ)
    wrong = errors(loaded.findings)
    if loaded.estate is None or wrong:
        raise EstateNotWhole(loaded.file, wrong)
    grounds = host_grounds(loaded.estate, Host())
    plan = capacity_plan(loaded.estate, grounds.capacity)
    told = loaded.located(host_capacity(loaded.estate, grounds))
    if as_json:
        findings = [asdict(one) for one in told]
        document = {"schema": "capacity-plan/1", **plan_as_json(plan), "findings": findings}
        typer.echo(json.dumps(document, indent=2))
    else:
        show(plan, told, Console(highlight=False))
    return status(plan)


def status(plan: "CapacityPlan") -> int:
    """Return the exit code."""
    if plan.fits is None:
        return CANNOT_TELL
    return 0 if plan.fits else DOES_NOT_FIT


def show(plan: "CapacityPlan", told: "Sequence[Finding]", console: Console) -> None:
    """Print the machines, the host, what is left of it in each scope, and what to do."""
    if not plan.machines:
        console.print("no machines are declared: the host has all of itself to itself")
        return
    for title, table in (
        ("Machines", _machines(plan)),
        ("The host", _host(plan)),
        ("What is left", _scopes(plan)),
    ):
        console.print(title, style="bold")
        console.print(table)
        console.print()
    how = "in turns" if plan.mode == "sequential" else "at the same time"
    many = len({each.cluster for each in plan.machines}) > 1
    runs = f"clusters run {how} (mode: {plan.mode})" if many else "one cluster runs"
    verdict = "[red]it does not fit[/]" if plan.fits is False else _VERDICTS[plan.fits]
    console.print(f"{runs}: {verdict}")
    if told:
        console.print("\nWhat to do", style="bold")
        for one in told:
            where = f"  [dim]({one.file}:{one.line})[/]" if one.line else ""
            console.print(f"{escape(one.message)}", style="red" if one.severity == "error" else "")
            console.print(f"  {escape(one.remedy)}{where}")


def _machines(plan: "CapacityPlan") -> Table:
    from platform_assets.spec.capacity import Resource, number

    table = _table("Cluster", "Machine", "Role", *map(_heading, Resource), left=3)
    for each in plan.machines:
        wants = [number(each.wants[resource]) for resource in Resource]
        table.add_row(each.cluster, escape(each.name), each.role, *wants)
    return table


def _host(plan: "CapacityPlan") -> Table:
    from platform_assets.spec.capacity import number

    table = _table("Resource", "There is", "Kept", "Overcommit", "For machines", "Known from")
    for each in plan.host:
        unknown = each.total is None or each.available is None
        table.add_row(
            _heading(each.resource),
            "?" if each.total is None else number(each.total),
            number(each.reserve),
            number(each.overcommit),
            "?" if unknown else number(each.available or 0),
            _SOURCES[each.source],
        )
    return table


def _scopes(plan: "CapacityPlan") -> Table:
    from platform_assets.spec.capacity import number

    table = _table("Running", "Resource", "Wanted", "For machines", "Left", "Verdict", left=2)
    for scope in plan.scopes:
        running = [scope.name] if scope.judged else [scope.name, "(the other mode)"]
        for index, share in enumerate(scope.shares):
            table.add_row(
                running[index] if index < len(running) else "",
                _heading(share.resource),
                number(share.wanted),
                "?" if share.available is None else number(share.available),
                "?" if share.left is None else number(share.left),
                _verdict(share),
                end_section=share is scope.shares[-1],
                style="" if scope.judged else "dim",
            )
    return table


def _verdict(share: "Share") -> str:
    from platform_assets.spec.capacity import number

    if share.fits is not False or share.left is None:
        return _VERDICTS[share.fits]
    return f"[red]{number(-share.left)} too {'much' if share.resource.unit else 'many'}[/]"


def _heading(resource: "Resource") -> str:
    return f"{resource}, {resource.unit}" if resource.unit else str(resource)


def _table(*columns: str, left: int = 1) -> Table:
    """Return a table whose first `left` columns are words and whose others are numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        words = index < left or column in {"Verdict", "Known from"}
        table.add_column(column, justify="left" if words else "right", overflow="fold")
    return table
