"""Rules about names: each offence with what a person reads."""

from typing import Any

import pytest

from platform_assets.spec.rules import names as rules
from platform_assets.spec.rules.grounds import Rule
from tests.unit.spec.rules.sound import GONE, said

OFFENCES: list[tuple[Rule, dict[str, Any], list[str]]] = [
    (
        rules.duplicate_machine_name,
        {"clusters/cloud/workers/1/name": "cpu-worker-1"},
        [
            (
                "clusters.cloud.workers[1].name: 'cpu-worker-1' is also the name of "
                "clusters.cloud.workers[0] -> rename one of them"
            ),
        ],
    ),
    (
        rules.asset_name_collision,
        {"clusters/cloud/workers/1/name": "cpu.worker-1", "images/hpc_base": {"path": "x"}},
        [
            (
                "clusters.cloud.workers[1].name: 'cpu.worker-1' and 'cpu-worker-1' "
                "(clusters.cloud.workers[0].name) would both be the asset cloud_cpu_worker_1 "
                "-> rename one of them so that more than '-', '.' and '_' tells them apart"
            ),
            (
                "images.hpc_base: 'hpc_base' and 'hpc-base' (images.hpc-base) would both be "
                "the asset hpc_base -> rename one of them so that more than '-', '.' and '_' "
                "tells them apart"
            ),
        ],
    ),
    (
        rules.machine_name,
        {
            "clusters/cloud/workers/1/name": "GPU_Worker 1",
            "clusters/hpc/controller/name": "localhost",
        },
        [
            (
                "clusters.hpc.controller.name: 'localhost' is no host name: expected another "
                "name than the one by which each machine knows itself -> rename it, as in "
                "'gpu-worker-1'"
            ),
            (
                "clusters.cloud.workers[1].name: 'GPU_Worker 1' is no host name: expected at "
                "most 63 lower-case letters, digits and '-', beginning and ending with a "
                "letter or digit, in parts divided by '.' -> rename it, as in 'gpu-worker-1'"
            ),
        ],
    ),
    (
        rules.machine_name,
        {"clusters/cloud/workers/1/name": "a" * 64},
        [
            (
                "clusters.cloud.workers[1].name: "
                "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' is no host "
                "name: expected at most 63 lower-case letters, digits and '-', beginning and "
                "ending with a letter or digit, in parts divided by '.' -> rename it, as in "
                "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'"
            ),
        ],
    ),
    (
        rules.duplicate_cluster_name,
        {"clusters/cloud/name": "hpc"},
        [
            ("clusters.cloud.name: 'hpc' is also the name of clusters.hpc -> rename one of them"),
        ],
    ),
    (
        rules.image_name,
        {"images/debian 13": {"path": "x"}},
        [
            (
                "images.debian 13: 'debian 13' names an image: expected letters, digits, '-', "
                "'_' and '.' -> rename it, here and where it is used"
            ),
        ],
    ),
    (
        rules.kubernetes_name,
        {
            "clusters/cloud/kubernetes/networking/dns_domain": "Cluster_local",
            "clusters/cloud/kubernetes/storage/classes/1/name": "NFS",
            "clusters/cloud/kubernetes/gpu_operator/device_plugin": {
                "config": {"name": "time_slicing"}
            },
        },
        [
            (
                "clusters.cloud.kubernetes.networking.dns_domain: 'Cluster_local' names a DNS "
                "domain: expected at most 253 lower-case letters, digits and '-', beginning "
                "and ending with a letter or digit, in parts divided by '.' -> rename it"
            ),
            (
                "clusters.cloud.kubernetes.storage.classes[1].name: 'NFS' names a storage "
                "class: expected at most 253 lower-case letters, digits and '-', beginning and "
                "ending with a letter or digit, in parts divided by '.' -> rename it"
            ),
            (
                "clusters.cloud.kubernetes.gpu_operator.device_plugin.config.name: "
                "'time_slicing' names a ConfigMap: expected at most 253 lower-case letters, "
                "digits and '-', beginning and ending with a letter or digit, in parts divided "
                "by '.' -> rename it"
            ),
        ],
    ),
    (
        rules.kubernetes_name,
        {
            "clusters/cloud/mlops/namespace": "ml.ops",
            "clusters/cloud/mlops/mlflow/service": {"name": "1mlflow"},
            "clusters/cloud/mlops/serving/kserve/namespace": "-kserve",
            "clusters/cloud/mlops/serving/kserve/inference_services/namespace": "Models",
            "clusters/cloud/mlops/serving/kserve/runtimes/0": {"name": "vLLM", "namespace": "m_1"},
        },
        [
            (
                "clusters.cloud.mlops.namespace: 'ml.ops' names a namespace: expected at most "
                "63 lower-case letters, digits and '-', beginning and ending with a letter or "
                "digit -> rename it"
            ),
            (
                "clusters.cloud.mlops.mlflow.service.name: '1mlflow' names a Service: expected "
                "at most 63 lower-case letters, digits and '-', beginning with a letter -> "
                "rename it"
            ),
            (
                "clusters.cloud.mlops.serving.kserve.namespace: '-kserve' names a namespace: "
                "expected at most 63 lower-case letters, digits and '-', beginning and ending "
                "with a letter or digit -> rename it"
            ),
            (
                "clusters.cloud.mlops.serving.kserve.inference_services.namespace: 'Models' "
                "names a namespace: expected at most 63 lower-case letters, digits and '-', "
                "beginning and ending with a letter or digit -> rename it"
            ),
            (
                "clusters.cloud.mlops.serving.kserve.runtimes[0].name: 'vLLM' names a "
                "ServingRuntime: expected at most 253 lower-case letters, digits and '-', "
                "beginning and ending with a letter or digit, in parts divided by '.' -> "
                "rename it"
            ),
            (
                "clusters.cloud.mlops.serving.kserve.runtimes[0].namespace: 'm_1' names a "
                "namespace: expected at most 63 lower-case letters, digits and '-', beginning "
                "and ending with a letter or digit -> rename it"
            ),
        ],
    ),
]


@pytest.mark.parametrize(("rule", "changes", "expected"), OFFENCES)
def test_an_offence_is_told(rule: Rule, changes: dict[str, Any], expected: list[str]) -> None:
    assert said(rule, changes) == expected


def test_each_rule_has_an_offence() -> None:
    assert {rule for rule, _, _ in OFFENCES} == set(rules.NAME_RULES)


@pytest.mark.parametrize("cluster", ["hpc", "cloud"])
def test_a_cluster_alone_has_a_name_of_its_own(cluster: str) -> None:
    assert said(rules.duplicate_cluster_name, {f"clusters/{cluster}": GONE}) == []
