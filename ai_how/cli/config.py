"""`ai-how config`: judge, show, compare and rewrite the file that declares the estate.

Exit codes: 0 clean, 1 a finding or a difference, 2 the file cannot be read or does not load.
What a command needs beyond the loader is imported when it runs.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from ai_how.cli.findings_output import (
    WIDTH,
    findings_as_json,
    printable,
    show_findings,
    show_indented,
    summary,
)
from ai_how.estate_file import estate_file
from platform_assets.infrastructure.estate_file import load_estate_file
from platform_assets.spec.findings import Finding, Severity, dotted, errors
from platform_assets.spec.model.estate import Estate

CANNOT_TELL = 2

app = typer.Typer(
    no_args_is_help=True, help="The file that declares the estate: judge, show, compare, rewrite."
)

File = Annotated[
    Path | None,
    typer.Argument(
        metavar="[FILE]", help="An estate's file; absent: AI_HOW_CONFIG, or the project's own."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a machine.")]


def _named(file: Path | None) -> Path:
    """Return the file to read, relative to where we are if it lies below."""
    named = file or estate_file()
    here = Path.cwd()
    return named.relative_to(here) if named.is_relative_to(here) else named


def _loaded(file: Path) -> Estate:
    """Return what `file` declares; where it does not load, say why and end."""
    loaded = load_estate_file(file, os.environ)
    wrong = errors(loaded.findings)
    if loaded.estate is None or wrong:
        console = Console(stderr=True, width=WIDTH, highlight=False)
        show_findings(console, wrong)
        console.print(f"{file}: it does not load; mend the errors above", soft_wrap=True)
        raise typer.Exit(CANNOT_TELL)
    return loaded.estate


def _yaml(data: object) -> str:
    import yaml

    return yaml.dump(
        data, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=WIDTH
    )


def _print_data(data: object, as_json: bool) -> None:
    typer.echo(json.dumps(data, indent=1) if as_json else _yaml(data), nl=as_json)


@app.command("validate")
def validate(
    file: File = None,
    as_json: AsJson = False,
    strict: Annotated[bool, typer.Option("--strict", help="A warning is an error, too.")] = False,
    on_host: Annotated[
        bool, typer.Option("--host", help="This machine is the host: ask it, too.")
    ] = False,
) -> None:
    """Judge an estate by every rule, before anything is touched.

    Exit codes: 0 no error, 1 an error, 2 the file cannot be read.
    """
    from platform_assets.infrastructure.estate_file import judge_estate_file
    from resources.host import Host

    named = _named(file)
    findings = list(judge_estate_file(named, os.environ, Host() if on_host else None).findings)
    if strict:
        findings = [_strictly(finding) for finding in findings]
    if as_json:
        typer.echo(json.dumps({"findings": findings_as_json(findings)}, indent=1))
    else:
        console = Console(width=WIDTH, highlight=False)
        show_findings(console, findings)
        console.print(Text(f"{named}: {summary(findings)}"), soft_wrap=True)
    raise typer.Exit(1 if errors(findings) else 0)


def _strictly(finding: Finding) -> Finding:
    severe = finding.severity is Severity.WARNING
    return replace(finding, severity=Severity.ERROR) if severe else finding


@app.command("show")
def show(
    file: File = None,
    whole: Annotated[
        bool, typer.Option("--effective", help="With every default written out.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print what an estate declares, in the canonical form; secrets stay hidden."""
    from platform_assets.spec.canonical import canonical, effective

    estate = _loaded(_named(file))
    _print_data(effective(estate) if whole else canonical(estate), as_json)


@app.command("apply")
def apply(file: File = None, as_json: AsJson = False) -> None:
    """Apply an estate: judge it, and make it what the platform runs, which reads it anew.

    What is refused changes nothing. A platform that is down reads it when it comes up.

    Exit codes: 0 applied, 1 refused, 2 it cannot be told, or was applied and not read.
    """
    from ai_how.embedded.platform import apply_estate
    from platform_assets.infrastructure.estate_file import EstateRefused
    from platform_assets.spec.applied import state_dir

    named = _named(file)
    console = Console(stderr=True, width=WIDTH, highlight=False)

    def tell(part: str, what: str) -> None:
        console.print(f"{part}: {what}", soft_wrap=True, markup=False)

    try:
        prepared = apply_estate(state_dir(), named.absolute(), tell)
    except EstateRefused as refused:
        if as_json:
            typer.echo(json.dumps({"findings": findings_as_json(refused.findings)}, indent=1))
        else:
            show_findings(console, list(refused.findings))
            console.print(f"{named}: refused; nothing was changed", soft_wrap=True, markup=False)
        raise typer.Exit(1) from None
    digest = prepared.applied.part_digest()
    if as_json:
        typer.echo(json.dumps({"file": str(named), "digest": digest}))
    else:
        console.print(f"{named}: applied ({digest})", soft_wrap=True, markup=False)


@app.command("diff")
def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="An estate's file.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    as_json: AsJson = False,
) -> None:
    """Print what differs between two estates by meaning, whatever words and order they use.

    Exit codes: 0 they mean the same, 1 they differ, 2 one of them does not load.
    """
    from platform_assets.spec.difference import differences

    found = differences(_loaded(before), _loaded(after))
    if as_json:
        rows = [{"path": list(one.path), "old": one.old, "new": one.new} for one in found]
        typer.echo(json.dumps({"differences": rows}, indent=1))
    else:
        console = Console(width=WIDTH, highlight=False)
        for one in found:
            _show_change(console, one.path, one.old, one.new)
        if not found:
            console.print("they mean the same")
    raise typer.Exit(1 if found else 0)


def _show_change(console: Console, path: Sequence[str | int], old: object, new: object) -> None:
    where = Text(printable(dotted(tuple(path))) + ":", "bold")
    change = Text.assemble((_in_a_line(old), "red"), " → ", (_in_a_line(new), "green"))
    if len(where) + 1 + len(change) <= console.width:
        console.print(where, change)
    else:
        console.print(where, soft_wrap=True)
        show_indented(console, change)


def _in_a_line(value: object) -> str:
    if value is None:
        return "absent"
    if isinstance(value, dict | list):
        return printable(json.dumps(value, ensure_ascii=False))
    return printable(_yaml(value).removesuffix("...\n").strip())


@app.command("migrate")
def migrate(file: File = None, as_json: AsJson = False) -> None:
    """Print an estate in the canonical form, to be kept as a file in the place of another spelling.

    Comments are lost, `${VAR}` is replaced by its value, a literal secret by a reference.
    """
    from platform_assets.spec.migration import migrated

    named = _named(file)
    made = migrated(_loaded(named))
    _print_data(made.declared, as_json)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(
        f"{named}: comments are lost, and every ${{VAR}} outside of secrets is now its value",
        markup=False,
    )
    for variable, path in made.variables.items():
        console.print(
            f"{dotted(path)}: the literal secret is now a reference; put its value into the "
            f"environment variable {variable}",
            markup=False,
        )


@app.command("init")
def init(
    template: Annotated[
        str,
        typer.Option(
            "--template",
            help="minimal, workstation-two-gpus, mig, hpc-and-cloud or production-like.",
        ),
    ],
    file: File = None,
    as_json: AsJson = False,
) -> None:
    """Write a commented template to begin with; a file that is there is never overwritten."""
    from ai_how.estate_templates import write_template

    named = _named(file)
    write_template(template, named)
    if as_json:
        typer.echo(json.dumps({"file": str(named), "template": template}))
    else:
        typer.echo(f"{named}: written; edit it, then ask `ai-how config validate {named}`")


@app.command("schema")
def schema() -> None:
    """Print the JSON schema of an estate's file, as `config/estate.schema.json` holds it."""
    from platform_assets.spec.schema import estate_schema

    typer.echo(json.dumps(estate_schema(), indent=1))


@app.command("reference")
def reference() -> None:
    """Print the page of all keys and rules, as `docs/configuration.md` holds it."""
    from ai_how.described_rules import described_rules
    from platform_assets.spec.reference import configuration_page
    from platform_assets.spec.rules.all_rules import RULES

    typer.echo(configuration_page(described_rules(RULES)), nl=False)


@app.command("suggest")
def suggest(file: File = None, as_json: AsJson = False) -> None:
    """Propose the nearest set of versions that works and is maintained.

    Exit codes: 0 what is written works, 1 another version is proposed, 2 it cannot be told.
    """
    from datetime import UTC, datetime

    from platform_assets.infrastructure.grounds import compatibility_table
    from platform_assets.spec.compatibility_suggestion import suggest as nearest
    from platform_assets.spec.pins import pins_of

    named = _named(file)
    pins = pins_of(_loaded(named))
    proposed = nearest(pins, compatibility_table(), datetime.now(UTC).date())
    rows = [
        {
            "component": name,
            "path": list(pins[name].path) if name in pins else None,
            "written": pins[name].version if name in pins else None,
            "proposed": proposed.versions.get(name),
            "reason": proposed.reasons.get(name),
        }
        for name in dict.fromkeys([*pins, *proposed.versions, *proposed.reasons])
    ]
    if as_json:
        typer.echo(json.dumps({"suggestions": rows}, indent=1))
    else:
        _show_suggestions(named, rows)
    raise typer.Exit(1 if proposed.reasons else 0)


def _show_suggestions(file: Path, rows: list[dict[str, Any]]) -> None:
    console = Console(width=WIDTH, highlight=False)
    changed = [row for row in rows if row["reason"]]
    kept = [f"{row['component']} {row['written']}" for row in rows if not row["reason"]]
    for row in changed:
        words = f"{row['component']}: {row['written'] or 'absent'} → {row['proposed'] or 'none'}"
        console.print(Text(printable(words), "bold"))
        where = printable(dotted(tuple(row["path"]))) + ": " if row["path"] else ""
        show_indented(console, Text(where + printable(row["reason"])))
    if kept:
        console.print(Text(f"stays: {printable(', '.join(kept))}"))
    if not changed:
        console.print(Text(f"{file}: the versions work together"), soft_wrap=True)
