"""`ai-how endpoint`: what is served now, and a person's word on what shall be.

`list` and `show` ask the model server and compare with the ledger. Exit codes: 0 everything agrees,
1 something differs, 2 the server or the ledger cannot be asked. The other commands submit a Dagster
run and wait for it: 0 it was done, 1 it was refused or failed, 2 Dagster cannot be asked.
"""

import getpass
import json
import os
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from platform_assets.spec.applied import read_applied, state_dir
from platform_assets.spec.errors import AiHowError
from platform_assets.spec.serving import read_serving

if TYPE_CHECKING:
    from platform_assets.serving.live_endpoints import LiveEndpoint

app = typer.Typer(no_args_is_help=True, help="What is served, and what people decide about it.")

WIDTH = 100
_DIGEST_SHOWN = 12

By = Annotated[
    str | None, typer.Option("--by", help="Who asks for it; absent: the user who runs this.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a machine.")]


class EndpointUnknown(AiHowError):
    """No endpoint has this name, neither declared nor deployed nor served."""


@app.command("list")
def list_endpoints(as_json: AsJson = False) -> None:
    """Show every endpoint: what the server says it serves, and whether the ledger agrees."""
    observed = _observed()
    if as_json:
        typer.echo(json.dumps([one.as_json() for one in observed], indent=2))
    elif observed:
        Console(width=WIDTH).print(_table(observed))
    else:
        typer.echo("no endpoint is declared and none was deployed")
    if not all(one.agrees for one in observed):
        raise typer.Exit(1)


@app.command()
def show(name: str, as_json: AsJson = False) -> None:
    """Show one endpoint: its URL, its version, the digest that the server tells, since when."""
    observed = _observed()
    found = next((one for one in observed if one.endpoint == name), None)
    if found is None:
        known = ", ".join(one.endpoint for one in observed) or "none"
        message = f"endpoint {name!r}: no such endpoint; known are: {known}"
        raise EndpointUnknown(message)
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2))
    else:
        Console(width=WIDTH).print(_details(found))
    if not found.agrees:
        raise typer.Exit(1)


@app.command()
def rollback(
    name: str,
    reason: Annotated[str, typer.Option("--reason", help="Why; recorded with the rollback.")],
    to: Annotated[
        str | None, typer.Option("--to", help="A version; absent: the one that served before.")
    ] = None,
    by: By = None,
) -> None:
    """Put a version that served before in the place of the one that serves now.

    Its bytes are verified again first. What was taken away, and anything sealed before it, is not
    promoted again by itself; a checkpoint sealed later is.
    """
    values = {"reason": reason, "by": _person(by)} | ({} if to is None else {"to": to})
    _submit("rollback_endpoint", name, values)


@app.command()
def pause(
    name: str,
    reason: Annotated[str, typer.Option("--reason", help="Why; recorded with the pause.")] = "",
    by: By = None,
) -> None:
    """Let no sensor move an endpoint until it is resumed; it goes on answering."""
    _submit("pause_endpoint", name, {"reason": reason, "by": _person(by)})


@app.command()
def resume(name: str, by: By = None) -> None:
    """Let sensors move an endpoint again, and deploy what became due, or say that nothing did."""
    _submit("resume_endpoint", name, {"by": _person(by)})


@app.command()
def approve(
    name: str,
    version: Annotated[str, typer.Option("--version", help="The version's number in MLflow.")],
    by: By = None,
) -> None:
    """Approve a version where the serving file asks for that, and deploy it if it is due."""
    _submit("approve_version", name, {"version": version, "by": _person(by)})


@app.command()
def delete(
    name: str,
    confirm: Annotated[str, typer.Option("--confirm", help="The endpoint's name.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; recorded.")] = "",
    by: By = None,
) -> None:
    """Unload an endpoint and remove its files; versions, copies and facts stay."""
    values = {"confirm": confirm, "reason": reason, "by": _person(by)}
    _submit("delete_endpoint", name, values)


def _person(by: str | None) -> str:
    """Return who asks: the name that was given, else the user of this process."""
    if by is not None and by.strip():
        return by.strip()
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user id in the system's list
        return f"uid-{os.getuid()}"


def _submit(job: str, name: str, values: dict[str, str]) -> None:
    from ai_how.runs import intervene

    raise typer.Exit(intervene(job, name, values))


def _observed() -> "list[LiveEndpoint]":
    from ai_how.build import connections
    from platform_assets.serving.live_endpoints import observe_live

    platform = connections(read_applied(state_dir()))
    declared = read_serving(platform.estate.serving_file).models.values()
    return observe_live(platform.provider, platform.ledger, {one.endpoint for one in declared})


def _table(observed: "list[LiveEndpoint]") -> Table:
    table = Table("Endpoint", "Version", "Digest served", "Since", "Agrees", "Reason")
    for one in observed:
        table.add_row(
            one.endpoint,
            one.version or "-",
            _shown(one.served_digest)[:_DIGEST_SHOWN],
            (one.since or "-")[:19],
            "yes" if one.agrees else "[red]NO[/red]",
            escape("; ".join((one.reason, *one.notes))),
        )
    return table


def _details(one: "LiveEndpoint") -> Table:
    table = Table(show_header=False, box=None)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    rows = {
        "endpoint": one.endpoint,
        "URL": one.url,
        "model": one.model or "-",
        "version": one.version or "-",
        "checkpoint": one.checkpoint or "-",
        "since": one.since or "-",
        "digest served": _shown(one.served_digest),
        "digest expected": one.expected_digest or "-",
        "agrees": "yes" if one.agrees else "[red]NO[/red]",
        "reason": escape(one.reason),
        **{f"note {n}": escape(note) for n, note in enumerate(one.notes, 1)},
    }
    for label, value in rows.items():
        table.add_row(label, value)
    return table


def _shown(digest: str | None) -> str:
    return "-" if digest is None else digest or "tells none"
