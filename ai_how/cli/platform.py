"""`ai-how up`, `down`, `status`, `logs` and `purge`: the embedded platform on this machine."""

import json
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from platform_assets.spec.applied import NotApplied, read_applied, state_dir
from platform_assets.spec.errors import AiHowError

_FOLLOW_S = 0.3
_WATCH_S = 1.0
_TAIL_LINES = 200


class NoSuchPart(AiHowError):
    """The platform has no part of that name, or it has no log yet."""


class PlatformEnded(AiHowError):
    """The platform went down under an attached `ai-how up`."""


def register(app: typer.Typer) -> None:
    """Add the commands to the top level of `app`."""
    for command in (up, down, status, logs, purge):
        app.command()(command)


def _teller(console: Console) -> Callable[[str, str], None]:
    begun = time.monotonic()

    def tell(part: str, what: str) -> None:
        elapsed = f"[dim]{time.monotonic() - begun:6.1f} s[/dim]"
        console.print(f"{elapsed}  {part:<14}{what}", highlight=False)

    return tell


def up(
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay attached; Ctrl-C takes it down.")
    ] = False,
) -> None:
    """Bring the platform up and return when every part is ready. Safe to repeat."""
    from ai_how.embedded.platform import bring_up

    console = Console(stderr=True)
    prepared = bring_up(state_dir(), _teller(console))
    addresses = prepared.applied.addresses
    console.print(
        f"estate {prepared.applied.name} is up. Dagster: {addresses.dagster_url}  "
        f"MLflow: {addresses.mlflow_url}  checkpoints: {prepared.applied.checkpoint_root}",
        soft_wrap=True,
        highlight=False,
    )
    if foreground:
        _stay(console)


def _stay(console: Console) -> None:
    """Stay until a signal comes, then take the platform down."""
    from ai_how.embedded.layout import Layout
    from ai_how.embedded.platform import running_supervisor

    asked: list[int] = []

    def ask(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ask)
    layout = Layout(state_dir())
    while not asked:
        time.sleep(_WATCH_S)
        if not asked and running_supervisor(layout) is None:
            message = (
                f"supervisord ended; its log is {layout.log('supervisord')}; `ai-how down` "
                "stops what is left"
            )
            raise PlatformEnded(message)
    console.print("taking it down")
    down()


def down() -> None:
    """Cancel running runs and stop everything, whatever state it is in."""
    from ai_how.embedded.layout import Layout
    from ai_how.embedded.platform import alone
    from ai_how.embedded.shutdown import take_down

    layout = Layout(state_dir())
    console = Console(stderr=True, soft_wrap=True)
    if not layout.state.is_dir():
        console.print(f"nothing to stop: there is no {layout.state}")
        return
    with alone(layout):
        problems = take_down(layout)
    for problem in problems:
        console.print(problem, markup=False)
    console.print("the platform is down")


def _probed(name: str, probe: Callable[[float], None], since: float) -> dict[str, Any]:
    try:
        probe(since)
    except AiHowError as error:
        return {"name": name, "ready": False, "reason": str(error)}
    return {"name": name, "ready": True, "reason": ""}


def _part_rows() -> list[dict[str, Any]]:
    """Return one row for each part: what supervisord says, and what the part itself answers."""
    import dagster  # noqa: F401 - two probes import it, and no two threads can at once

    from ai_how.embedded.layout import Layout
    from ai_how.embedded.parts import all_parts
    from ai_how.embedded.platform import part_states
    from ai_how.embedded.ports import known_ports
    from resources.postgresql import RunAs

    applied = read_applied(state_dir())
    layout = Layout(applied.state)
    states = part_states(layout)
    parts = all_parts(applied, known_ports(layout), RunAs())
    with ThreadPoolExecutor(len(parts)) as pool:
        probes = {
            part.name: pool.submit(_probed, part.name, part.probe, states[part.name].since)
            for part in parts
            if part.name in states and states[part.name].is_alive
        }
    rows = []
    for part in parts:
        found = states.get(part.name)
        alive = found is not None and found.is_alive
        answer = probes[part.name].result() if part.name in probes else {}
        since = datetime.fromtimestamp(found.since, UTC) if found and alive else None
        rows.append(
            {
                "name": part.name,
                "state": found.state if found else "STOPPED",
                "ready": answer.get("ready", False),
                "reason": answer.get("reason", ""),
                "pid": found.pid if found and alive else None,
                "since": since.isoformat().replace("+00:00", "Z") if since else None,
                "where": part.where,
                "log": str(layout.log(part.name)),
            }
        )
    return rows


def status(
    as_json: Annotated[bool, typer.Option("--json", help="For a machine to read.")] = False,
) -> int:
    """Show every part. Exit code 0: all of them do their work; 1: some do not."""
    rows = _part_rows()
    if as_json:
        typer.echo(json.dumps({"state": str(state_dir()), "parts": rows}, indent=1))
    else:
        table = Table(box=None, pad_edge=False)
        for column in ("part", "state", "pid", "since", "where"):
            table.add_column(column, no_wrap=column != "where", overflow="fold")
        for row in rows:
            word = "ready" if row["ready"] else row["state"].lower()
            if row["state"] == "RUNNING" and not row["ready"]:
                word = "not ready"
            table.add_row(
                row["name"], word, str(row["pid"] or ""), row["since"] or "", row["where"]
            )
        console = Console()
        console.print(table)
        for row in rows:
            if not row["ready"] and row["reason"]:
                console.print(f"{row['name']}: {row['reason']}; log: {row['log']}", markup=False)
    return 0 if all(row["ready"] for row in rows) else 1


def logs(
    name: Annotated[str, typer.Argument(help="A part, as `ai-how status` names it.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show what is added.")] = False,
) -> None:
    """Show the last lines of a part's log."""
    from ai_how.embedded.layout import Layout
    from ai_how.embedded.parts import NAMES

    layout = Layout(state_dir())
    known = (*NAMES, "supervisord")
    if name not in known:
        message = f"{name}: no such part; the parts are {', '.join(known)}"
        raise NoSuchPart(message)
    file = layout.log(name)
    if not file.is_file():
        message = f"{file}: there is no log yet; `ai-how up` starts the part"
        raise NoSuchPart(message)
    opened = file.open(encoding="utf-8", errors="replace")
    try:
        for line in opened.readlines()[-_TAIL_LINES:]:
            typer.echo(line, nl=False)
        while follow:
            if line := opened.readline():
                typer.echo(line, nl=False)
                continue
            if file.exists() and file.stat().st_ino != os.fstat(opened.fileno()).st_ino:
                opened.close()  # it was rotated
                opened = file.open(encoding="utf-8", errors="replace")
            time.sleep(_FOLLOW_S)
    except KeyboardInterrupt:
        return
    finally:
        opened.close()


def purge(
    confirm: Annotated[str, typer.Option("--confirm", help="The estate's name.")],
) -> None:
    """Remove everything the platform keeps: databases, objects, ledger, secrets, logs."""
    from ai_how.embedded.layout import Layout
    from ai_how.embedded.platform import alone
    from ai_how.embedded.preparation import declared_estate
    from ai_how.embedded.shutdown import purge as remove
    from ai_how.estate_file import estate_file

    layout = Layout(state_dir())
    if not layout.state.is_dir():
        Console(stderr=True).print(f"nothing to remove: there is no {layout.state}")
        return
    try:
        name = read_applied(layout.state).name
    except NotApplied:
        name = declared_estate(estate_file()).metadata.name
    with alone(layout):
        removed = remove(layout, name, confirm)
    layout.lock.unlink(missing_ok=True)
    Console(stderr=True, soft_wrap=True).print(
        f"removed {len(removed)} entries of {layout.state}", highlight=False
    )
