"""InferenceServices as a person would write them by hand, and what the cluster says of them."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.lab.kserve import apply, kubectl
from tests.lab.kserve_lab import KserveLab
from tests.lab.kserve_manifests import GROUP, RUNTIME, STORAGE, Manifest

NAMESPACE = "default"
ACCOUNT = "ai-how-reader"
SERVICES = f"/apis/{GROUP}/v1beta1/namespaces/{NAMESPACE}/inferenceservices"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
LIMIT_S = 120.0


def ensure_account(kserve_lab: KserveLab) -> None:
    """Let the pods of InferenceServices read the lab's store."""
    ensure_account_of(kserve_lab, ACCOUNT, kserve_lab.store.url, kserve_lab.store.reader)


def ensure_account_of(kserve_lab: KserveLab, name: str, url: str, reader: Path) -> None:
    """Let pods of an account read the store at `url`, as KServe's documentation says."""
    keys = json.loads(reader.read_text())
    annotations = {
        f"{GROUP}/s3-endpoint": url.removeprefix("http://"),
        f"{GROUP}/s3-usehttps": "0",
        f"{GROUP}/s3-region": "us-east-1",
    }
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE, "annotations": annotations},
        "stringData": {
            "AWS_ACCESS_KEY_ID": keys["access_key"],
            "AWS_SECRET_ACCESS_KEY": keys["secret_key"],
        },
    }
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "secrets": [{"name": name}],
    }
    apply(kserve_lab.lab, [secret, account])


def inference_service(name: str, storage_uri: str) -> Manifest:
    """Return the manifest of an MLflow model on one GPU, downloaded by our storage container."""
    model = {
        "modelFormat": {"name": "mlflow", "version": "2"},
        "runtime": RUNTIME,
        "protocolVersion": "v2",
        "storageUri": storage_uri,
        "resources": {"limits": {"nvidia.com/gpu": "1"}},
    }
    predictor = {
        "name": "v1",
        "serviceAccountName": ACCOUNT,
        "storageContainerName": STORAGE,
        "minReplicas": 1,
        "maxReplicas": 1,
        "tolerations": [TOLERATION],
        "model": model,
    }
    return {
        "apiVersion": f"{GROUP}/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"predictor": predictor},
    }


def is_ready(found: Manifest) -> bool:
    """Tell whether KServe calls it ready."""
    conditions = found.get("status", {}).get("conditions", [])
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def wait_until(
    kserve_lab: KserveLab, name: str, agreed: Callable[[Manifest, list[Manifest]], bool]
) -> tuple[Manifest, list[Manifest]]:
    """Return the InferenceService and its pods once they agree; show them when they do not."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        found = kserve_lab.lab.api.get(f"{SERVICES}/{name}")
        pods = pods_of(kserve_lab, name)
        if agreed(found, pods):
            return found, pods
        if time.monotonic() > deadline:
            shown = [pod["status"] for pod in pods]
            events = kubectl(kserve_lab.lab, "get", "events", "-n", NAMESPACE)
            told = json.dumps([found.get("status"), shown], indent=1)
            raise AssertionError(f"{name}: not within {LIMIT_S:g} s: {told}\n{events}")
        time.sleep(0.1)


def pods_of(kserve_lab: KserveLab, name: str) -> list[Manifest]:
    """Return the pods of an InferenceService."""
    listed = kserve_lab.lab.api.get(PODS, labelSelector=f"{GROUP}/inferenceservice={name}")
    return list(listed["items"])


def storage_status(pod: Manifest) -> dict[str, Any]:
    """Return how the storage container of a pod stands: its state, or its last one."""
    for entry in pod["status"].get("initContainerStatuses", []):
        if entry["name"] == "storage-initializer":
            for held in (entry.get("state", {}), entry.get("lastState", {})):
                if "terminated" in held:
                    return dict(held["terminated"])
    return {}


def predicted(kserve_lab: KserveLab, service: str, model: str, rows: list[list[float]]) -> Any:
    """Ask for a prediction through the API server's proxy of a Service."""
    flat = [number for row in rows for number in row]
    request = {
        "inputs": [
            {"name": "x", "shape": [len(rows), len(rows[0])], "datatype": "FP64", "data": flat}
        ]
    }
    path = f"/api/v1/namespaces/{NAMESPACE}/services/http:{service}:80/proxy"
    answer = kserve_lab.lab.api.create(f"{path}/v2/models/{model}/infer", request)
    return answer["outputs"][0]["data"]


def delete(kserve_lab: KserveLab, name: str) -> None:
    """Delete an InferenceService, and return when its pods are gone."""
    kserve_lab.lab.api.delete(f"{SERVICES}/{name}")
    deadline = time.monotonic() + LIMIT_S
    while pods_of(kserve_lab, name):
        assert time.monotonic() < deadline, f"{name}: its pods do not go"
        time.sleep(0.1)
