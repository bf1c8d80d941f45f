"""Spellings of Kubernetes and of services, and what they become."""

import pytest

from platform_assets.spec.loading.load import load
from tests.unit.spec.loading.declared import clusters, told


def test_the_short_form_of_kubernetes():
    short = {"cni": "calico", "ingress": "nginx", "storage_class": "local-path"}
    assert clusters(cloud={"kubernetes_config": short})["cloud"]["kubernetes"] == {
        "networking": {"cni": "calico"},
        "ingress": {"provider": "nginx"},
        "storage": {
            "default_class": "local-path",
            "classes": [{"name": "local-path", "provisioner": "rancher.io/local-path"}],
        },
    }


def test_spellings_of_kubespray():
    kubespray = {
        "kube_version": "v1.28.0",
        "containerd_version": "1.7.23",
        "container_manager": "containerd",
        "kubespray_version": "v2.29.0",
        "calico_version": "v3.30.3",
    }
    assert clusters(cloud={"kubernetes": kubespray})["cloud"]["kubernetes"] == {
        "version": "v1.28.0",
        "kubespray": "v2.29.0",
        "runtime": "containerd",
        "runtime_version": "1.7.23",
        "networking": {"cni_version": "v3.30.3"},
    }


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ({"kserve_enable_raw_deployment": "true"}, {"mode": "standard"}),
        ({"raw_deployment": "false"}, {"mode": "knative"}),
        ({"deployment_mode": "RawDeployment"}, {"mode": "standard"}),
        ({"mode": "Serverless"}, {"mode": "knative"}),
        (
            {"knative_min_scale": "0", "knative_max_scale": "10"},
            {"autoscaling": {"min_replicas": 0, "max_replicas": 10}},
        ),
        (
            {"kserve_version": "0.11.2", "kserve_namespace": "kserve-system"},
            {"version": "0.11.2", "namespace": "kserve-system"},
        ),
    ],
)
def test_spellings_of_kserve(declared, expected):
    found = clusters(cloud={"mlops": {"serving": {"kserve": declared}}})
    assert found["cloud"]["mlops"]["serving"]["kserve"] == expected


def test_spellings_of_postgresql():
    declared = {
        "database": {"name": "m", "user": "u"},
        "ha": {"enabled": "true"},
        "storage": {"size": "1Gi", "storage_class": "c"},
    }
    assert clusters(cloud={"mlops": {"postgresql": declared}})["cloud"]["mlops"] == {
        "postgresql": {
            "database": {"database": "m", "username": "u"},
            "replicas": 3,
            "storage": {"size": "1Gi", "class": "c"},
        }
    }


@pytest.mark.parametrize("said", ["maybe", "a", ""])
def test_high_availability_is_on_or_off(said):
    text = f"name: e\nclusters: {{cloud: {{mlops: {{postgresql: {{ha: '{said}'}}}}}}}}\n"
    assert [found[3] for found in told(text)] == [
        "ha: expected `enabled: true` or `enabled: false`"
    ]


@pytest.mark.parametrize(("value", "mode"), [("true", "standard"), ("False", "knative")])
def test_a_variable_may_say_how_kserve_runs(value, mode):
    text = "name: e\nclusters: {cloud: {mlops: {serving: {kserve: {raw_deployment: '${RAW}'}}}}}\n"
    estate = load(text.encode(), "e.yaml", {"RAW": value}).estate
    assert estate.clusters.cloud.mlops.serving.kserve.mode == mode


@pytest.mark.parametrize(("ha", "replicas"), [("True", 3), ("FALSE", 1)])
def test_high_availability_of_postgresql(ha, replicas):
    text = f"name: e\nclusters: {{cloud: {{mlops: {{postgresql: {{ha: {{enabled: {ha}}}}}}}}}}}\n"
    result = load(text.encode(), "e.yaml", {})
    assert result.findings == ()
    assert result.estate.clusters.cloud.mlops.postgresql.replicas == replicas
