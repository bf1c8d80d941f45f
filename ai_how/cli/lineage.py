"""`ai-how lineage`: questions to the ledger. What is asked stands in `audits`, here it is shown."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from platform_assets.audits.endpoint_lineage import (
    Agreement,
    CheckpointHop,
    CopyHop,
    EndpointHop,
    EndpointLineage,
    Hop,
    TrainingHop,
    VersionHop,
    endpoint_lineage,
)
from platform_assets.lineage.ledger import ChainBroken, Ledger
from platform_assets.spec.applied import read_applied, state_dir

EXIT_CODES = {Agreement.AGREE: 0, Agreement.DISAGREE: 1, Agreement.INCOMPLETE: 2}
WIDTH = 100
DETAILS = (
    "started",
    "ended",
    "user",
    "host",
    "job_id",
    "nodes",
    "gpus",
    "code",
    "command",
    "container_digest",
    "configuration_digest",
    "seed",
    "hyper_parameters",
    "metrics",
    "datasets",
    "parents",
)

app = typer.Typer(
    no_args_is_help=True, help="Ask the ledger where things come from, and whether it is intact."
)


@app.command("endpoint")
def show_endpoint(
    name: Annotated[str, typer.Argument(help="The endpoint's name.", metavar="NAME")],
    at: Annotated[
        str | None, typer.Option("--at", help="A moment, RFC 3339, instead of now.", metavar="TIME")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read and hash every hop again, now; repairs nothing.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print endpoint-lineage/1, or endpoint-verification/1.")
    ] = False,
) -> None:
    """Show what stands behind an endpoint, back to the training run, with every digest.

    Without --verify this is what was recorded. Exit codes: 0 every hop agrees, 1 something
    differs, 2 a hop was never recorded, or with --verify, cannot be looked at.
    """
    if verify:
        if at is not None:
            message = "what was there at another time cannot be read now; leave one of them out"
            raise typer.BadParameter(message, param_hint="--at with --verify")
        from ai_how.cli.verification import verify_now

        raise typer.Exit(verify_now(name, as_json))
    lineage = endpoint_lineage(_ledger(), name, None if at is None else _moment(at))
    if as_json:
        typer.echo(lineage.model_dump_json(by_alias=True, indent=2))
    else:
        Console(width=WIDTH, highlight=False).print(lineage_tree(lineage))
    raise typer.Exit(EXIT_CODES[lineage.agreement])


@app.command("ledger")
def verify_ledger(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Verify the hash of every fact in the ledger.

    Exit codes: 0 intact, 1 the chain is broken, 2 the ledger cannot be read.
    """
    try:
        state = _ledger().verify_chain()
    except ChainBroken as broken:
        answer = {"intact": False, "seq": broken.seq, "reason": broken.reason}
        typer.echo(json.dumps(answer) if as_json else f"broken: {broken}")
        raise typer.Exit(1) from broken
    answer = {
        "intact": True,
        "ledger_id": state.ledger_id,
        "facts": state.facts,
        "head": state.head,
        "recorded_at": state.recorded_at,
    }
    if as_json:
        typer.echo(json.dumps(answer))
        return
    typer.echo(f"intact: {state.facts} facts of ledger {state.ledger_id}")
    typer.echo(f"head:   {state.head}, recorded {state.recorded_at}")


def _ledger() -> Ledger:
    from ai_how.build import connections

    return connections(read_applied(state_dir())).ledger


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{text!r} is no time; write it like 2026-01-31T12:00:00Z"
        raise typer.BadParameter(message, param_hint="--at") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def lineage_tree(lineage: EndpointLineage) -> Tree:
    """Return the chain as a tree of lines that fit 100 columns."""
    verdict = {
        Agreement.AGREE: ("every recorded digest agrees", "bold green"),
        Agreement.DISAGREE: ("DIGESTS DISAGREE", "bold red"),
        Agreement.INCOMPLETE: ("incomplete: a hop was never recorded", "bold yellow"),
    }[lineage.agreement]
    when = f" at {lineage.at}" if lineage.at else ""
    tree = Tree(Text(f"endpoint {lineage.name}{when}: ", "bold").append(*verdict))
    branch = tree
    for hop in (lineage.endpoint, lineage.version, lineage.copy_, lineage.checkpoint):
        if hop is not None:
            branch = _add_hop(branch, hop)
    if lineage.training is not None:
        _add_training(branch, lineage.training)
    for line in lineage.missing:
        tree.add(_told(f"missing {line}", "yellow"))
    for line in lineage.findings:
        tree.add(_told(f"finding {line}", "red"))
    return tree


def _add_hop(branch: Tree, hop: Hop) -> Tree:
    title, lines = _described(hop)
    node = branch.add(_told(title, "bold"))
    mark = ("= ", "green") if hop.agrees else ("≠ ", "bold red")
    digest = Text("sha256 ").append(*mark).append(hop.tree_digest, mark[1])
    node.add(digest)
    for line in lines:
        node.add(_told(line))
    node.add(Text(f"fact {hop.fact.seq}, recorded {hop.fact.recorded_at}", "dim"))
    return node


def _described(hop: Hop) -> tuple[str, list[str]]:
    match hop:
        case EndpointHop():
            lines = [f"server {hop.server}, since {hop.fact.valid_from}"]
            title = f"serves {hop.model} version {hop.version}"
        case VersionHop():
            # The digest stands in full above.
            shortened = hop.source.replace(hop.tree_digest, f"{hop.tree_digest[:12]}…")
            lines = [f"source {shortened}"]
            title = f"version {hop.model}/{hop.version}"
        case CopyHop():
            lines = [f"{hop.files} files, {hop.bytes:,} bytes"]
            title = f"copy in bucket {hop.bucket}, {hop.prefix.split('/sha256-')[0]}"
        case CheckpointHop():
            lines = [
                f"path {hop.path}",
                f"format {hop.format}, sealed {hop.sealed_at}",
                f"marker sha256 {hop.marker_sha256}",
            ]
            title = f"checkpoint {hop.key}"
        case _:
            title, lines = type(hop).__name__, []
    return title, lines


def _add_training(branch: Tree, training: TrainingHop) -> None:
    mlflow_run = f", MLflow run {training.mlflow_run_id}" if training.mlflow_run_id else ""
    node = branch.add(Text(f"training run {training.run}{mlflow_run}", "bold"))
    for name in DETAILS:
        value = training.provenance.get(name)
        if value not in (None, "", [], {}):
            text = " ".join(map(str, value)) if name == "command" else _line(value)
            node.add(_told(f"{name.replace('_', ' ')}: {text}"))


def _told(text: str, style: str = "") -> Text:
    """Return text that others wrote without anything that could steer a terminal."""
    return Text("".join(char if char.isprintable() else "\ufffd" for char in text), style)


def _line(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={_line(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return "; ".join(_line(inner) for inner in value)
    return str(value)
