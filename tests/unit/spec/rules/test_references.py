"""Rules about images: each offence with what a person reads."""

from typing import Any

import pytest

from platform_assets.spec.rules import references as rules
from platform_assets.spec.rules.grounds import Rule
from tests.unit.spec.rules.sound import GONE, said

OFFENCES: list[tuple[Rule, dict[str, Any], list[str]]] = [
    (
        rules.undeclared_image,
        {"clusters/cloud/image": "cloud-bse", "clusters/hpc/compute_nodes/0/image": "ubuntu"},
        [
            (
                "clusters.cloud.image: 'cloud-bse' is not declared under images: hpc-base, "
                "cloud-base -> did you mean 'cloud-base'?"
            ),
            (
                "clusters.hpc.compute_nodes[0].image: 'ubuntu' is not declared under images: "
                "hpc-base, cloud-base -> add it to images, or write a path with '/', as in "
                "./ubuntu"
            ),
        ],
    ),
    (
        rules.unused_image,
        {"images/old": {"path": "x"}},
        [
            (
                "[note] images.old: no machine starts from 'old' -> name it as the image of a "
                "machine or a cluster, or remove it"
            ),
        ],
    ),
    (
        rules.machines_without_image,
        {"clusters/hpc/image": GONE},
        [
            (
                "[warning] clusters.hpc: no image to start from: controller, compute-1, "
                "compute-2 -> set clusters.hpc.image to a name under images, or to the path of "
                "an image"
            ),
        ],
    ),
]


@pytest.mark.parametrize(("rule", "changes", "expected"), OFFENCES)
def test_an_offence_is_told(rule: Rule, changes: dict[str, Any], expected: list[str]) -> None:
    assert said(rule, changes) == expected


def test_each_rule_has_an_offence() -> None:
    assert {rule for rule, _, _ in OFFENCES} == set(rules.REFERENCE_RULES)
