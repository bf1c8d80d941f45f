"""`ai-how checkpoint`: seal a directory, see what is taken and why not, ask for a new attempt."""

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from platform_assets.models import seal as sealing
from platform_assets.models.checkpoint_directory import (
    CheckpointRefused,
    NotSealed,
    checkpoint_directories,
    judge_checkpoint,
)
from platform_assets.spec.applied import read_applied, state_dir
from platform_assets.spec.errors import AiHowError
from platform_assets.spec.serving import ServingConfig, read_serving

WIDTH = 100
_STYLES = {"taken": "green", "refused": "red", "not sealed": "yellow"}

app = typer.Typer(
    no_args_is_help=True, help="Seal checkpoints, list them with their state, retry a delivery."
)


class CheckpointRootUnreadable(AiHowError):
    """The checkpoint root cannot be listed; it is not known what lies there."""


@app.command(
    name="seal",
    # The options are those of seal.py, which is the same program on a compute node.
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def seal_command(context: typer.Context) -> None:
    """Seal DIR: hash every file and write _COMPLETE.json (`seal --help` shows the options)."""
    raise typer.Exit(sealing.main(context.args, program="ai-how checkpoint seal"))


@app.command(name="list")
def list_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show every directory under the checkpoint root: taken, refused and why, or not sealed."""
    applied = read_applied(state_dir())
    rows = checkpoint_rows(applied.checkpoint_root, read_serving(applied.serving_file))
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return
    _print_rows(rows, applied.checkpoint_root)


@app.command()
def retry(key: Annotated[str, typer.Argument(help="<model>.<run>.<12 hex digits>")]) -> None:
    """Ask for a new attempt to deliver the checkpoint KEY."""
    from ai_how.runs import request_retry

    raise typer.Exit(request_retry(key))


def checkpoint_rows(root: Path, serving: ServingConfig) -> list[dict[str, Any]]:
    """Judge every directory under `root` as the arrivals sensor does.

    Raises:
        CheckpointRootUnreadable: the root itself cannot be listed.
    """
    now = datetime.now(UTC)
    try:
        directories = list(checkpoint_directories(root))
    except OSError as error:
        message = (
            f"{root}: the checkpoint root cannot be listed: {error.strerror}; create it, or name "
            "another as checkpoint_root in the estate file"
        )
        raise CheckpointRootUnreadable(message) from error
    return [_row(directory, root, serving, now) for directory in directories]


def _row(directory: Path, root: Path, serving: ServingConfig, now: datetime) -> dict[str, Any]:
    place = directory.relative_to(root).parts
    row: dict[str, Any] = {
        "directory": os.fsencode(directory).decode("utf-8", "backslashreplace"),
        "model": ascii(place[0])[1:-1],
        "run": ascii(place[-1])[1:-1] if len(place) > 1 else None,
        "state": "taken",
        "reason": None,
    }
    try:
        judged = judge_checkpoint(directory, root, serving.models.get(place[0]), now)
    except NotSealed as refusal:
        return row | {"state": "not sealed", "reason": str(refusal)}
    except CheckpointRefused as refusal:
        return row | {"state": "refused", "reason": str(refusal)}
    return row | {
        "key": judged.key,
        "format": judged.format,
        "sealed_at": judged.marker.sealed_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "marker_sha256": judged.marker_sha256,
        "tree_digest": judged.manifest.tree_digest,
        "files": len(judged.manifest.files),
        "bytes": judged.manifest.total_bytes,
    }


def _print_rows(rows: list[dict[str, Any]], root: Path) -> None:
    console = Console(width=WIDTH, highlight=False)
    if not rows:
        console.print(f"No checkpoint under {root} yet.", markup=False)
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("CHECKPOINT", overflow="fold")
    for heading in ("STATE", "SEALED"):
        table.add_column(heading, no_wrap=True)
    table.add_column("SIZE", no_wrap=True, justify="right")
    for row in rows:
        name = row.get("key") or f"{_short(row['model'])}/{_short(row['run'] or '')}"
        size = _size(row["bytes"]) if "bytes" in row else ""
        state = Text(row["state"], style=_STYLES[row["state"]])
        table.add_row(Text(name), state, (row.get("sealed_at") or "")[:16], size)
    console.print(table)
    refused = [row for row in rows if row["reason"]]
    if refused:
        console.print("\nNot taken, and why:")
    for row in refused:
        console.print(Text(f"  {row['reason']}"))


def _short(name: str, longest: int = 28) -> str:
    return name if len(name) <= longest else name[: longest - 1] + "…"


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
