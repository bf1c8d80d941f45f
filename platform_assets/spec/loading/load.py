"""An estate file, from bytes to the model: every mistake is a finding with its place."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from platform_assets.spec.findings import Finding, Severity
from platform_assets.spec.loading.dialects import into_canonical_form
from platform_assets.spec.loading.reading import Reading
from platform_assets.spec.loading.source import parse
from platform_assets.spec.loading.tree import Node, Place
from platform_assets.spec.loading.validation import validated
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.model.shapes import ROOT, Shape

MAX_FINDINGS = 1000


@dataclass(frozen=True)
class Loaded:
    """What a file declares, as far as it can be read, and what loading found wrong with it.

    With an error among the findings the estate is only good for judging the rest: what was wrong
    is left out, or replaced where nothing can stand without it.
    """

    file: str
    estate: Estate | None
    findings: tuple[Finding, ...]
    tree: Node | None = None

    def located(self, findings: Iterable[Finding]) -> list[Finding]:
        """Return findings of rules with file, line and column, and positions as in the file.

        A path that does not stand in the file gets the place of what it would stand in.
        """
        return [self._located(finding) for finding in findings]

    def _located(self, finding: Finding) -> Finding:
        if finding.line is not None or self.tree is None:
            return finding
        node, shape, path, known = self.tree, ROOT, [], True
        for step in finding.path:
            under, shown = _step(node, shape, step) if known else (None, step)
            path.append(shown)
            known = under is not None
            node = under or node
            shape = (shape and shape.under(step)) or Shape()
        return replace(
            finding, path=tuple(path), file=self.file, line=node.line, column=node.column
        )


def _step(node: Node, shape: Shape, step: str | int) -> tuple[Node | None, str | int]:
    """Return the node one step below, and the step as the file has it."""
    if isinstance(step, int):
        present = [position for position, item in enumerate(node.items) if not item.gone]
        position = present[step] if 0 <= step < len(present) else step
        return node.child(position), position
    under = node.child(step)
    if under is None and shape.part is not None and step in shape.part.model_fields:
        under = node.child(shape.part.model_fields[step].alias or step)
    return under, step


def load(content: bytes, file: str, environment: Mapping[str, str]) -> Loaded:
    """Read an estate; `file` is told in findings, `environment` holds what `${VAR}` may name.

    Nothing is raised: what is wrong becomes a finding. No finding shows a secret's value, and the
    value of a variable that a secret names is never asked for.
    """
    parsed = parse(content, file)
    if parsed.tree is None:
        return Loaded(file, None, parsed.findings)
    reading = Reading(file, environment, list(parsed.findings))
    into_canonical_form(parsed.tree, reading)
    estate = validated(parsed.tree, reading)
    findings = reading.findings
    if estate is not None and estate.profile == "production":
        findings = [_as_in_production(finding) for finding in findings]
    return Loaded(file, estate, tuple(_not_too_many(findings, file)), parsed.tree)


def _as_in_production(finding: Finding) -> Finding:
    if finding.rule == "literal-secret":
        return replace(finding, severity=Severity.ERROR)
    return finding


def _not_too_many(findings: list[Finding], file: str) -> list[Finding]:
    if len(findings) <= MAX_FINDINGS:
        return findings
    rest = len(findings) - MAX_FINDINGS
    message = f"{rest:,} more findings are not shown"
    more = Place(file).finding("too-many-findings", (), message, "mend these first")
    return [*findings[:MAX_FINDINGS], more]
