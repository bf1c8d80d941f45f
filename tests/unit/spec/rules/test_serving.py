"""Rules about KServe: each offence with what a person reads."""

from typing import Any

import pytest

from platform_assets.spec.rules import serving as rules
from platform_assets.spec.rules.grounds import Rule
from tests.unit.spec.rules.sound import GONE, said

OFFENCES: list[tuple[Rule, dict[str, Any], list[str]]] = [
    (
        rules.scale_to_zero,
        {"clusters/cloud/mlops/serving/kserve/autoscaling/min_replicas": 0},
        [
            (
                "clusters.cloud.mlops.serving.kserve.autoscaling.min_replicas: min_replicas: 0 "
                "in standard mode: only Knative scales to zero and back -> set min_replicas to "
                "1, or kserve.mode to knative with kubernetes.knative.enabled"
            ),
        ],
    ),
    (
        rules.concurrency_without_knative,
        {"clusters/cloud/mlops/serving/kserve/autoscaling/target_concurrency": 10},
        [
            (
                "clusters.cloud.mlops.serving.kserve.autoscaling.target_concurrency: "
                "target_concurrency: 10 in standard mode: only Knative counts requests -> use "
                "target_cpu_percent, or kserve.mode knative with kubernetes.knative.enabled"
            ),
        ],
    ),
    (
        rules.knative_missing,
        {"clusters/cloud/mlops/serving/kserve/mode": "knative"},
        [
            (
                "clusters.cloud.mlops.serving.kserve.mode: mode is knative, but "
                "clusters.cloud.kubernetes.knative.enabled is false -> enable "
                "kubernetes.knative, or set kserve.mode to standard"
            ),
        ],
    ),
    (
        rules.cert_manager_missing,
        {"clusters/cloud/kubernetes/cert_manager": GONE},
        [
            (
                "clusters.cloud.mlops.serving.kserve: kserve is enabled, but "
                "kubernetes.cert_manager is not: its manager would wait for a certificate for "
                "ever -> enable kubernetes.cert_manager"
            ),
        ],
    ),
    (
        rules.replicas_reversed,
        {"clusters/cloud/mlops/serving/kserve/autoscaling/min_replicas": 3},
        [
            (
                "clusters.cloud.mlops.serving.kserve.autoscaling.min_replicas: min_replicas is "
                "3, max_replicas only 1 -> exchange the two, or raise max_replicas"
            ),
        ],
    ),
    (
        rules.runtime_elsewhere,
        {
            "clusters/cloud/mlops/serving/kserve/runtimes/0": {
                "name": "mlflow",
                "namespace": "kserve-system",
            }
        },
        [
            (
                "clusters.cloud.mlops.serving.kserve.runtimes[0].namespace: ServingRuntime "
                "'mlflow' in 'kserve-system' cannot be used by InferenceServices in 'models' "
                "-> remove namespace, which makes it a ClusterServingRuntime, or write 'models'"
            ),
        ],
    ),
    (
        rules.duplicate_runtime,
        {"clusters/cloud/mlops/serving/kserve/runtimes/1": {"name": "kserve-mlserver"}},
        [
            (
                "clusters.cloud.mlops.serving.kserve.runtimes[1].name: runtime "
                "'kserve-mlserver' is declared twice -> remove or rename one of them"
            ),
        ],
    ),
    (
        rules.endpoints_in_control_plane,
        {"clusters/cloud/mlops/serving/kserve/inference_services/namespace": "kserve"},
        [
            (
                "clusters.cloud.mlops.serving.kserve.inference_services.namespace: 'kserve' is "
                "a controller's namespace; KServe's webhooks leave such out -> choose a "
                "namespace of their own, as in models"
            ),
        ],
    ),
    (
        rules.endpoints_in_control_plane,
        {"clusters/cloud/mlops/serving/kserve/inference_services/namespace": "kube-system"},
        [
            (
                "clusters.cloud.mlops.serving.kserve.inference_services.namespace: "
                "'kube-system' is a controller's namespace; KServe's webhooks leave such out "
                "-> choose a namespace of their own, as in models"
            ),
        ],
    ),
    (
        rules.seldon,
        {"clusters/cloud/mlops/serving/seldon/enabled": True},
        [
            (
                "clusters.cloud.mlops.serving.seldon.enabled: Seldon Core is not supported -> "
                "set it to false, and serve by KServe"
            ),
        ],
    ),
    (
        rules.pod_resources,
        {
            "clusters/cloud/mlops/serving/kserve/inference_services/default_resources": {
                "requests": {"cpu": "2", "nvidia.com/gpu": "1"},
                "limits": {"cpu": "1500m"},
            }
        },
        [
            (
                "clusters.cloud.mlops.serving.kserve.inference_services.default_resources.reque"
                "sts.cpu: cpu: requests 2, more than the limit 1500m -> raise the limit, or "
                "lower the request"
            ),
            (
                "clusters.cloud.mlops.serving.kserve.inference_services.default_resources.reque"
                "sts.nvidia.com/gpu: nvidia.com/gpu: requests 1, limits none: must be equal -> "
                "raise the limit, or lower the request"
            ),
        ],
    ),
    (
        rules.pod_larger_than_nodes,
        {
            "clusters/cloud/mlops/serving/kserve/inference_services/default_resources": {
                "requests": {"memory": "64Gi"}
            }
        },
        [
            (
                "clusters.cloud.mlops.serving.kserve.inference_services.default_resources.reque"
                "sts: no worker can carry a pod that asks for memory 64Gi -> lower the "
                "requests, or enlarge a worker"
            ),
        ],
    ),
    (
        rules.more_replicas_than_gpus,
        {"clusters/cloud/mlops/serving/kserve/autoscaling/max_replicas": 5},
        [
            (
                "[warning] clusters.cloud.mlops.serving.kserve.autoscaling.max_replicas: 5 "
                "replicas of 1 GPU each are 5 GPUs, the workers have 1 -> set max_replicas to "
                "at most 1"
            ),
        ],
    ),
]


@pytest.mark.parametrize(("rule", "changes", "expected"), OFFENCES)
def test_an_offence_is_told(rule: Rule, changes: dict[str, Any], expected: list[str]) -> None:
    assert said(rule, changes) == expected


def test_each_rule_has_an_offence() -> None:
    assert {rule for rule, _, _ in OFFENCES} == set(rules.SERVING_RULES)


def test_an_extended_resource_has_a_limit_of_the_same_size() -> None:
    resources = {"requests": {"nvidia.com/gpu": "1"}, "limits": {"nvidia.com/gpu": "2"}}
    path = "clusters/cloud/mlops/serving/kserve/inference_services/default_resources"
    (found,) = said(rules.pod_resources, {path: resources})
    assert "nvidia.com/gpu: requests 1, limits 2: must be equal" in found


def test_every_slice_of_a_worker_counts() -> None:
    changes: dict[str, Any] = {
        "clusters/cloud/workers/0/gpu": {"devices": [{"mig_profile": "1g.10gb"}] * 2},
        "clusters/cloud/mlops/serving/kserve/autoscaling/max_replicas": 5,
    }
    (found,) = said(rules.more_replicas_than_gpus, changes)
    assert "the workers have 3" in found
    changes["clusters/cloud/workers/0/gpu"]["enabled"] = False
    (found,) = said(rules.more_replicas_than_gpus, changes)
    assert "the workers have 1" in found


def test_every_gpu_of_a_worker_counts() -> None:
    changes: dict[str, Any] = {
        "clusters/cloud/workers/1/pcie_passthrough/devices/1": {"pci_address": "0000:66:00.0"},
        "clusters/cloud/mlops/serving/kserve/autoscaling/max_replicas": 5,
    }
    (found,) = said(rules.more_replicas_than_gpus, changes)
    assert found.endswith("the workers have 2 -> set max_replicas to at most 2")


@pytest.mark.parametrize("plugin", [{"time_slicing": True}, {"mig_strategy": "single"}])
def test_gpus_that_are_shared_are_not_counted(plugin: dict[str, Any]) -> None:
    changes: dict[str, Any] = {
        "clusters/cloud/kubernetes/gpu_operator/device_plugin": plugin,
        "clusters/cloud/mlops/serving/kserve/autoscaling/max_replicas": 5,
    }
    assert said(rules.more_replicas_than_gpus, changes) == []


@pytest.mark.parametrize(("size", "told"), [("180Gi", 0), ("250Gi", 1)])
def test_a_pod_needs_no_more_disk_than_a_worker_has(size: str, told: int) -> None:
    path = "clusters/cloud/mlops/serving/kserve/inference_services/default_resources"
    resources = {"requests": {"ephemeral-storage": size}}
    assert len(said(rules.pod_larger_than_nodes, {path: resources})) == told


def test_a_pod_has_room_where_a_worker_has_its_gpus_or_gpus_are_shared() -> None:
    resources = {"requests": {"nvidia.com/gpu": "2"}, "limits": {"nvidia.com/gpu": "2"}}
    path = "clusters/cloud/mlops/serving/kserve/inference_services/default_resources"
    changes: dict[str, Any] = {path: resources}
    (found,) = said(rules.pod_larger_than_nodes, changes)
    assert "no worker can carry a pod that asks for nvidia.com/gpu 2" in found
    second = {"pci_address": "0000:66:00.0"}
    two = {"clusters/cloud/workers/1/pcie_passthrough/devices/1": second}
    assert said(rules.pod_larger_than_nodes, changes | two) == []
    shared = {"clusters/cloud/kubernetes/gpu_operator/device_plugin/time_slicing": True}
    assert said(rules.pod_larger_than_nodes, changes | shared) == []
