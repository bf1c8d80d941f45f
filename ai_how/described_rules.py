"""What the page of keys and rules says of each rule: the names of its findings, and one line."""

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator

from platform_assets.spec.reference import DescribedRule
from platform_assets.spec.rules.grounds import Rule

# Who is called with the name of a finding first.
_FINDINGS = {"Finding", "not_checked"}


def described_rules(rules: Iterable[Rule]) -> list[DescribedRule]:
    """Return each rule with the first line of its docstring, and the names that its code gives."""
    return [
        DescribedRule(_names(rule), (rule.__doc__ or "").strip().split("\n")[0]) for rule in rules
    ]


def _names(rule: Rule) -> tuple[str, ...]:
    """Return the names of a rule's findings: the function's own in kebab case where it gives that.

    Else those that it, or a function of its module that it calls, writes into a finding.
    """
    own = rule.__name__.strip("_").replace("_", "-")
    tree = ast.parse(inspect.getsource(sys.modules[rule.__module__]))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    given = tuple(dict.fromkeys(_given(rule.__name__, functions, set())))
    return (own,) if own in given or not given else given


def _given(name: str, functions: dict[str, ast.FunctionDef], seen: set[str]) -> Iterator[str]:
    if name in seen or name not in functions:
        return
    seen.add(name)
    for node in ast.walk(functions[name]):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.id if isinstance(node.func, ast.Name) else ""
        first = node.args[0] if node.args else None
        if called in _FINDINGS and isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value
        yield from _given(called, functions, seen)
