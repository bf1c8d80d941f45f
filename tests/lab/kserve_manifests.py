"""What KServe needs on the lab's cluster, as manifests made from the files of its Go module.

Pure functions: the module's own files go through with as few changes as the lab demands, so that a
new KServe brings its new files along. Reference: KServe 0.20, `config/`.
"""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]

NAMESPACE = "kserve"
SERVICE_ACCOUNT = "kserve-controller-manager"
RUNTIME = "ai-how-mlserver"
STORAGE = "ai-how"
GROUP = "serving.kserve.io"
STORAGE_CONTAINER_FILE = (
    Path(__file__).parents[2] / "images/storage-container/cluster-storage-container.yaml"
)
# What the files of KServe say and the lab cannot have: a gateway, Knative, its sizes.
_CHANGES: Mapping[str, Mapping[str, Any]] = {
    "deploy": {"defaultDeploymentMode": "Standard"},
    "ingress": {"disableIstioVirtualHost": True, "disableIngressCreation": True},
    "inferenceService": {
        "resource": {
            "cpuRequest": "100m",
            "memoryRequest": "256Mi",
            "cpuLimit": "2",
            "memoryLimit": "2Gi",
        }
    },
}
_UNPRIVILEGED = {
    "allowPrivilegeEscalation": False,
    "privileged": False,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
}


def definitions(module: Path) -> list[Path]:
    """Return the files of the custom resource definitions."""
    full = module / "config" / "crd" / "full"
    return [*sorted(full.glob(f"{GROUP}_*.yaml")), *sorted(full.glob("clusterstorage*/serving*"))]


def definition_names(module: Path) -> list[str]:
    """Return the names of the custom resource definitions; the files are named after them."""
    return [f"{file.stem.removeprefix(f'{GROUP}_')}.{GROUP}" for file in definitions(module)]


def ground(module: Path, storage_image: str) -> list[Manifest]:
    """Return what must be there before the controllers start: namespace, rights, configuration."""
    role, *_ = _documents(module / "config" / "rbac" / "role.yaml")
    binding, *_ = _documents(module / "config" / "rbac" / "role_binding.yaml")
    binding["subjects"][0]["namespace"] = NAMESPACE
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    return [namespace, role, binding, configuration(module, storage_image)]


def configuration(module: Path, storage_image: str) -> Manifest:
    """Return the ConfigMap `inferenceservice-config` for a cluster without a gateway."""
    found, *_ = _documents(module / "config" / "configmap" / "inferenceservice.yaml")
    changes = {**_CHANGES, "storageInitializer": {"image": storage_image}}
    data = {key: text for key, text in found["data"].items() if key != "_example"}
    for key, change in changes.items():
        data[key] = json.dumps(json.loads(data[key]) | change, indent=1)
    metadata = {"name": found["metadata"]["name"], "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def webhooks(module: Path, url: str, authority: Path) -> list[Manifest]:
    """Return the webhook configurations, calling `url`, whose certificate `authority` signed."""
    bundle = base64.b64encode(authority.read_bytes()).decode()
    found = _documents(module / "config" / "webhook" / "manifests.yaml")
    for configured in found:
        configured["metadata"].pop("creationTimestamp", None)
        for webhook in configured["webhooks"]:
            path = webhook["clientConfig"]["service"]["path"]
            webhook["clientConfig"] = {"url": f"{url}{path}", "caBundle": bundle}
    return found


def serving_runtime(image: str) -> Manifest:
    """Return the runtime that serves MLflow models by MLServer with the protocol v2."""
    variables = {
        "MLSERVER_MODEL_IMPLEMENTATION": "mlserver_mlflow.MLflowRuntime",
        "MLSERVER_MODEL_NAME": "{{.Name}}",
        "MLSERVER_MODEL_URI": "/mnt/models",
        "MLSERVER_HTTP_PORT": "8080",
        "MLSERVER_GRPC_PORT": "9000",
        "MLSERVER_PARALLEL_WORKERS": "0",
    }
    container = {
        "name": "kserve-container",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
        "readinessProbe": {
            "httpGet": {"path": "/v2/models/{{.Name}}/ready", "port": 8080},
            "periodSeconds": 1,
            "failureThreshold": 60,
        },
        "securityContext": _UNPRIVILEGED,
    }
    spec = {
        "supportedModelFormats": [{"name": "mlflow", "version": "2", "autoSelect": True}],
        "protocolVersions": ["v2"],
        "containers": [container],
    }
    metadata = {"name": RUNTIME}
    version = f"{GROUP}/v1alpha1"
    kind = "ClusterServingRuntime"
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def storage_container(image: str) -> Manifest:
    """Return our ClusterStorageContainer as its project offers it, with this image."""
    found, *_ = _documents(STORAGE_CONTAINER_FILE)
    found["spec"]["container"]["image"] = image
    return dict(found)


def _documents(file: Path) -> list[Any]:
    """Read a file of KServe; a variable of kustomize may stand only where it is replaced."""
    return [document for document in yaml.safe_load_all(file.read_text()) if document]
