"""`ai-how doctor`: what this machine lacks for an estate of machines with GPUs, and what to do."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from platform_assets.infrastructure.floor import Floor
    from platform_assets.spec.pci_names import PciNames

SOME_FAIL = 1
CANNOT_TELL = 2
_COLOUR = {"holds": "green", "weak": "yellow", "fails": "red", "cannot tell": "magenta"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a machine.")] = False,
) -> int:
    """Look at this machine and judge it as host of virtual machines with GPUs. Changes nothing.

    The embedded platform (`ai-how up`) asks for none of it.

    Exit codes: 0 all floors hold (weak ones do), 1 some fail, 2 some cannot be told.
    """
    from platform_assets.infrastructure.host_floors import findings, floors
    from resources.host import read_host

    facts = read_host()
    told = floors(facts, _pci_names())
    if as_json:
        document = {
            "schema": "doctor/1",
            "floors": [asdict(floor) for floor in told],
            "findings": [asdict(found) for found in findings(told)],
            "facts": facts.as_json(),
        }
        typer.echo(json.dumps(document, indent=2))
    else:
        show(told, Console(highlight=False))
    return status(told)


def _pci_names() -> "PciNames | None":
    """Return the names of PCI devices; without them GPUs go by their ids, and it is said why."""
    from platform_assets.spec.pci_names import PciNames, PciNamesRefused
    from resources.pci_ids import PciIdsUnavailable, read_pci_ids

    try:
        return PciNames.parse(read_pci_ids())
    except (PciIdsUnavailable, PciNamesRefused) as error:
        Console(stderr=True, soft_wrap=True).print(str(error), markup=False, style="yellow")
        return None


def status(told: "Sequence[Floor]") -> int:
    """Return the exit code: a floor that fails says more than one that cannot be told."""
    verdicts = {floor.verdict.value for floor in told}
    if "fails" in verdicts:
        return SOME_FAIL
    return CANNOT_TELL if "cannot tell" in verdicts else 0


def show(told: "Sequence[Floor]", console: Console, heading: str = "Floor") -> None:
    """Print one row for each floor, the count, and what to do about those that do not hold."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(heading, no_wrap=True)
    table.add_column("Verdict", no_wrap=True)
    table.add_column("Wanted", max_width=30)
    table.add_column("Found", overflow="fold")
    for floor in told:
        verdict = floor.verdict.value
        coloured = f"[{_COLOUR[verdict]}]{verdict}[/]"
        table.add_row(floor.name, coloured, escape(floor.wanted), escape(floor.found))
    console.print(table)
    counts = {verdict: sum(floor.verdict == verdict for floor in told) for verdict in _COLOUR}
    text = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    console.print(f"\n{text}")
    to_do = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for verdict in ("fails", "cannot tell", "weak"):
        for floor in told:
            if floor.verdict == verdict:
                to_do.add_row(f"[{_COLOUR[verdict]}]{floor.name}[/]", escape(floor.remedy))
    if to_do.row_count:
        console.print("\nWhat to do", style="bold")
        console.print(to_do)
