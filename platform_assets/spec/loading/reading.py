"""What is carried along while a tree is brought into the canonical form."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from platform_assets.spec.findings import Finding, Path, Severity
from platform_assets.spec.loading.references import Unresolved, resolved
from platform_assets.spec.loading.tree import Node, Place

MAX_GUESSES = 200


@dataclass
class Reading:
    """A file's name, the variables that it may refer to, and what was found so far."""

    file: str
    variables: Mapping[str, str]
    findings: list[Finding] = field(default_factory=list)
    guesses: int = 0

    def may_guess(self) -> bool:
        """Count a guess at what a key was meant to be; false after many, for guessing is slow."""
        self.guesses += 1
        return self.guesses <= MAX_GUESSES

    def tell(
        self,
        node: Node,
        rule: str,
        path: Path,
        message: str,
        remedy: str,
        *,
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Add a finding at the place of a node."""
        place = Place(self.file, node.line, node.column)
        self.findings.append(place.finding(rule, path, message, remedy, severity=severity))

    def text(self, node: Node | None, path: Path) -> str | None:
        """Return a scalar's text with its references replaced, once and for all; None if none is.

        What cannot be replaced is told, and gone.
        """
        if node is None or node.gone or node.text is None:
            return None
        text = node.text
        if node.written is not None or "$" not in text:
            return text
        node.written = text
        try:
            node.value = resolved(text, self.variables)
        except Unresolved as error:
            node.gone = True
            self.tell(node, "unresolved-reference", path, f"{path[-1]}: {error}", error.remedy)
            return None
        return node.text
