"""The manifests of an endpoint on KServe: what a version, the serving file and the estate make."""

from copy import deepcopy
from typing import Any

import pytest

from platform_assets.serving.inference_service import (
    Version,
    applicable,
    deployment_name,
    differs,
    inference_service,
    inherited,
    live_service,
    pods_of,
    promoted,
    served_predictor,
    with_candidate,
    with_passing_of,
    without_candidate,
)
from platform_assets.spec.model.services import Kserve
from platform_assets.spec.served_pods import Replicas, ServedPods

KSERVE = Kserve.model_validate(
    {
        "inference_services": {"namespace": "models"},
        "object_store": {"url": "http://10.213.0.1:8333", "secret": "reader"},
    }
)
GPU = "nvidia.com/gpu"


def version(number: int = 1, **more: Any) -> Version:
    digest = f"{number:064x}"
    told = {
        "endpoint": "digits",
        "model": "digits",
        "version": str(number),
        "tree_digest": digest,
        "checkpoint": f"digits.run-{number}.0123456789ab",
        "dagster_run": f"run-{number}",
        "storage_uri": f"s3://models/models/digits/sha256-{digest}/",
    }
    return Version(**(told | more))


def made(number: int = 1, kserve: Kserve = KSERVE, **keys: Any) -> dict[str, Any]:
    entry = ServedPods.model_validate(keys)
    return inference_service(entry, kserve, version(number), estate="lab")


def found(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest as the API gives it back: with what KServe and the server add."""
    back = deepcopy(manifest)
    back["metadata"] |= {"uid": "u", "resourceVersion": "7", "generation": 2, "managedFields": [{}]}
    back["metadata"]["annotations"]["serving.kserve.io/modelFormat"] = "mlflow"
    back["spec"]["predictor"]["model"]["name"] = ""
    back["spec"]["predictor"]["model"].setdefault("resources", {})
    back["status"] = {"conditions": []}
    return back


def test_a_version_becomes_a_whole_manifest() -> None:
    whole = made(
        7,
        runtime="kserve-mlserver",
        resources={"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
        gpus=1,
        replicas=2,
        node_selector={"zone": "a"},
        tolerations=[{"key": "dedicated", "value": "models", "effect": "NoSchedule"}],
    )
    labels = {
        "app.kubernetes.io/managed-by": "ai-how",
        "ai-how.dev/estate": "lab",
        "ai-how.dev/endpoint": "digits",
    }
    ids = {
        "ai-how.dev/tree-digest": f"{7:064x}",
        "ai-how.dev/model": "digits",
        "ai-how.dev/version": "7",
        "ai-how.dev/checkpoint": "digits.run-7.0123456789ab",
        "ai-how.dev/dagster-run": "run-7",
        "serving.kserve.io/autoscalerClass": "none",
    }
    probes = {
        name: whole["spec"]["predictor"]["model"].pop(name)
        for name in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert probes["startupProbe"]["httpGet"] == {"path": "/v2/models/digits/ready", "port": 8080}
    assert whole == {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": "digits",
            "namespace": "models",
            "labels": labels,
            "annotations": ids | {"serving.kserve.io/deploymentMode": "Standard"},
        },
        "spec": {
            "predictor": {
                "name": "v7",
                "labels": labels,
                "annotations": ids,
                "minReplicas": 2,
                "storageContainerName": "ai-how",
                "serviceAccountName": "reader",
                "nodeSelector": {"zone": "a"},
                "tolerations": [
                    {
                        "key": "dedicated",
                        "operator": "Equal",
                        "value": "models",
                        "effect": "NoSchedule",
                    },
                    {"key": GPU, "operator": "Exists", "effect": "NoSchedule"},
                ],
                "model": {
                    "modelFormat": {"name": "mlflow"},
                    "protocolVersion": "v2",
                    "storageUri": f"s3://models/models/digits/sha256-{7:064x}/",
                    "runtime": "kserve-mlserver",
                    "resources": {
                        "requests": {"cpu": "500m", "memory": "1Gi", GPU: "1"},
                        "limits": {"memory": "2Gi", GPU: "1"},
                    },
                },
                "deploymentStrategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
                },
            }
        },
    }


def test_what_nobody_says_is_left_to_the_runtime() -> None:
    predictor = made()["spec"]["predictor"]
    assert predictor["minReplicas"] == 1
    assert predictor["model"]["resources"] == {}
    assert not {"maxReplicas", "nodeSelector", "tolerations"} & set(predictor)
    assert "runtime" not in predictor["model"]


def test_the_format_names_the_model_format() -> None:
    text = version(format="huggingface")
    manifest = inference_service(ServedPods(), KSERVE, text, estate="lab")
    assert manifest["spec"]["predictor"]["model"]["modelFormat"] == {"name": "huggingface"}


def test_a_uri_that_would_bring_its_neighbours_is_refused() -> None:
    with pytest.raises(ValueError, match="must end in /"):
        inference_service(ServedPods(), KSERVE, version(storage_uri="s3://m/1"), estate="lab")


def test_replicas_between_two_numbers_are_scaled() -> None:
    kserve = KSERVE.model_copy(
        update={"autoscaling": KSERVE.autoscaling.model_copy(update={"target_cpu_percent": 60})}
    )
    predictor = made(kserve=kserve, replicas={"min": 1, "max": 4})["spec"]["predictor"]
    assert predictor["annotations"]["serving.kserve.io/autoscalerClass"] == "hpa"
    scaled = {key: predictor[key] for key in ("minReplicas", "maxReplicas", "scaleTarget")}
    assert scaled == {"minReplicas": 1, "maxReplicas": 4, "scaleTarget": 60}


def test_the_estate_speaks_where_the_serving_file_is_silent() -> None:
    kserve = Kserve.model_validate(
        {
            "inference_services": {
                "default_resources": {
                    "requests": {"cpu": "2", "memory": "4Gi", GPU: "1"},
                    "limits": {"memory": "8Gi", GPU: "1"},
                }
            },
            "autoscaling": {"enabled": True, "min_replicas": 0, "max_replicas": 3},
        }
    )
    silent = pods_of(ServedPods(), kserve)
    assert silent.requests == {"cpu": "2", "memory": "4Gi", GPU: "1"}
    assert (silent.gpus, silent.replicas) == (1, Replicas(min=1, max=3))
    keys = {"gpus": 0, "replicas": 1, "resources": {"limits": {"cpu": 1, "memory": "9Gi"}}}
    loud = pods_of(ServedPods.model_validate(keys), kserve)
    assert loud.requests == {"cpu": "1", "memory": "4Gi"}
    assert loud.limits == {"cpu": "1", "memory": "9Gi"}
    assert (loud.gpus, loud.replicas, loud.tolerations) == (0, Replicas(min=1, max=1), ())


def test_a_candidate_gets_no_request_and_leaves_the_live_version_alone() -> None:
    live, wanted = (
        found(made(1, gpus=1, replicas=2)),
        made(2, gpus=1, replicas={"min": 2, "max": 4}),
    )
    manifest = with_candidate(live, wanted, pods=1, held=2)
    [canary] = manifest["spec"].pop("canary")
    assert canary["trafficPercent"] == 0
    assert canary["predictor"]["name"] == "v2"
    assert canary["predictor"]["minReplicas"] == 1
    assert not {"maxReplicas", "deploymentStrategy"} & set(canary["predictor"])
    assert manifest["spec"]["predictor"]["minReplicas"] == 3  # of which KServe takes one
    assert manifest["metadata"] == made(1, gpus=1, replicas=2)["metadata"]
    manifest["spec"]["predictor"]["minReplicas"] = 2
    assert manifest["spec"] == live["spec"]


def test_a_candidate_of_an_autoscaled_endpoint_holds_the_live_count() -> None:
    live = found(made(1, replicas={"min": 1, "max": 2}))
    stable = with_candidate(live, made(2), pods=2, held=2)["spec"]["predictor"]
    assert (stable["minReplicas"], stable["maxReplicas"]) == (4, 4)


def test_a_candidate_goes_without_a_trace() -> None:
    live = found(made(1, replicas=2))
    there = found(with_candidate(live, made(2), pods=1, held=2))
    assert without_candidate(there, held=2) == applicable(live)


def test_promotion_changes_no_pod() -> None:
    live, wanted = found(made(1)), made(2)
    canary = with_candidate(live, wanted, pods=1, held=1)["spec"]["canary"][0]["predictor"]
    assert differs(canary, promoted(wanted)["spec"]["predictor"]) == ()
    # A pod's annotations are those of the InferenceService, overridden by its predictor's.
    told = {
        key
        for key in live["metadata"]["annotations"]
        if key.startswith(("ai-how.dev/", "serving.kserve.io/autoscaler"))
    }
    assert told == set(canary["annotations"])


def test_only_our_own_metadata_are_applied_again() -> None:
    live = found(made(1))
    live["metadata"]["labels"]["somebody/else"] = "x"
    assert applicable(live)["metadata"] == made(1)["metadata"]


def test_the_same_version_by_another_run_is_no_difference() -> None:
    again = version(1, dagster_run="other", checkpoint="digits.other.ba9876543210")
    other = inference_service(ServedPods(), KSERVE, again, estate="lab")
    assert differs(found(made(1))["spec"]["predictor"], other["spec"]["predictor"]) == ()


def test_pods_that_are_as_wanted_keep_the_run_that_made_them() -> None:
    run, wanted = "ai-how.dev/dagster-run", made(2)
    wanted["metadata"]["annotations"][run] = "another"
    wanted["spec"]["predictor"]["annotations"][run] = "another"
    candidate = with_candidate(found(made(1)), made(2), pods=1, held=1)
    for there in (found(made(2)), found(candidate)):
        kept = with_passing_of(there, wanted)
        assert kept == made(2)
    assert with_passing_of(found(made(1)), wanted) == wanted
    assert with_passing_of(None, wanted) == wanted
    changed = made(2, resources={"limits": {"memory": "3Gi"}})
    assert with_passing_of(found(changed), wanted) == wanted


def test_differences_are_named_and_amounts_compared() -> None:
    before = made(1, resources={"limits": {"memory": "1024Mi", "cpu": "1"}})["spec"]["predictor"]
    same = made(1, resources={"limits": {"memory": "1Gi", "cpu": "1000m"}})["spec"]["predictor"]
    assert differs(before, same) == ()
    after = made(2, runtime="mine", resources={"limits": {"memory": "1Gi"}}, replicas=3)
    assert differs(before, after["spec"]["predictor"]) == (
        "annotations.ai-how.dev/tree-digest",
        "annotations.ai-how.dev/version",
        "model.resources.limits.cpu",
        "model.runtime",
        "model.storageUri",
    )


def test_what_a_candidate_would_inherit_is_told() -> None:
    before = made(
        1,
        runtime="mine",
        gpus=1,
        node_selector={"zone": "a", "disk": "ssd"},
        resources={"limits": {"cpu": 2}},
    )["spec"]["predictor"]
    assert inherited(before, made(2)["spec"]["predictor"]) == (
        "model.resources.limits.cpu",
        "model.resources.limits.nvidia.com/gpu",
        "model.resources.requests.nvidia.com/gpu",
        "model.runtime",
        "nodeSelector.disk",
        "nodeSelector.zone",
        "tolerations",
    )
    assert inherited(made(1)["spec"]["predictor"], before) == ()
    other = inference_service(ServedPods(), KSERVE, version(2, format="huggingface"), estate="l")
    assert inherited(made(1)["spec"]["predictor"], other["spec"]["predictor"]) == ("model.runtime",)


def test_the_service_of_clients_is_not_kserves() -> None:
    service = live_service("digits", "v2", namespace="models", estate="lab")
    assert service["metadata"]["name"] == "digits-live"
    assert not {"component", "serving.kserve.io/inferenceservice"} & set(
        service["metadata"]["labels"]
    )
    assert service["spec"]["selector"] == {"app": "isvc.digits-v2-predictor"}
    assert served_predictor(service, "digits") == "v2"
    assert served_predictor(service, "digit") is None
    assert served_predictor({"spec": {"selector": {"app": "other"}}}, "digits") is None
    assert deployment_name("digits", "v2") == "digits-v2-predictor"


def test_nodes_log_in_to_pull_where_the_estate_says_so() -> None:
    assert "imagePullSecrets" not in made()["spec"]["predictor"]
    kserve = KSERVE.model_copy(update={"pull_secret": "registry"})
    predictor = made(kserve=kserve)["spec"]["predictor"]
    assert predictor["imagePullSecrets"] == [{"name": "registry"}]
    assert differs(made()["spec"]["predictor"], predictor) == ("imagePullSecrets",)
