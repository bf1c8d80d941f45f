"""Rules about the GPU Operator and the driver: each offence with what a person reads."""

from typing import Any

import pytest

from platform_assets.spec.rules import gpu_operator as rules
from platform_assets.spec.rules.grounds import Rule
from tests.unit.spec.rules.sound import GONE, said

OFFENCES: list[tuple[Rule, dict[str, Any], list[str]]] = [
    (
        rules.time_slicing_contradicted,
        {
            "clusters/cloud/kubernetes/gpu_operator/device_plugin": {
                "time_slicing": False,
                "config": {"name": "time-slicing-config-all"},
            }
        },
        [
            (
                "clusters.cloud.kubernetes.gpu_operator.device_plugin.config: the device "
                "plugin reads the ConfigMap 'time-slicing-config-all', while time_slicing is "
                "false -> set time_slicing to true, or remove config"
            ),
        ],
    ),
    (
        rules.driver_twice,
        {"clusters/cloud/kubernetes/gpu_operator/driver": {"enabled": True}},
        [
            (
                "clusters.cloud.kubernetes.gpu_operator.driver.enabled: the operator installs "
                "the driver, but 'cloud-base', the image of gpu-worker-1, holds driver "
                "580.95.05 -> set gpu_operator.driver.enabled to false, or take an image "
                "without driver"
            ),
        ],
    ),
    (
        rules.no_driver,
        {"images/cloud-base/nvidia_driver": GONE},
        [
            (
                "clusters.cloud.workers[1]: gpu-worker-1 has a GPU; its image 'cloud-base' "
                "names no nvidia_driver, and the operator installs none -> say which driver "
                "the image holds (images.cloud-base.nvidia_driver), or set "
                "gpu_operator.driver.enabled to true"
            ),
        ],
    ),
    (
        rules.driver_versions_differ,
        {
            "clusters/cloud/kubernetes/gpu_operator/driver_version": "535.129.03",
            "clusters/cloud/kubernetes/gpu_operator/driver": {"version": "570.1"},
        },
        [
            (
                "clusters.cloud.kubernetes.gpu_operator.driver_version: driver_version is "
                "535.129.03, but clusters.cloud.kubernetes.gpu_operator.driver.version says "
                "570.1 -> keep one version"
            ),
            (
                "clusters.cloud.kubernetes.gpu_operator.driver_version: driver_version is "
                "535.129.03, but images.cloud-base.nvidia_driver says 580.95.05 -> keep one "
                "version"
            ),
        ],
    ),
    (
        rules.gpu_nodes_without_operator,
        {"clusters/cloud/kubernetes/gpu_operator": GONE},
        [
            (
                "[warning] clusters.cloud.kubernetes: gpu-worker-1: GPUs that Kubernetes does "
                "not hear of without the GPU Operator's device plugin -> enable "
                "kubernetes.gpu_operator and its device_plugin"
            ),
        ],
    ),
    (
        rules.gpu_nodes_without_operator,
        {"clusters/cloud/kubernetes/gpu_operator/device_plugin": {"enabled": False}},
        [
            (
                "[warning] clusters.cloud.kubernetes.gpu_operator: gpu-worker-1: GPUs that "
                "Kubernetes does not hear of without the GPU Operator's device plugin -> "
                "enable kubernetes.gpu_operator and its device_plugin"
            ),
        ],
    ),
]


@pytest.mark.parametrize(("rule", "changes", "expected"), OFFENCES)
def test_an_offence_is_told(rule: Rule, changes: dict[str, Any], expected: list[str]) -> None:
    assert said(rule, changes) == expected


def test_each_rule_has_an_offence() -> None:
    assert {rule for rule, _, _ in OFFENCES} == set(rules.GPU_OPERATOR_RULES)
