"""Which folder is taken for KServe's manifests, and what is made of its files."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from platform_assets.services import kserve_manifests as manifests
from platform_assets.services.kserve_files import (
    KserveFiles,
    KserveManifestsRefused,
    read_kserve_files,
)
from platform_assets.spec.model.services import Kserve

RUNTIME = """
kind: ClusterServingRuntime
apiVersion: serving.kserve.io/v1alpha1
metadata: {name: kserve-mlserver, creationTimestamp: null}
spec: {containers: [{name: kserve-container, image: "mlserver:replace"}]}
"""
IMAGES = """
resources: [kserve-mlserver.yaml]
images: [{name: mlserver, newName: kserve/mlserver, newTag: latest-gpu}]
"""
CONFIGURATION = """
kind: ConfigMap
apiVersion: v1
metadata: {name: inferenceservice-config, namespace: kserve}
data:
  _example: words
  deploy: '{"defaultDeploymentMode": "Serverless", "other": 1}'
  ingress: '{"urlScheme": "http"}'
  agent: '{"image": "kserve/agent:latest"}'
"""
MANAGER = """
kind: Deployment
apiVersion: apps/v1
metadata: {name: kserve-controller-manager}
spec:
  template:
    metadata: {}
    spec:
      containers:
        - {name: manager, resources: {limits: {cpu: 100m}}, readinessProbe: {}}
"""


@pytest.fixture
def files(tmp_path: Path) -> KserveFiles:
    (tmp_path / "kserve-deps.env").write_text("A=1\nKSERVE_VERSION=v0.20.0\n")
    written = {
        "runtimes/kustomization.yaml": IMAGES,
        "runtimes/kserve-mlserver.yaml": RUNTIME,
        "manager/kustomization.yaml": "resources: [manager.yaml]",
        "manager/manager.yaml": MANAGER,
        "configmap/kustomization.yaml": "resources: [inferenceservice.yaml]",
        "configmap/inferenceservice.yaml": CONFIGURATION,
    }
    for name, text in written.items():
        path = tmp_path / "config" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return read_kserve_files(tmp_path, "v0.20.0")


def test_a_folder_that_is_no_kserve(tmp_path: Path):
    with pytest.raises(KserveManifestsRefused, match=r"kserve-deps.env: expected a file of KServe"):
        read_kserve_files(tmp_path, None)
    (tmp_path / "kserve-deps.env").write_text("A=1\n")
    with pytest.raises(
        KserveManifestsRefused, match=r"it names no KSERVE_VERSION; let kserve.mani"
    ):
        read_kserve_files(tmp_path, None)


def test_another_version(files: KserveFiles):
    assert files.version == "0.20.0"
    with pytest.raises(KserveManifestsRefused, match=r"expected KServe 0.19.0, .*, found 0.20.0"):
        read_kserve_files(files.folder, "0.19.0")


def test_part_of_it_is_missing(files: KserveFiles):
    with pytest.raises(KserveManifestsRefused, match=r"config/crd/full/kustomization.yaml: expec"):
        files.definitions()


def test_runtimes_are_those_of_the_estate(files: KserveFiles):
    [found] = manifests.runtimes(files, Kserve())
    assert list(manifests.images_of([found])) == ["kserve/mlserver:v0.20.0-gpu"]
    assert "creationTimestamp" not in found["metadata"]
    named = {"name": "kserve-mlserver", "image": "mine@sha256:1", "namespace": "models"}
    [found] = manifests.runtimes(files, Kserve.model_validate({"runtimes": [named]}))
    assert (found["kind"], found["metadata"]["namespace"]) == ("ServingRuntime", "models")
    assert list(manifests.images_of([found])) == ["mine@sha256:1"]
    with pytest.raises(KserveManifestsRefused, match="found 'mine'; there are kserve-mlserver"):
        manifests.runtimes(files, Kserve.model_validate({"runtimes": [{"name": "mine"}]}))


def test_the_configuration_is_for_a_cluster_without_gateway(files: KserveFiles):
    data = manifests.configuration(files, Kserve())["data"]
    assert "_example" not in data
    assert json.loads(data["deploy"]) == {"defaultDeploymentMode": "Standard", "other": 1}
    assert json.loads(data["ingress"])["disableIngressCreation"] is True
    assert json.loads(data["agent"])["image"] == "kserve/agent:v0.20.0"
    knative = manifests.configuration(files, Kserve(mode="knative"))["data"]
    assert json.loads(knative["deploy"])["defaultDeploymentMode"] == "Serverless"


def test_nodes_log_in_to_pull_the_manager_where_the_estate_says_so(files: KserveFiles):
    plain = manifests.manager(files, Kserve(), "1")["spec"]["template"]["spec"]
    assert "imagePullSecrets" not in plain
    kserve = Kserve.model_validate({"pull_secret": "registry"})
    spec = manifests.manager(files, kserve, "1")["spec"]["template"]["spec"]
    assert spec["imagePullSecrets"] == [{"name": "registry"}]


@pytest.mark.parametrize("name", ["", "Registry", "a_b", "-a", "a" * 254, "a/b"])
def test_a_pull_secret_that_no_secret_can_be_called(name: str):
    with pytest.raises(ValidationError, match="pull_secret"):
        Kserve.model_validate({"pull_secret": name})
