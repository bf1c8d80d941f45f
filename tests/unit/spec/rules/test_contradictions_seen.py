"""Contradictions that real plans held, each in a file of its own, and the finding that names it."""

from pathlib import Path
from textwrap import indent

import pytest

from platform_assets.spec.judgement import judge
from platform_assets.spec.loading.load import load
from tests.unit.spec.rules.sound import GROUNDS, line

ESTATES = Path(__file__).parents[3] / "fixtures" / "estates"
HEAD = """\
metadata: {name: contradictory}
images:
  cloud-base: {path: build/cloud.qcow2, operating_system: debian 12, nvidia_driver: 535.129.03}
clusters:
  cloud:
    image: cloud-base
    network: {subnet: 192.168.200.0/24, bridge: virbr200}
    control_plane:
      - {name: control-plane-1, ip: 192.168.200.10, cpu_cores: 6, memory_gb: 12, disk_gb: 150}
    workers:
      - {name: gpu-worker-1, ip: 192.168.200.12, cpu_cores: 12, memory_gb: 32, disk_gb: 300,
         worker_type: gpu, gpu_enabled: true}
"""


def told(text: str) -> dict[str, str]:
    """Return findings on what the cloud says beside machines, by line below the head and rule."""
    content = HEAD + indent(text, "    ")
    start = HEAD.count("\n")
    loaded = load(content.encode(), "estate.yaml", {})
    return {
        f"{(finding.line or 0) - start} {finding.rule}": line(finding)
        for finding in judge(loaded, GROUNDS)
    }


def test_time_slicing_is_off_and_configured_and_the_driver_comes_twice() -> None:
    found = told(
        "kubernetes:\n"
        "  gpu_operator:\n"
        "    driver: {enabled: true, version: 535.129.03}\n"
        "    device_plugin:\n"
        "      time_slicing: false\n"
        "      config: {name: time-slicing-config-all}\n"
    )
    assert found["6 time-slicing-contradicted"].endswith(
        "the device plugin reads the ConfigMap 'time-slicing-config-all', while time_slicing is "
        "false -> set time_slicing to true, or remove config"
    )
    assert found["3 driver-twice"].endswith(
        "the operator installs the driver, but 'cloud-base', the image of gpu-worker-1, holds "
        "driver 535.129.03 -> set gpu_operator.driver.enabled to false, or take an image without "
        "driver"
    )


def test_one_thing_has_two_names() -> None:
    found = told(
        "kubernetes: {operating_system: debian 13}\n"
        "mlops:\n"
        "  mlflow:\n"
        "    version: 2.9.0\n"
        "    image: ghcr.io/mlflow/mlflow:v2.9.2\n"
        "    database: {host: postgresql}\n"
        "    artifact_store: {type: minio, bucket: mlflow-artifacts, endpoint: 'minio:9000'}\n"
        "  postgresql:\n"
        "    service: {name: postgresql-service}\n"
        "  minio:\n"
        "    service: {name: minio-service, api_port: 9000}\n"
        "    buckets: [{name: mlflow}, {name: models}]\n"
    )
    expected = {
        "1 operating-systems-differ": "operating_system is 'debian 13', but the image "
        "'cloud-base' holds 'debian 12'",
        "4 mlflow-image-differs": "version is 2.9.0, but the image is ghcr.io/mlflow/mlflow:v2.9.2",
        "6 mlflow-database": "'postgresql' names no declared Service: that of postgresql is "
        "'postgresql-service'",
        "7 mlflow-store": "'minio' names no declared Service: that of minio is 'minio-service'",
        "7 mlflow-bucket": "'mlflow-artifacts' is not among the buckets of "
        "clusters.cloud.mlops.minio: mlflow, models",
    }
    for place, message in expected.items():
        assert message in found[place]


def test_a_runtime_and_its_endpoints_stand_apart() -> None:
    found = told(
        "mlops:\n"
        "  serving:\n"
        "    kserve:\n"
        "      namespace: kserve-system\n"
        "      runtimes:\n"
        "        - {name: mlflow-runtime, namespace: kserve-system}\n"
        "      inference_services: {namespace: default}\n"
    )
    assert "cannot be used by InferenceServices in 'default'" in found["6 runtime-elsewhere"]


def test_scaling_needs_knative() -> None:
    found = told(
        "mlops:\n"
        "  serving:\n"
        "    kserve:\n"
        "      mode: standard\n"
        "      autoscaling:\n"
        "        enabled: true\n"
        "        min_replicas: 0\n"
        "        max_replicas: 10\n"
        "        target_concurrency: 10\n"
    )
    assert "only Knative scales to zero and back" in found["7 scale-to-zero"]
    assert "only Knative counts requests" in found["9 concurrency-without-knative"]


def test_labels_keyed_by_a_name_never_miss_silently() -> None:
    found = told(
        "kubernetes:\n"
        "  node_labels:\n"
        "    gpu-worker-01: {gpu-type: a100}\n"
        "    gpu-worker-2: {gpu-type: a100}\n"
    )
    assert "'gpu-worker-01' is taken as 'gpu-worker-1'" in found["3 node-name-spelling"]
    assert found["4 unknown-node"].endswith("-> did you mean 'gpu-worker-1'?")
    assert not any("gpu-node-without-label" in place for place in found)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "inference_cluster",
            {
                ("virtual-ip-without-load-balancer", "ingress.load_balancer_ip"),
                ("concurrency-without-knative", "autoscaling.target_concurrency"),
                ("mlflow-database", "mlflow.database.host"),
                ("mlflow-store", "artifact_store.endpoint"),
                ("literal-secret", "mlflow.database.password"),
                ("literal-secret", "credentials.root_password"),
                ("literal-secret", "postgresql.database.password"),
            },
        ),
        (
            "dual_stack",
            {
                ("gpu-node-without-taint", "workers[1]"),
                ("gpu-node-without-label", "workers[1]"),
                ("gpu-nodes-without-operator", "kubernetes"),
            },
        ),
    ],
)
def test_a_plan_as_it_was_written(name: str, expected: set[tuple[str, str]]) -> None:
    loaded = load((ESTATES / f"{name}.yaml").read_bytes(), f"{name}.yaml", {})
    found = [(each.rule, line(each).split(": ")[0]) for each in judge(loaded, GROUNDS)]
    for rule, end in expected:
        assert any(each == rule and path.endswith(end) for each, path in found), (rule, end)
