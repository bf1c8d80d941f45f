"""What loading found and what rules find, as one list in the order of the file."""

from datetime import date

import pytest

from platform_assets.spec import judgement
from platform_assets.spec.findings import Finding, Severity
from platform_assets.spec.loading.load import load
from platform_assets.spec.rules.grounds import Grounds

GROUNDS = Grounds(today=date(2026, 1, 1))
CONTROLLER = ("clusters", "hpc", "controller")
TEXT = """name: e
clusters:
  hpc:
    controller:
      cpu_cores: many
      memory_gb: 8
      disk_gb: 50
      colour: red
"""


def rule(estate, grounds):
    assert grounds is GROUNDS
    assert estate.clusters.hpc.controller.name == "controller"
    for key in ("memory_gb", "cpu_cores"):
        yield Finding("a-rule", Severity.WARNING, (*CONTROLLER, key), key, "mend it")


@pytest.fixture
def with_one_rule(monkeypatch):
    monkeypatch.setattr(judgement, "RULES", (rule,))


@pytest.mark.usefixtures("with_one_rule")
def test_findings_stand_in_the_order_of_the_file_and_replaced_values_are_not_judged():
    found = judgement.judge(load(TEXT.encode(), "e.yaml", {}), GROUNDS)
    assert [(f.line, f.rule) for f in found] == [
        (5, "wrong-type"),
        (6, "a-rule"),
        (8, "unknown-key"),
    ]


@pytest.mark.usefixtures("with_one_rule")
def test_without_an_estate_only_loading_speaks():
    found = judgement.judge(load(b"[", "e.yaml", {}), GROUNDS)
    assert [f.rule for f in found] == ["not-yaml"]
