"""`ai-how endpoint`: what is served now, asked of the model server and compared with the ledger.

Exit codes: 0 everything agrees, 1 something differs, 2 the server or the ledger cannot be asked.
"""

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from platform_assets.spec.applied import read_applied, state_dir
from platform_assets.spec.errors import AiHowError
from platform_assets.spec.serving import read_serving

if TYPE_CHECKING:
    from platform_assets.serving.live_endpoints import LiveEndpoint

app = typer.Typer(no_args_is_help=True, help="What is served now, and which bytes.")

WIDTH = 100
_DIGEST_SHOWN = 12

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


def _observed() -> "list[LiveEndpoint]":
    from ai_how.build import connections
    from platform_assets.serving.live_endpoints import observe_live

    platform = connections(read_applied(state_dir()))
    declared = read_serving(platform.estate.serving_file).models.values()
    return observe_live(platform.model_server, platform.ledger, {one.endpoint for one in declared})


def _table(observed: "list[LiveEndpoint]") -> Table:
    table = Table("Endpoint", "Version", "Digest served", "Since", "Agrees", "Reason")
    for one in observed:
        table.add_row(
            one.endpoint,
            one.version or "-",
            _shown(one.served_digest)[:_DIGEST_SHOWN],
            (one.since or "-")[:19],
            "yes" if one.agrees else "[red]NO[/red]",
            one.reason,
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
        "reason": one.reason,
    }
    for label, value in rows.items():
        table.add_row(label, value)
    return table


def _shown(digest: str | None) -> str:
    return "-" if digest is None else digest or "tells none"
