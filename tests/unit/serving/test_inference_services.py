"""What InferenceServices and pods say of themselves, as KServe and the kubelet leave them."""

import pytest

from platform_assets.serving.inference_services import (
    ForeignFields,
    differences,
    observation,
    served_pod,
)
from tests.unit.serving.recorded_services import (
    DIGEST,
    IMAGE,
    MADE,
    OTHER,
    UID,
    edited_by,
    ended,
    inference_service,
    our_fields,
    pod,
    predictor,
    told,
)


def seen(service, *pods):
    """Return the one InferenceService as it is observed with these pods."""
    (one,) = observation([service], pods).services
    return one


def served(one):
    """Return what the ready pods of the live predictor serve."""
    return {its.tree_digest for its in one.live_pods if its.ready}


def test_one_that_serves_what_it_is_marked_with_has_no_differences():
    one = seen(inference_service(), pod("digits-a"))
    assert (one.namespace, one.name, one.uid, one.estate) == ("models", "digits", UID, "test")
    assert (one.tree_digest, served(one)) == (DIGEST, {DIGEST})
    assert (one.ours, one.ready, one.written_by_others) == (True, True, ())
    (its,) = one.pods
    assert (its.node, its.image_digest, its.predictor) == ("gpu-1", IMAGE, "v3")
    assert (its.ready, its.since, its.failure) == (True, "2026-11-20T10:00:10Z", "")
    assert differences(one) == []


def test_one_that_nobody_here_made_is_told_and_not_blamed():
    foreign = inference_service(
        "theirs",
        labels={},
        annotations={},
        managed=[edited_by("kubectl-client-side-apply")],
        predictor={"sklearn": {"storageUri": "s3://elsewhere/model"}},
    )
    one = seen(foreign, pod("theirs-a", "theirs", download={"state": ended("")}))
    assert (one.ours, one.estate, one.predictor.storage_uri) == (
        False,
        None,
        "s3://elsewhere/model",
    )
    assert one.written_by_others[0].manager == "kubectl-client-side-apply"
    assert one.predictor.tree_digest is None


def test_a_predictor_without_a_name_has_its_pods():
    unnamed = inference_service(labels={}, annotations={}, predictor={"model": {}}, managed=[])
    served = pod("digits-a")
    served["metadata"]["labels"]["app"] = "isvc.digits-predictor"
    one = seen(unnamed, served)
    assert [its.name for its in one.live_pods] == ["digits-a"]
    assert differences(one) == []


def test_a_server_that_keeps_dying_is_told_with_its_last_words():
    last = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting"}}
    dying = {"state": waiting, "lastState": last, "restartCount": 4, "ready": False}
    one = seen(inference_service(ready=False), pod("digits-a", ready=False, server=dying))
    assert one.live_pods[0].failure == (
        "container kserve-container CrashLoopBackOff, 4 restarts: OOMKilled with exit code 137"
    )
    assert any("OOMKilled" in word for word in differences(one))
    assert served(one) == set()


def test_a_refused_download_is_told_in_the_storage_containers_words():
    sentence = "object models/digits/model.skops: expected SHA-256 1f…, found 2e…"
    download = {"state": ended(sentence, 1), "ready": False}
    server = {"state": {"waiting": {"reason": "PodInitializing"}}, "ready": False, "imageID": ""}
    one = seen(
        inference_service(ready=False),
        pod("digits-a", ready=False, download=download, server=server),
    )
    (its,) = one.live_pods
    assert its.failure == f"container storage-initializer Error with exit code 1: {sentence}"
    assert (its.tree_digest, its.image_digest) == (None, None)


def test_a_download_that_backs_off_is_told_by_its_last_ending():
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    download = {"state": waiting, "lastState": ended("manifest.json is missing", 1)}
    download |= {"ready": False, "restartCount": 2}
    server = {"state": {"waiting": {"reason": "PodInitializing"}}}
    its = served_pod(pod("digits-a", ready=False, download=download, server=server))
    assert its.failure == (
        "container storage-initializer CrashLoopBackOff, 2 restarts: Error with exit code 1: "
        "manifest.json is missing"
    )


def test_a_pod_that_no_node_takes_says_why():
    why = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    status = {"phase": "Pending", "conditions": [unscheduled | {"message": why}]}
    status |= {"initContainerStatuses": [], "containerStatuses": []}
    its = served_pod(pod("digits-a", status=status))
    assert its.failure == f"not scheduled: {why}"


def test_a_pod_that_is_on_its_way_has_not_failed():
    waits = {"state": {"waiting": {"reason": "PodInitializing"}}, "ready": False}
    loads = {"state": {"running": {}}, "ready": False}
    its = served_pod(pod("digits-a", ready=False, download=loads, server=waits))
    assert (its.failure, its.tree_digest) == ("", None)


def test_pods_with_different_digests_are_each_named():
    wrong = pod("digits-b", download={"state": ended(told(OTHER))})
    silent = pod("digits-c", download={"state": ended("downloaded")})
    one = seen(inference_service(), pod("digits-a"), wrong, silent)
    assert served(one) == {DIGEST, OTHER, None}
    assert differences(one) == [
        f"pod digits-b serves digest {OTHER}, expected {DIGEST}",
        f"pod digits-c does not tell what it serves, expected digest {DIGEST}",
    ]


@pytest.mark.parametrize(
    "message", ["", "no JSON", "[]", '{"tree_digest": 1}', '{"tree_digest": "abc"}']
)
def test_what_is_no_digest_is_not_taken_for_one(message):
    its = served_pod(pod("digits-a", download={"state": ended(message)}))
    assert its.tree_digest is None


def test_a_digest_from_a_download_that_failed_is_not_taken():
    its = served_pod(pod("digits-a", download={"state": ended(told(DIGEST), 1)}))
    assert its.tree_digest is None


def test_ready_without_a_pod_is_a_difference():
    one = seen(inference_service())
    assert one.pods == ()
    assert differences(one) == ["KServe calls it ready, and no pod is"]


def test_pods_of_an_earlier_one_of_the_same_name_are_set_apart():
    again = inference_service(uid="another", created="2026-11-20T11:00:00Z")
    new = pod("digits-b", created="2026-11-20T11:00:00Z")
    one = seen(again, pod("digits-a", created=MADE), new)
    assert [(its.name, its.earlier) for its in one.pods] == [
        ("digits-a", True),
        ("digits-b", False),
    ]
    assert [its.name for its in one.live_pods] == ["digits-b"]


def test_pods_that_leave_do_not_count():
    leaving = {"deletionTimestamp": "2026-11-20T11:00:00Z"}
    gone = pod("digits-a", download={"state": ended(told(OTHER))})
    gone["metadata"] |= leaving
    one = seen(inference_service(), gone, pod("digits-b"))
    assert [its.name for its in one.live_pods] == ["digits-b"]
    assert differences(one) == []


def test_pods_without_their_inference_service_are_strays():
    found = observation([], [pod("digits-a"), {"metadata": {"name": "x", "namespace": "y"}}])
    assert found.services == ()
    assert [its.name for its in found.strays] == ["digits-a"]


def test_a_candidate_is_judged_by_its_own_mark():
    canary = [{"trafficPercent": 0, "predictor": predictor("v4", OTHER)}]
    new = pod("digits-v4-a", version="v4", download={"state": ended(told(OTHER))})
    one = seen(inference_service(canary=canary), pod("digits-a"), new)
    assert [its.name for its in one.pods_of("v4")] == ["digits-v4-a"]
    assert served(one) == {DIGEST}
    assert differences(one) == []
    new["status"]["initContainerStatuses"][0]["state"] = ended(told(DIGEST))
    one = seen(inference_service(canary=canary), pod("digits-a"), new)
    assert differences(one) == [
        f"candidate: pod digits-v4-a serves digest {DIGEST}, expected {OTHER}"
    ]


def test_who_edited_is_named_with_the_fields():
    edited = inference_service(
        managed=[our_fields(), edited_by("kubectl-edit")],
        predictor=predictor() | {"model": {"storageUri": "s3://models/other/"}},
    )
    one = seen(edited, pod("digits-a"))
    field = "spec.predictor.model.storageUri"
    assert one.written_by_others == (
        ForeignFields("kubectl-edit", "2026-11-20T12:00:00Z", (field,)),
    )
    assert differences(one) == [
        f"{field} written by kubectl-edit at 2026-11-20T12:00:00Z",
        f"storageUri is s3://models/other/, expected that of digest {DIGEST}",
    ]


def test_a_mark_that_was_taken_away_is_a_difference():
    one = seen(inference_service(annotations={}), pod("digits-a"))
    assert differences(one) == [
        f"it is marked with digest none, its predictor with {DIGEST}",
    ]


def test_the_generation_of_a_deployment_is_not_taken_for_that_of_its_owner():
    """KServe 0.20 shows the Deployment's, which begins anew with each predictor."""
    one = seen(inference_service(generation=2), pod("digits-a"))
    assert differences(one) == []


def test_kserves_own_words_on_a_failure_are_passed_on():
    failure = {"message": "manifest.json is missing", "exitCode": 1, "reason": "ModelLoadFailed"}
    status = {"modelStatus": {"lastFailureInfo": failure}}
    one = seen(inference_service(ready=False, status=status))
    assert "manifest.json is missing" in one.reason
    assert differences(one)[0].startswith("it is not ready: IngressReady is False")
