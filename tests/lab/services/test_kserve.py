"""`services/kserve` on a real cluster: installed, mended, and where it is others', left alone."""

import base64
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from platform_assets import keys
from platform_assets.services import kserve_manifests as manifests
from platform_assets.services.cluster_objects import NotOurs
from platform_assets.services.kserve import (
    ensure_serving_ground,
    kserve_asset_of,
    kserve_checks_of,
    kserve_of,
)
from platform_assets.services.kserve_files import KserveManifestsRefused
from platform_assets.services.kserve_soundness import KserveSoundness, KserveUnsound
from platform_assets.spec.applied import AppliedEstate
from resources.kubernetes import Kubernetes
from resources.kubernetes_errors import ObjectMissing
from tests.integration.serving.object_store import published
from tests.lab.estates import applied, kserve_source
from tests.lab.images import mlserver_image, storage_container_image
from tests.lab.inference_services import (
    delete,
    ensure_account,
    inference_service,
    is_ready,
    storage_status,
    wait_until,
)
from tests.lab.kserve import apply
from tests.lab.kserve_lab import KserveLab, give_images
from tests.lab.kserve_manifests import serving_runtime
from tests.lab.lab import Lab
from tests.sample_checkpoints import mlflow_checkpoint

STORAGE = ("serving.kserve.io/v1alpha1", "ClusterStorageContainer", "ai-how")
VALIDATING = (
    "admissionregistration.k8s.io/v1",
    "ValidatingWebhookConfiguration",
    "inferenceservice.serving.kserve.io",
)
MUTATING = (VALIDATING[0], "MutatingWebhookConfiguration", VALIDATING[2])
CERTIFICATE = ("v1", "Secret", manifests.CERTIFICATE_SECRET, "kserve")
AUTHORITY = ("v1", "Secret", manifests.AUTHORITY_SECRET, "kserve")
DEPLOYMENT = ("apps/v1", "Deployment", manifests.MANAGER, "kserve")
READERS_KEY = ("v1", "Secret", "ai-how-models", "models")
SECRET_KEY = "secret-that-no-log-shows"


@pytest.fixture(scope="module")
def managed(
    bare_lab: Lab, managed_images: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> AppliedEstate:
    home = tmp_path_factory.mktemp("estate")
    reader = home / "reader.json"
    reader.write_text(json.dumps({"access_key": "reader", "secret_key": SECRET_KEY}))
    kserve = {
        "managed": True,
        "images": managed_images,
        "manifests": str(kserve_source()),
        "version": "0.20.0",
        "runtimes": [{"name": "kserve-mlserver", "image": "docker.io/ai-how/mlserver:1"}],
    }
    return applied(home, bare_lab, reader, kserve, "http://10.0.0.1:8333")


@pytest.fixture(scope="module")
def cluster(bare_lab: Lab) -> Kubernetes:
    return Kubernetes(bare_lab.kubeconfig)


def materialized(estate: AppliedEstate, cluster: Kubernetes) -> dg.ExecuteInProcessResult:
    found = dg.materialize(
        [
            kserve_asset_of(estate),
            dg.AssetSpec(keys.ESTATE),
            dg.AssetSpec(keys.OBJECT_STORE),
            *kserve_checks_of(estate),
        ],
        resources={"kubernetes": cluster},
        selection=dg.AssetSelection.assets(keys.KSERVE),
    )
    assert found.success
    return found


def changed(found: dg.ExecuteInProcessResult) -> str:
    event = found.asset_materializations_for_node(keys.KSERVE.to_python_identifier())[0]
    return str(event.metadata["changed"].value)


def test_managed_is_installed_and_then_left_as_it_is(
    managed: AppliedEstate, cluster: Kubernetes, capfd: pytest.CaptureFixture[str]
) -> None:
    found = materialized(managed, cluster)
    checks = {one.check_name: one for one in found.get_asset_check_evaluations()}
    assert len(checks) == 5
    assert [one.description for one in checks.values() if not one.passed] == []
    event = found.asset_materializations_for_node("services__kserve")[0]
    assert event.metadata["kserve"].value == "0.20.0"
    told = "".join(capfd.readouterr()) + str(event.metadata)
    assert SECRET_KEY not in told
    assert base64.b64encode(SECRET_KEY.encode()).decode() not in told

    again = materialized(managed, cluster)
    assert changed(again) == "nothing: all was as it should be"


def test_deleted_parts_come_back(managed: AppliedEstate, cluster: Kubernetes) -> None:
    materialized(managed, cluster)
    parts = (STORAGE, VALIDATING, MUTATING, CERTIFICATE, AUTHORITY, DEPLOYMENT, READERS_KEY)
    for part in parts:
        assert cluster.delete(*part, wait_s=30)
    found = materialized(managed, cluster)
    for _, kind, name, *namespace in parts:
        assert f"{kind} {'/'.join([*namespace, name])}: made" in changed(found)
    assert [one for one in found.get_asset_check_evaluations() if not one.passed] == []


def test_a_lost_authority_is_replaced_without_a_gap(
    managed: AppliedEstate, cluster: Kubernetes
) -> None:
    """Pods show the old certificate until they are replaced, so both authorities are trusted."""
    materialized(managed, cluster)
    assert cluster.delete(*AUTHORITY, wait_s=30)
    refused: list[str] = []
    done = threading.Event()

    def ask() -> None:
        soundness = KserveSoundness(
            Kubernetes(cluster.kubeconfig, patience_s=0.1), kserve_of(managed)
        )
        while not done.wait(0.2):
            answer = soundness.webhooks()
            if not answer.holds:
                refused.append(answer.words)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        found = materialized(managed, cluster)
    finally:
        done.set()
        asking.join()
    # A busy machine may be late to answer; nobody must ever distrust the certificate.
    assert [words for words in refused if "x509" in words] == []
    assert [one for one in found.get_asset_check_evaluations() if not one.passed] == []
    assert authorities_trusted(cluster) == 1


def authorities_trusted(cluster: Kubernetes) -> int:
    [webhook] = cluster.get(*VALIDATING)["webhooks"]
    return base64.b64decode(webhook["clientConfig"]["caBundle"]).decode().count("BEGIN CERT")


def test_what_somebody_edits_is_put_right(managed: AppliedEstate, cluster: Kubernetes) -> None:
    materialized(managed, cluster)
    other = Kubernetes(cluster.kubeconfig, field_manager="somebody")
    metadata = {"name": "ai-how-models", "namespace": "models"}
    wrong = {"AWS_SECRET_ACCESS_KEY": base64.b64encode(b"wrong").decode()}
    edited = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": wrong}
    other.apply(edited, force=True)
    assert "ai-how-models: changed" in changed(materialized(managed, cluster))
    key = cluster.get(*READERS_KEY)["data"]["AWS_SECRET_ACCESS_KEY"]
    assert base64.b64decode(key).decode() == SECRET_KEY


def test_the_installed_kserve_serves(
    managed: AppliedEstate, cluster: Kubernetes, bare_lab: Lab, tmp_path: Path
) -> None:
    materialized(managed, cluster)
    served = KserveLab(bare_lab, bare_lab.object_store, mlserver_image(), storage_container_image())
    give_images(bare_lab, [served.model_server])
    ensure_account(served)
    apply(bare_lab, [serving_runtime(served.model_server.pinned)])
    directory = mlflow_checkpoint(tmp_path, "digits", "run", seal=False)
    files = {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}
    prefix, manifest = published(served.publisher, "digits", files)
    try:
        apply(bare_lab, [inference_service("digits", f"s3://models/{prefix}")])
        _, [pod] = wait_until(served, "digits", lambda found, _: is_ready(found))
    finally:
        delete(served, "digits")
    assert json.loads(storage_status(pod)["message"])["tree_digest"] == manifest.tree_digest


def test_another_estate_does_not_take_it_over(managed: AppliedEstate, cluster: Kubernetes) -> None:
    materialized(managed, cluster)
    declared = {**managed.declared, "metadata": {"name": "another"}}
    another = redeclared(managed, declared)
    with pytest.raises(NotOurs, match=r"found one made by estate 'lab'; set kserve.managed"):
        ensure_serving_ground(cluster, another, print)


def test_what_is_no_kserve_is_refused(
    managed: AppliedEstate, cluster: Kubernetes, tmp_path: Path
) -> None:
    with pytest.raises(KserveManifestsRefused, match="expected a file of KServe, cannot be read"):
        ensure_serving_ground(cluster, with_kserve(managed, manifests=str(tmp_path)), print)
    with pytest.raises(KserveManifestsRefused, match=r"expected KServe 0.19.1, .* found 0.20.0"):
        ensure_serving_ground(cluster, with_kserve(managed, version="0.19.1"), print)


def with_kserve(estate: AppliedEstate, **changes: Any) -> AppliedEstate:
    declared = json.loads(json.dumps(estate.declared))
    declared["clusters"]["cloud"]["mlops"]["serving"]["kserve"] |= changes
    return redeclared(estate, declared)


def redeclared(estate: AppliedEstate, declared: dict[str, Any]) -> AppliedEstate:
    return AppliedEstate.model_validate(estate.model_dump() | {"declared": declared})


@pytest.fixture(scope="module")
def provided(
    kserve_lab: KserveLab, tmp_path_factory: pytest.TempPathFactory
) -> tuple[AppliedEstate, Kubernetes]:
    kserve = {
        "managed": False,
        "images": {"storage_container": kserve_lab.storage_container.pinned},
    }
    home = tmp_path_factory.mktemp("provided")
    estate = applied(home, kserve_lab.lab, kserve_lab.store.reader, kserve, kserve_lab.store.url)
    return estate, Kubernetes(kserve_lab.lab.kubeconfig)


def kserve_objects(cluster: Kubernetes) -> dict[str, Any]:
    kinds: list[tuple[str, str]] = [
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        VALIDATING[:2],
        MUTATING[:2],
        ("rbac.authorization.k8s.io/v1", "ClusterRole"),
        ("apps/v1", "Deployment"),
        ("serving.kserve.io/v1alpha1", "ClusterServingRuntime"),
    ]
    return {
        f"{kind} {one['metadata']['name']}": one["metadata"]["resourceVersion"]
        for api_version, kind in kinds
        for one in cluster.list(api_version, kind)
    } | {"configuration": cluster.get("v1", "ConfigMap", manifests.CONFIGURATION, "kserve")}


def test_where_its_owner_provides_it_nothing_of_kserve_is_touched(
    provided: tuple[AppliedEstate, Kubernetes],
) -> None:
    estate, cluster = provided
    before = kserve_objects(cluster)
    found = materialized(estate, cluster)
    assert kserve_objects(cluster) == before
    assert cluster.get(*READERS_KEY)["metadata"]["labels"]["ai-how.dev/estate"] == "lab"
    checks = {one.check_name: one.passed for one in found.get_asset_check_evaluations()}
    # The lab's manager is no Deployment; its webhooks answer all the same.
    assert checks.pop("manager") is False
    assert all(checks.values()), checks


def test_without_kserve_it_says_so(
    provided: tuple[AppliedEstate, Kubernetes], lab_without: Callable[[], Kubernetes]
) -> None:
    estate, _ = provided
    with pytest.raises(KserveUnsound, match=r"managed is false.*no KServe is installed") as raised:
        ensure_serving_ground(lab_without(), estate, print)
    assert "ask the cluster's owner, or let kserve.managed be true" in str(raised.value)
    with pytest.raises(ObjectMissing):
        lab_without().get(*READERS_KEY)


@pytest.fixture(scope="module")
def lab_without(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return an API server alone: a cluster that never had KServe."""
    from tests.lab.api_server import api_server

    with api_server(tmp_path_factory.mktemp("alone")) as alone:
        yield lambda: Kubernetes(alone.kubeconfig)
