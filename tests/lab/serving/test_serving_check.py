"""`ai-how serving check` against a real cluster: what it finds, what it says, what it leaves."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ai_how.build import MODELS_BUCKET
from platform_assets.infrastructure.floor import Floor
from platform_assets.services.endpoint_ground import PULL_SECRET, EndpointGround
from platform_assets.services.kserve import ensure_serving_ground, ground_of
from platform_assets.services.kserve_manifests import secret
from platform_assets.serving.cluster_demands import ClusterDemands
from platform_assets.serving.kserve_cluster import Cluster
from platform_assets.serving.probe_pod import PURPOSE
from platform_assets.spec.applied import AppliedEstate, write_applied
from platform_assets.spec.served_pods import GPU
from platform_assets.spec.serving import read_serving
from resources.kubernetes import Kubernetes
from tests.lab.accounts import kubeconfig_of
from tests.lab.estates import applied
from tests.lab.kserve_lab import KserveLab

NOBODY = {"name": "ai-how-nobody", "namespace": "default"}


@pytest.fixture(scope="module")
def estate(kserve_lab: KserveLab, tmp_path_factory: pytest.TempPathFactory) -> AppliedEstate:
    home = tmp_path_factory.mktemp("checked")
    images = {"storage_container": kserve_lab.storage_container.pinned}
    kserve = {"managed": False, "images": images}
    store = kserve_lab.store
    made = applied(home, kserve_lab.lab, store.reader, kserve, store.url)
    models = {"digits": {"endpoint": "digits", "gpus": 1}}
    made.serving_file.write_text(yaml.safe_dump({"models": models}))
    write_applied(made)
    return made


@pytest.fixture
def cluster(kserve_lab: KserveLab) -> Iterator[Kubernetes]:
    kubernetes = Kubernetes(kserve_lab.lab.kubeconfig)
    yield kubernetes
    assert left_by_checks(kubernetes) == []


def left_by_checks(kubernetes: Kubernetes) -> list[str]:
    deadline = time.monotonic() + 30
    while True:
        left = [
            one["metadata"]["name"]
            for kind in ("Pod", "Secret")
            for one in kubernetes.list("v1", kind, labels=dict(PURPOSE))
        ]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.2)


def await_free_gpus(kubernetes: Kubernetes) -> None:
    """Wait until the pods of endpoints that other tests withdrew have left."""
    deadline = time.monotonic() + 60
    while any(one.free[GPU] < 2 for one in Cluster(kubernetes, "models").rooms()):
        assert time.monotonic() < deadline, "GPUs are still taken"
        time.sleep(0.5)


def asked(
    estate: AppliedEstate, kubernetes: Kubernetes, ground: EndpointGround | None = None
) -> dict[str, Floor]:
    served = tuple(read_serving(estate.serving_file).models.values())
    demands = ClusterDemands(kubernetes, ground or ground_of(estate), MODELS_BUCKET, served)
    return {one.name: one for one in demands.floors()}


def command(estate: AppliedEstate, *words: str) -> subprocess.Popen[str]:
    program = [sys.executable, "-c", "from ai_how.cli.main import main; main()"]
    return subprocess.Popen(
        [*program, "serving", "check", *words],
        env={**os.environ, "AI_HOW_STATE": str(estate.state)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_all_is_well(estate: AppliedEstate, cluster: Kubernetes) -> None:
    ensure_serving_ground(cluster, estate, print)
    await_free_gpus(cluster)
    running = command(estate, "--json")
    out, err = running.communicate(timeout=180)
    assert running.returncode == 0, out + err
    demands = {one["name"]: one for one in json.loads(out)["demands"]}
    assert {one["verdict"] for one in demands.values()} == {"holds"}, out
    assert "gpu-node: 2 (taint nvidia.com/gpu=present:NoSchedule)" in demands["GPUs"]["found"]
    assert demands["object store"]["found"].endswith("answers from a pod on gpu-node")

    running = command(estate)
    out, err = running.communicate(timeout=180)
    assert max(map(len, out.splitlines())) <= 100
    assert "9 holds" in out


def test_a_wrong_key_is_told_in_the_containers_words(
    estate: AppliedEstate, cluster: Kubernetes, tmp_path: Path
) -> None:
    key = tmp_path / "s3-reader.json"
    key.write_text(json.dumps({"access_key": "lab-reader", "secret_key": "wrong"}))
    found = asked(estate, cluster, replace(ground_of(estate), readers_key=key))
    assert found["image"].verdict == "holds"
    store = found["object store"]
    assert store.verdict == "fails"
    assert "SignatureDoesNotMatch" in store.found
    assert "the keys are wrong" in store.found
    assert "s3-reader.json allowed to get and list in bucket models" in store.remedy
    assert "wrong'" not in str(found)


def test_a_store_that_pods_do_not_reach(
    estate: AppliedEstate, cluster: Kubernetes, kserve_lab: KserveLab
) -> None:
    ground = changed(estate, object_store={"url": f"http://{kserve_lab.lab.address}:9"})
    store = asked(estate, cluster, ground)["object store"]
    assert store.verdict == "fails"
    assert "is the object store at http" in store.found
    assert "reachable from this pod?" in store.found


def test_an_image_that_nodes_cannot_pull(estate: AppliedEstate, cluster: Kubernetes) -> None:
    ground = changed(estate, images={"storage_container": "127.0.0.1:9/none@sha256:" + "0" * 64})
    found = asked(estate, cluster, ground)
    assert found["image"].verdict == "fails"
    assert "ErrImagePull" in found["image"].found
    assert "127.0.0.1:9/none" in found["image"].remedy
    assert found["object store"].verdict == "cannot tell"


def test_a_pull_secret_that_nobody_made(estate: AppliedEstate, cluster: Kubernetes) -> None:
    ensure_serving_ground(cluster, estate, print)
    ground = changed(estate, pull_secret="registry")
    found = asked(estate, cluster, ground)
    missing = found["pull secret"]
    assert missing.verdict == "fails"
    assert missing.found == "Secret models/registry is not there"
    assert "kubectl create secret generic registry --namespace=" in missing.remedy
    assert found["image"].verdict == "holds"  # a node that has it does not ask the registry

    login = {".dockerconfigjson": json.dumps({"auths": {"127.0.0.1:9": {"auth": "YTpi"}}})}
    cluster.apply(secret("registry", "models", login, PULL_SECRET))
    try:
        assert asked(estate, cluster, ground)["pull secret"].verdict == "holds"
        cluster.delete("v1", "Secret", "registry", "models")
        cluster.apply(secret("registry", "models", {}))
        assert "is of type Opaque" in asked(estate, cluster, ground)["pull secret"].found
    finally:
        cluster.delete("v1", "Secret", "registry", "models")
    assert "pull secret" not in asked(estate, cluster)


def changed(estate: AppliedEstate, **kserve: Any) -> EndpointGround:
    ground = ground_of(estate)
    declared = ground.kserve.model_dump(by_alias=True) | kserve
    return replace(ground, kserve=type(ground.kserve).model_validate(declared))


def test_more_gpus_than_a_node_has(estate: AppliedEstate, cluster: Kubernetes) -> None:
    served = read_serving(estate.serving_file).models["digits"]
    many = served.model_copy(update={"gpus": 3})
    demands = ClusterDemands(cluster, ground_of(estate), MODELS_BUCKET, (many,))
    found = {one.name: one for one in demands.floors()}
    assert found["GPUs"].verdict == found["room"].verdict == "fails"
    assert "digits asks for 3 on one node" in found["GPUs"].remedy
    assert "gpu-node: 2 of 3 nvidia.com/gpu free" in found["room"].found


def test_a_kubeconfig_without_rights(
    estate: AppliedEstate, kserve_lab: KserveLab, tmp_path: Path
) -> None:
    kubeconfig = kubeconfig_of(kserve_lab.lab, NOBODY, tmp_path)
    found = asked(estate, Kubernetes(kubeconfig, patience_s=5))
    assert found["API server"].verdict == "holds"
    rights = found["rights"]
    assert rights.verdict == "fails"
    assert "create inferenceservices.serving.kserve.io in models" in rights.found
    assert "list nodes in the whole cluster" in rights.found
    assert found["KServe"].verdict == "fails"
    assert found["object store"].verdict == "fails"


def test_a_cluster_that_is_not_there(estate: AppliedEstate, tmp_path: Path) -> None:
    found = asked(estate, Kubernetes(tmp_path / "none", patience_s=1))
    assert [one.name for one in found.values()] == ["API server"]
    assert found["API server"].verdict == "fails"
    assert "clusters.cloud.kubernetes.kubeconfig names the right file" in (
        found["API server"].remedy
    )


def test_a_check_that_is_ended_takes_its_pod_along(
    estate: AppliedEstate, cluster: Kubernetes
) -> None:
    running = command(estate)
    for change, _ in cluster.watch("v1", "Pod", labels=dict(PURPOSE), timeout_s=120):
        if change == "ADDED":
            running.send_signal(signal.SIGTERM)
            break
    running.communicate(timeout=60)
    assert running.returncode != 0
