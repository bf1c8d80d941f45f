"""Rules about labels, taints and what names a machine: each offence with what a person reads."""

from typing import Any

import pytest

from platform_assets.spec.model.machines import Machine
from platform_assets.spec.rules import nodes as rules
from platform_assets.spec.rules.grounds import Rule
from tests.unit.spec.rules.sound import machine, said

OFFENCES: list[tuple[Rule, dict[str, Any], list[str]]] = [
    (
        rules.label_syntax,
        {
            "clusters/cloud/workers/0/node_labels": {
                "workload type": "general purpose",
                "Example.com/x": "y",
                "/x": "y",
                "ok": "",
            }
        },
        [
            (
                "clusters.cloud.workers[0].node_labels.workload type: 'workload type' is no "
                "key of a label: expected at most 63 letters, digits, '-', '_' and '.', "
                "beginning and ending with a letter or digit -> rename the key"
            ),
            (
                "clusters.cloud.workers[0].node_labels.workload type: 'general purpose' is no "
                "value of a label: expected at most 63 letters, digits, '-', '_' and '.', "
                "beginning and ending with a letter or digit -> rename the value"
            ),
            (
                "clusters.cloud.workers[0].node_labels.Example.com/x: 'Example.com/x' is no "
                "key of a label: expected a DNS name before the '/', as in nvidia.com/gpu -> "
                "rename the key"
            ),
            (
                "clusters.cloud.workers[0].node_labels./x: '/x' is no key of a label: expected "
                "a DNS name before the '/', as in nvidia.com/gpu -> rename the key"
            ),
        ],
    ),
    (
        rules.taint_syntax,
        {
            "clusters/cloud/workers/1/node_taints": [
                "nvidia.com/gpu=present:noschedule",
                {"key": "a b", "value": "-", "effect": "NoExecute"},
            ]
        },
        [
            (
                "clusters.cloud.workers[1].node_taints[0].effect: 'noschedule' is no effect of "
                "a taint: expected one of NoSchedule, PreferNoSchedule, NoExecute; did you "
                "mean NoSchedule? -> write the taint as in nvidia.com/gpu=present:NoSchedule"
            ),
            (
                "clusters.cloud.workers[1].node_taints[1].key: 'a b' is no key of a taint: "
                "expected at most 63 letters, digits, '-', '_' and '.', beginning and ending "
                "with a letter or digit -> write the taint as in "
                "nvidia.com/gpu=present:NoSchedule"
            ),
            (
                "clusters.cloud.workers[1].node_taints[1].value: '-' is no value of a taint: "
                "expected at most 63 letters, digits, '-', '_' and '.', beginning and ending "
                "with a letter or digit -> write the taint as in "
                "nvidia.com/gpu=present:NoSchedule"
            ),
        ],
    ),
    (
        rules.taint_syntax,
        {"clusters/cloud/kubernetes/node_taints/gpu-worker-1": ["gpu:Never"]},
        [
            (
                "clusters.cloud.kubernetes.node_taints.gpu-worker-1[0].effect: 'Never' is no "
                "effect of a taint: expected one of NoSchedule, PreferNoSchedule, NoExecute -> "
                "write the taint as in nvidia.com/gpu=present:NoSchedule"
            ),
        ],
    ),
    (
        rules.duplicate_taint,
        {
            "clusters/cloud/workers/1/node_taints": [
                "nvidia.com/gpu=a:NoSchedule",
                "nvidia.com/gpu=b:NoSchedule",
            ]
        },
        [
            (
                "clusters.cloud.workers[1].node_taints[1]: the taint nvidia.com/gpu with "
                "effect NoSchedule is declared twice -> keep one of them"
            ),
        ],
    ),
    (
        rules.unknown_node,
        {"clusters/cloud/kubernetes/node_labels": {"gpu-wroker-1": {"a": "b"}}},
        [
            (
                "clusters.cloud.kubernetes.node_labels.gpu-wroker-1: no machine of the cloud "
                "is called 'gpu-wroker-1' -> did you mean 'gpu-worker-1'?"
            ),
        ],
    ),
    (
        rules.unknown_node,
        {
            "clusters/cloud/kubernetes/node_labels": {},
            "clusters/cloud/kubernetes/node_taints": {
                "compute-1": ["a:NoSchedule"],
                "zzz": ["a:NoSchedule"],
            },
        },
        [
            (
                "clusters.cloud.kubernetes.node_taints.compute-1: no machine of the cloud is "
                "called 'compute-1'; there is one in hpc, which has no Kubernetes -> remove "
                "the entry, or move the machine to clusters.cloud"
            ),
            (
                "clusters.cloud.kubernetes.node_taints.zzz: no machine of the cloud is called "
                "'zzz' -> use the name of a machine: control-plane-1, cpu-worker-1, "
                "gpu-worker-1"
            ),
        ],
    ),
    (
        rules.node_name_spelling,
        {"clusters/cloud/kubernetes/node_labels": {"gpu-worker-01": {"a": "b"}}},
        [
            (
                "[note] clusters.cloud.kubernetes.node_labels.gpu-worker-01: 'gpu-worker-01' "
                "is taken as 'gpu-worker-1' -> write 'gpu-worker-1', the name of "
                "clusters.cloud.workers[1]"
            ),
        ],
    ),
    (
        rules.node_named_twice,
        {
            "clusters/cloud/kubernetes/node_labels": {
                "gpu-worker-1": {"a": "b"},
                "gpu-worker-01": {"c": "d"},
            }
        },
        [
            (
                "clusters.cloud.kubernetes.node_labels.gpu-worker-01: 'gpu-worker-01' and "
                "'gpu-worker-1' are both 'gpu-worker-1' -> put everything under one of them"
            ),
        ],
    ),
    (
        rules.label_contradicted,
        {
            "clusters/cloud/kubernetes/node_labels": {
                "gpu-worker-01": {"gpu-type": "t4", "workload-type": "inference"}
            }
        },
        [
            (
                "clusters.cloud.kubernetes.node_labels.gpu-worker-01.gpu-type: gpu-type is "
                "'t4' here, and 'a100' at clusters.cloud.workers[1] -> keep one of them"
            ),
        ],
    ),
    (
        rules.labels_outside_kubernetes,
        {"clusters/hpc/compute_nodes/0/node_labels": {"a": "b"}},
        [
            (
                "[warning] clusters.hpc.compute_nodes[0].node_labels: compute-1 stands in hpc, "
                "which has no Kubernetes to read node_labels -> remove the key, or move the "
                "machine to clusters.cloud"
            ),
        ],
    ),
    (
        rules.gpu_node_without_taint,
        {"clusters/cloud/workers/1/node_taints": []},
        [
            (
                "[warning] clusters.cloud.workers[1]: gpu-worker-1 has a GPU, and no taint "
                "keeps pods away that need none -> add node_taints: "
                "[nvidia.com/gpu=present:NoSchedule]"
            ),
        ],
    ),
    (
        rules.gpu_node_without_label,
        {"clusters/cloud/workers/1/node_labels": {}},
        [
            (
                "[warning] clusters.cloud.workers[1]: gpu-worker-1 has a GPU, and no label "
                "says which -> add node_labels: {gpu-type: MODEL}, or enable "
                "kubernetes.gpu_operator.gfd"
            ),
        ],
    ),
]


@pytest.mark.parametrize(("rule", "changes", "expected"), OFFENCES)
def test_an_offence_is_told(rule: Rule, changes: dict[str, Any], expected: list[str]) -> None:
    assert said(rule, changes) == expected


def test_each_rule_has_an_offence() -> None:
    assert {rule for rule, _, _ in OFFENCES} == set(rules.NODE_RULES)


def test_a_long_list_of_machines_is_cut_off() -> None:
    changes: dict[str, Any] = {"clusters/cloud/kubernetes/node_labels": {"zzz": {"a": "b"}}}
    workers = {
        f"clusters/cloud/workers/{at}": machine(f"worker-{at}", f"192.168.200.{20 + at}")
        for at in range(2, 8)
    }
    (found,) = said(rules.unknown_node, changes | dict(list(workers.items())[:5]))
    assert found.endswith("gpu-worker-1, worker-2, worker-3, worker-4, worker-5, worker-6")
    (found,) = said(rules.unknown_node, changes | workers)
    assert found.endswith("gpu-worker-1, worker-2, worker-3, worker-4, worker-5, worker-6, …")


def test_an_operator_that_is_off_sets_no_labels() -> None:
    changes: dict[str, Any] = {
        "clusters/cloud/kubernetes/gpu_operator": {"enabled": False, "gfd": {"enabled": True}},
        "clusters/cloud/workers/1/node_labels": {},
    }
    assert len(said(rules.gpu_node_without_label, changes)) == 1


def test_what_stands_under_kubernetes_is_looked_at_too() -> None:
    kubernetes = "clusters/cloud/kubernetes"
    (label,) = said(rules.label_syntax, {f"{kubernetes}/node_labels": {"gpu-worker-1": {"-": ""}}})
    assert label.startswith("clusters.cloud.kubernetes.node_labels.gpu-worker-1.-: '-' is no key")


def test_labels_of_a_machine_that_nobody_declares_contradict_none() -> None:
    labels = {"clusters/cloud/kubernetes/node_labels": {"nobody": {"a": "b"}}}
    assert said(rules.label_contradicted, labels) == []


@pytest.mark.parametrize(
    ("declared", "has"),
    [
        ({"worker_type": "gpu"}, True),
        ({"gpu_enabled": True}, True),
        ({"gpu": {"devices": [{"mig_profile": "1g.5gb"}]}}, True),
        ({"gpu": {"enabled": False, "devices": [{"mig_profile": "1g.5gb"}]}}, False),
        ({"pcie_passthrough": {"devices": [{"pci_address": "0000:17:00.0"}]}}, True),
        (
            {"pcie_passthrough": {"enabled": False, "devices": [{"pci_address": "0000:17:00.0"}]}},
            False,
        ),
        ({"pcie_passthrough": {"devices": []}}, False),
        ({}, False),
    ],
)
def test_what_says_that_a_machine_has_a_gpu(declared: dict[str, Any], has: bool) -> None:
    assert Machine.model_validate(machine("a", "192.168.200.9", **declared)).has_gpu is has


@pytest.mark.parametrize("effect", ["NOSCHEDULE", "no-schedule"])
def test_an_effect_that_is_nearly_one_is_recognised(effect: str) -> None:
    (found,) = said(rules.taint_syntax, {"clusters/cloud/workers/1/node_taints": [f"a:{effect}"]})
    assert "did you mean NoSchedule?" in found
