"""The rule about versions: it hands what the estate names to the table of compatibility."""

from dataclasses import replace

import pytest

from platform_assets.spec.rules import versions as rules
from tests.unit.spec.rules.sound import GROUNDS, estate, line

OLD = {"clusters/cloud/kubernetes/version": "1.28.0"}


def test_without_the_table_nothing_is_judged_and_that_is_told() -> None:
    without = replace(GROUNDS, compatibility=None)
    assert [line(found) for found in rules.compatibility(estate(OLD), without)] == [
        (
            "[note] clusters.cloud.kubernetes.version: not checked: the table of versions that go "
            "together was not read -> ask `ai-how config validate`"
        ),
    ]


@pytest.mark.parametrize(
    ("profile", "severity"), [("development", "warning"), ("production", "error")]
)
def test_a_version_past_its_end_is_told_by_the_profile(profile: str, severity: str) -> None:
    found = list(rules.compatibility(estate(OLD | {"profile": profile}), GROUNDS))
    (ended,) = [each for each in found if each.rule == "end-of-life"]
    assert (ended.severity, ended.path) == (
        severity,
        ("clusters", "cloud", "kubernetes", "version"),
    )
    assert ended.message.startswith("Kubernetes 1.28.0 reached its end of life on ")
