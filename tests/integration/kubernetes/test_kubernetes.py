"""The connection to a cluster, against a real API server."""

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from resources.kubernetes import Kubernetes
from resources.kubernetes_errors import (
    Conflict,
    KindUnknown,
    KubernetesRefused,
    ObjectMissing,
    WaitExpired,
)


@pytest.fixture
def cluster(api_server) -> Kubernetes:
    return Kubernetes(api_server.kubeconfig)


@pytest.fixture
def namespace(cluster) -> str:
    """Return a namespace of the test's own; nobody is there to empty it, so it stays."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


def config_map(namespace: str, name: str = "one", **data: str) -> dict:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def pod(namespace: str, name: str, **metadata: object) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {"containers": [{"name": "server", "image": "server:1"}]},
    }


def test_the_version_is_asked_for(cluster):
    assert cluster.version().startswith("v1.")


def test_applying_again_changes_nothing(cluster, namespace):
    first = cluster.apply(config_map(namespace, a="1"))
    again = cluster.apply(config_map(namespace, a="1"))
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert [entry["manager"] for entry in again["metadata"]["managedFields"]] == ["ai-how"]


def test_fields_of_others_are_kept_and_ours_are_given_up(api_server, cluster, namespace):
    other = Kubernetes(api_server.kubeconfig, field_manager="kubectl-edit")
    cluster.apply(config_map(namespace, ours="1", dropped="1"))
    other.apply(config_map(namespace, theirs="2"))
    cluster.apply(config_map(namespace, ours="3"))
    assert cluster.get("v1", "ConfigMap", "one", namespace)["data"] == {"ours": "3", "theirs": "2"}


def test_a_conflict_names_the_other_and_the_field(api_server, cluster, namespace):
    other = Kubernetes(api_server.kubeconfig, field_manager="kubectl-edit")
    other.apply(config_map(namespace, a="theirs"))
    with pytest.raises(Conflict, match=r"\.data\.a belong to kubectl-edit") as caught:
        cluster.apply(config_map(namespace, a="ours"))
    assert caught.value.managers == ("kubectl-edit",)
    assert caught.value.fields == (".data.a",)
    assert cluster.apply(config_map(namespace, a="ours"), force=True)["data"] == {"a": "ours"}


def test_fields_of_others_are_removed_and_ours_stay_to_be_given_up(api_server, cluster, namespace):
    other = Kubernetes(api_server.kubeconfig, field_manager="kubectl-edit")
    cluster.apply(config_map(namespace, a="1", b="1"))
    other.apply(config_map(namespace, theirs="2"))
    cluster.remove_fields("v1", "ConfigMap", "one", namespace, {"data": {"theirs": None}})
    found = cluster.get("v1", "ConfigMap", "one", namespace)
    assert found["data"] == {"a": "1", "b": "1"}
    owners = {entry["manager"]: entry["operation"] for entry in found["metadata"]["managedFields"]}
    assert owners == {"ai-how": "Apply"}
    assert cluster.apply(config_map(namespace, a="1"))["data"] == {"a": "1"}
    with pytest.raises(ObjectMissing, match=r"remove fields of ConfigMap .*none"):
        cluster.remove_fields("v1", "ConfigMap", "none", namespace, {"data": None})


def test_a_rehearsal_changes_nothing(cluster, namespace):
    assert cluster.apply(config_map(namespace, a="1"), dry_run=True)["data"] == {"a": "1"}
    with pytest.raises(ObjectMissing, match=r"get ConfigMap .*one.* never made, or was deleted"):
        cluster.get("v1", "ConfigMap", "one", namespace)


def test_a_field_that_there_is_not_is_refused_by_name(cluster, namespace):
    wrong = config_map(namespace) | {"dta": {}}
    with pytest.raises(KubernetesRefused, match=r"\.dta"):
        cluster.apply(wrong)


def test_a_kind_that_there_is_not_is_told_and_found_once_it_is_there(cluster):
    with pytest.raises(KindUnknown, match=r"Thing of example\.org/v1: .*CustomResourceDefinition"):
        cluster.get("example.org/v1", "Thing", "one", "default")
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.org"},
        "spec": {
            "group": "example.org",
            "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things"},
            "versions": [version | {"schema": {"openAPIV3Schema": schema}}],
        },
    }
    cluster.apply(definition)
    thing = {"apiVersion": "example.org/v1", "kind": "Thing", "spec": {"size": 1}}
    thing |= {"metadata": {"name": "one", "namespace": "default"}}
    deadline = time.monotonic() + 60  # a kind is known a moment after its definition is there
    while True:
        try:
            cluster.apply(thing)
            break
        except KindUnknown:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert cluster.get("example.org/v1", "Thing", "one", "default")["spec"] == {"size": 1}
    assert cluster.delete("example.org/v1", "Thing", "one", "default", wait_s=10)


def test_1200_objects_are_listed_page_by_page(cluster, namespace):
    with ThreadPoolExecutor(8) as threads:
        names = [f"map-{number:04}" for number in range(1200)]
        list(threads.map(lambda name: cluster.apply(config_map(namespace, name)), names))
    found = list(cluster.list("v1", "ConfigMap", namespace))
    assert [one["metadata"]["name"] for one in found] == names
    assert {(one["apiVersion"], one["kind"]) for one in found} == {("v1", "ConfigMap")}


def test_labels_choose(cluster, namespace):
    for name, labels in (("a", {"x": "1", "y": "1"}), ("b", {"x": "1"}), ("c", {})):
        cluster.apply(pod(namespace, name, labels=labels))
    chosen = cluster.list("v1", "Pod", namespace, {"x": "1", "y": "1"})
    assert [one["metadata"]["name"] for one in chosen] == ["a"]
    bearing = cluster.list("v1", "Pod", namespace, {"x": None})
    assert [one["metadata"]["name"] for one in bearing] == ["a", "b"]


def test_deleting_tells_whether_there_was_one(cluster, namespace):
    cluster.apply(config_map(namespace))
    assert cluster.delete("v1", "ConfigMap", "one", namespace, wait_s=5)
    assert not cluster.delete("v1", "ConfigMap", "one", namespace, wait_s=5)


def test_only_the_very_object_is_deleted(cluster, namespace):
    before = cluster.apply(config_map(namespace))["metadata"]["uid"]
    cluster.delete("v1", "ConfigMap", "one", namespace)
    cluster.apply(config_map(namespace))
    with pytest.raises(Conflict, match=before):
        cluster.delete("v1", "ConfigMap", "one", namespace, uid=before)
    assert cluster.get("v1", "ConfigMap", "one", namespace)


def test_a_deletion_that_is_held_expires_and_names_the_finalizer(cluster, namespace):
    held = config_map(namespace)
    held["metadata"]["finalizers"] = ["example.org/held"]
    cluster.apply(held)
    with pytest.raises(WaitExpired, match=r"to be gone within 1 s, .*held by example\.org/held"):
        cluster.delete("v1", "ConfigMap", "one", namespace, wait_s=1)
    held["metadata"]["finalizers"] = []
    cluster.apply(held)
    assert not cluster.delete("v1", "ConfigMap", "one", namespace)


def test_a_wait_ends_when_it_comes_true(cluster, namespace):
    def make_it_true():
        time.sleep(0.5)
        cluster.apply(config_map(namespace, done="yes"))

    thread = threading.Thread(target=make_it_true)
    thread.start()
    begun = time.monotonic()
    found = cluster.wait(
        "v1", "ConfigMap", "one", namespace, bool, what="to be there", timeout_s=20
    )
    assert found["data"] == {"done": "yes"}
    assert time.monotonic() - begun < 5
    thread.join()


def test_a_wait_for_what_never_comes_says_that_nothing_is_there(cluster, namespace):
    with pytest.raises(WaitExpired, match=r"ConfigMap .*/one: expected to be there within 1 s, .*"):
        cluster.wait("v1", "ConfigMap", "one", namespace, bool, what="to be there", timeout_s=1)


def test_a_wait_that_expires_explains(cluster, namespace):
    selector = {"app": "digits"}
    cluster.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "digits", "namespace": namespace},
            "spec": {
                "selector": {"matchLabels": selector},
                "template": {
                    "metadata": {"labels": selector},
                    "spec": {"containers": [{"name": "server", "image": "server:1"}]},
                },
            },
        }
    )
    made = cluster.apply(pod(namespace, "digits-1", labels=selector))
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image server:1"}
    container = {"name": "server", "image": "server:1", "imageID": "", "ready": False}
    container |= {"restartCount": 0, "state": {"waiting": waiting}}
    status = {"phase": "Pending", "containerStatuses": [container]}
    identity = {"apiVersion": "v1", "kind": "Pod"}
    identity["metadata"] = {"name": "digits-1", "namespace": namespace}
    cluster.apply(identity | {"status": status}, subresource="status")
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": "digits-1.1", "namespace": namespace},
            "involvedObject": {
                "kind": "Pod",
                "name": "digits-1",
                "namespace": namespace,
                "uid": made["metadata"]["uid"],
            },
            "reason": "Failed",
            "message": "registry.example: no such host",
            "type": "Warning",
        }
    )
    with pytest.raises(WaitExpired) as caught:
        cluster.wait(
            "apps/v1", "Deployment", "digits", namespace, lambda _: False, what="x", timeout_s=0.5
        )
    told = str(caught.value)
    assert "ImagePullBackOff: Back-off pulling image server:1" in told
    assert "Failed: registry.example: no such host" in told
    assert "is its controller running?" in told


def test_a_service_is_reached_under_the_api_servers_proxy(cluster, api_server):
    url = cluster.service_url("default", "none", 8080)
    assert url == f"{api_server.url}/api/v1/namespaces/default/services/http:none:8080/proxy"
    assert cluster.http().get(url).json()["message"] == 'services "none" not found'


def test_rights_are_asked_for(api_server, cluster):
    stranger = Kubernetes(api_server.kubeconfig_for("stranger"))
    assert cluster.can_i("create", "serving.kserve.io", "inferenceservices", "default")
    assert not stranger.can_i("get", "", "pods/log", "default")
    with pytest.raises(KubernetesRefused, match=r"stranger.*lacks that right"):
        stranger.get("v1", "ConfigMap", "one", "default")
