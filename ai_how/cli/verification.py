"""`ai-how lineage endpoint NAME --verify`, as a person sees it: progress, the hops, differences."""

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from platform_assets.audits.verification import Places, verify_endpoint
from platform_assets.lineage.verdict import Verdict, Verification
from platform_assets.models.verification_reading import Reading
from platform_assets.spec.applied import read_applied, state_dir

EXIT_CODES = {Verdict.AGREE: 0, Verdict.DIFFER: 1, Verdict.CANNOT_TELL: 2}
WIDTH = 100
_STYLES = {Verdict.AGREE: "green", Verdict.DIFFER: "bold red", Verdict.CANNOT_TELL: "yellow"}


def verify_now(endpoint: str, as_json: bool) -> int:
    """Read and hash every hop behind `endpoint` now, show it, and return the exit code."""
    from ai_how.build import connections

    platform = connections(read_applied(state_dir()))
    places = Places(platform.reader_store, platform.mlflow, platform.provider, platform.ledger)
    found = _with_progress(places, endpoint)
    if as_json:
        typer.echo(found.model_dump_json(by_alias=True, indent=2))
    else:
        _show(found, Console(width=WIDTH, highlight=False))
    return EXIT_CODES[found.verdict]


def _with_progress(places: Places, endpoint: str) -> Verification:
    """Verify with a line per place on standard error, as far as somebody looks at it."""
    columns = (TextColumn("{task.description}"), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    with Progress(*columns, BarColumn(), console=console, transient=True) as progress:
        tasks = {}

        def said(place: str, count: int) -> None:
            if place not in tasks:
                tasks[place] = progress.add_task(_printable(place[-50:]), total=None)
            progress.advance(tasks[place], count)

        return verify_endpoint(places, endpoint, Reading(said=said))


def _show(found: Verification, console: Console) -> None:
    style = _STYLES[found.verdict]
    console.print(
        Text(f"endpoint {found.endpoint}: ", "bold").append(found.verdict.value.upper(), style)
    )
    if found.tree_digest is not None:
        console.print(
            f"{found.model} version {found.version}, checkpoint {found.checkpoint}", markup=False
        )
        console.print(f"sha256 {found.tree_digest}", markup=False)
    if found.unknown is not None:
        console.print(found.unknown, markup=False)
        return
    table = Table("Hop", "Verdict", "Files", "MiB", "Where")
    table.columns[4].overflow = "fold"
    for hop in found.hops:
        verdict = Text(hop.verdict.value, _STYLES[hop.verdict])
        mib = f"{hop.bytes / 2**20:,.1f}" if hop.files else "-"
        files = str(hop.files) if hop.files else "-"
        table.add_row(hop.hop.value, verdict, files, mib, Text(_printable(hop.where)))
    console.print(table)
    for difference in found.differences:
        console.print(Text(f"differs: {_printable(str(difference))}", "red"))
    for hop in found.hops:
        if hop.unknown is not None:
            told = f"cannot tell: {hop.hop}: {_printable(hop.unknown)}"
            console.print(Text(told, "yellow"))


def _printable(text: str) -> str:
    """Return text that others wrote without anything that could steer a terminal."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)
