"""Rules about SLURM: each offence with what a person reads."""

from typing import Any

import pytest

from platform_assets.spec.rules import slurm as rules
from platform_assets.spec.rules.grounds import Rule
from tests.unit.spec.rules.sound import GONE, said

OFFENCES: list[tuple[Rule, dict[str, Any], list[str]]] = [
    (
        rules.default_partition,
        {"clusters/hpc/slurm/default_partition": "gpus"},
        [
            (
                "clusters.hpc.slurm.default_partition: 'gpus' is not declared; partitions: "
                "gpu, debug -> did you mean 'gpu'?"
            ),
        ],
    ),
    (
        rules.default_partition,
        {"clusters/hpc/slurm/default_partition": "batch"},
        [
            (
                "clusters.hpc.slurm.default_partition: 'batch' is not declared; partitions: "
                "gpu, debug -> add 'batch' to slurm.partitions"
            ),
        ],
    ),
    (
        rules.duplicate_partition,
        {"clusters/hpc/slurm/partitions": ["gpu", "debug", "gpu"]},
        [
            (
                "clusters.hpc.slurm.partitions[2]: partition 'gpu' is declared twice -> remove "
                "one of them"
            ),
        ],
    ),
    (
        rules.partition_name,
        {"clusters/hpc/slurm/partitions": ["gpu", "DEFAULT", "big mem"]},
        [
            (
                "clusters.hpc.slurm.partitions[1]: 'DEFAULT' cannot name a partition: expected "
                "letters, digits, '-', '_' and '.', and neither DEFAULT nor ALL -> rename it"
            ),
            (
                "clusters.hpc.slurm.partitions[2]: 'big mem' cannot name a partition: expected "
                "letters, digits, '-', '_' and '.', and neither DEFAULT nor ALL -> rename it"
            ),
        ],
    ),
    (
        rules.nodes_without_partition,
        {"clusters/hpc/slurm/partitions": []},
        [
            (
                "[warning] clusters.hpc: 2 compute nodes, and no slurm.partitions to submit "
                "jobs to -> add slurm.partitions, as in [gpu, debug], and "
                "slurm.default_partition"
            ),
        ],
    ),
    (
        rules.nodes_without_controller,
        {"clusters/hpc/controller": GONE},
        [
            ("clusters.hpc: 2 compute nodes, and no controller -> declare clusters.hpc.controller"),
        ],
    ),
    (
        rules.undeclared_gres,
        {"clusters/hpc/slurm/gres_types": ["mps"]},
        [
            (
                "clusters.hpc.compute_nodes[0].gres.gpu: compute-1 has GPUs for SLURM, but "
                "slurm.gres_types are mps -> add gpu to slurm.gres_types"
            ),
        ],
    ),
    (
        rules.accounting_without_database,
        {"clusters/hpc/slurm/database": GONE},
        [
            (
                "clusters.hpc.slurm.enable_database: enable_database: true, and no database is "
                "declared -> add slurm.database with host, name, user and a reference as "
                "password"
            ),
        ],
    ),
]


@pytest.mark.parametrize(("rule", "changes", "expected"), OFFENCES)
def test_an_offence_is_told(rule: Rule, changes: dict[str, Any], expected: list[str]) -> None:
    assert said(rule, changes) == expected


def test_each_rule_has_an_offence() -> None:
    assert {rule for rule, _, _ in OFFENCES} == set(rules.SLURM_RULES)


def test_where_no_generic_resources_are_named_none_is_missing() -> None:
    assert said(rules.undeclared_gres, {"clusters/hpc/slurm/gres_types": []}) == []


def test_gpus_that_slurm_is_not_told_of_are_no_generic_resources() -> None:
    off = {"gpu": {"enabled": False, "count": 1}}
    changes = {
        "clusters/hpc/slurm/gres_types": ["mps"],
        "clusters/hpc/compute_nodes/0/gres": off,
    }
    assert said(rules.undeclared_gres, changes) == []


def test_generic_resources_of_a_worker_are_none_of_slurm() -> None:
    changes = {
        "clusters/hpc/slurm/gres_types": ["mps"],
        "clusters/hpc/compute_nodes/0/gres": GONE,
        "clusters/cloud/workers/1/gres": {"gpu": {"count": 1}},
    }
    assert said(rules.undeclared_gres, changes) == []
