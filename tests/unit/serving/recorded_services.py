"""InferenceServices and pods as KServe 0.20 and a kubelet of 1.35 leave them in the API."""

import json
from typing import Any

DIGEST = "1f" * 32
OTHER = "2e" * 32
IMAGE = "sha256:" + "ab" * 32
UID = "5c1d2d6e-7a39-4d0e-9b8b-0d7f2f0b0001"
MADE = "2026-11-20T10:00:00Z"


def marks(digest: str) -> dict[str, str]:
    return {"ai-how.dev/tree-digest": digest, "ai-how.dev/version": "3"}


def our_fields() -> dict[str, Any]:
    model = {"f:modelFormat": {"f:name": {}}, "f:storageUri": {}}
    return {
        "manager": "ai-how",
        "operation": "Apply",
        "apiVersion": "serving.kserve.io/v1beta1",
        "time": MADE,
        "fieldsType": "FieldsV1",
        "fieldsV1": {
            "f:metadata": {"f:annotations": {"f:ai-how.dev/tree-digest": {}}},
            "f:spec": {"f:predictor": {"f:model": model, "f:name": {}}},
        },
    }


def kserve_fields() -> list[dict[str, Any]]:
    common = {"manager": "kserve-manager", "operation": "Update", "fieldsType": "FieldsV1"}
    finalizers = {".": {}, 'v:"inferenceservice.finalizers"': {}}
    return [
        common | {"fieldsV1": {"f:metadata": {"f:finalizers": finalizers}}},
        common | {"fieldsV1": {"f:status": {"f:conditions": {}}}, "subresource": "status"},
    ]


def edited_by(manager: str) -> dict[str, Any]:
    return {
        "manager": manager,
        "operation": "Update",
        "apiVersion": "serving.kserve.io/v1beta1",
        "time": "2026-11-20T12:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {
            "f:metadata": {"f:annotations": {"f:team": {}}},
            "f:spec": {"f:predictor": {"f:model": {"f:storageUri": {}}}},
        },
    }


def predictor(version: str = "v3", digest: str | None = DIGEST) -> dict[str, Any]:
    return {
        "name": version,
        "annotations": marks(digest) if digest else {},
        "minReplicas": 1,
        "model": {
            "modelFormat": {"name": "mlflow"},
            "name": "",
            "resources": {},
            "runtime": "mlserver",
            "storageUri": f"s3://models/models/digits/sha256-{digest}/",
        },
    }


def inference_service(name: str = "digits", **changed: Any) -> dict[str, Any]:
    """Return one that is ours and ready; `changed` names what differs."""
    ready = changed.get("ready", True)
    conditions = [
        {"type": "IngressReady", "status": str(ready)},
        {"type": "PredictorReady", "status": str(ready)},
        {"type": "Ready", "status": str(ready)},
        {"type": "Stopped", "status": "False", "severity": "Info"},
    ]
    labels = {"app.kubernetes.io/managed-by": "ai-how", "ai-how.dev/estate": "test"}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": name,
            "namespace": "models",
            "uid": changed.get("uid", UID),
            "generation": changed.get("generation", 1),
            "creationTimestamp": changed.get("created", MADE),
            "labels": changed.get("labels", labels),
            "annotations": changed.get("annotations", marks(DIGEST)),
            "managedFields": changed.get("managed", [our_fields(), *kserve_fields()]),
        },
        "spec": {
            "predictor": changed.get("predictor", predictor()),
            **({"canary": changed["canary"]} if "canary" in changed else {}),
        },
        "status": {
            "conditions": conditions,
            "deploymentMode": "Standard",
            "modelStatus": {"transitionStatus": "UpToDate"},
            "observedGeneration": 1,
            **changed.get("status", {}),
        },
    }


def ended(message: str, code: int = 0) -> dict[str, Any]:
    reason = "Completed" if code == 0 else "Error"
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


def told(digest: str) -> str:
    return json.dumps({"bytes": 9, "files": 1, "seconds": 0.1, "tree_digest": digest})


def pod(name: str, service: str = "digits", version: str = "v3", **changed: Any) -> dict[str, Any]:
    """Return a pod that is ready and serves `DIGEST`; `changed` names what differs."""
    ready = changed.get("ready", True)
    server = {"name": "kserve-container", "image": "mlserver:1", "ready": ready}
    server |= {"imageID": f"docker.io/library/mlserver@{IMAGE}", "restartCount": 0}
    server |= {"state": {"running": {"startedAt": "2026-11-20T10:00:09Z"}}}
    download = {"name": "storage-initializer", "image": "storage:1", "ready": True}
    download |= {"restartCount": 0, "state": ended(told(DIGEST))}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "models",
            "uid": f"pod-{name}",
            "creationTimestamp": changed.get("created", "2026-11-20T10:00:01Z"),
            "labels": {
                "app": f"isvc.{service}-{version}-predictor",
                "component": "predictor",
                "serving.kserve.io/inferenceservice": service,
            },
            **changed.get("metadata", {}),
        },
        "spec": {"nodeName": "gpu-1", "containers": [{"name": "kserve-container"}]},
        "status": {
            "phase": "Running",
            "conditions": [
                {
                    "type": "Ready",
                    "status": str(ready),
                    "lastTransitionTime": "2026-11-20T10:00:10Z",
                }
            ],
            "initContainerStatuses": [download | changed.get("download", {})],
            "containerStatuses": [server | changed.get("server", {})],
            **changed.get("status", {}),
        },
    }
