"""A cluster that KWOK plays: nodes that are ready and heartbeat, endpoints whose pods run there.

KWOK makes the nodes ready, renews their leases and runs the pods that are bound to them; no
scheduler and no KServe is there. So only what KServe and our storage container would have written
is written here: the status of each InferenceService, its pod, and the last words of the container
that downloaded the model. Needs no root.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from benchmarks.publish import running
from platform_assets.serving.inference_service import API_VERSION, KIND
from platform_assets.serving.inference_services import (
    SERVER_CONTAINER,
    SERVICE_LABEL,
    STORAGE_CONTAINER,
)
from resources.kubernetes import Kubernetes
from tests.lab.api_client import ApiClient
from tests.lab.api_server import ADMINISTRATOR, ApiServer
from tests.lab.kwok_nodes import (
    LEASE_S,
    READY_S,
    TOLERATION,
    create_kwok_nodes,
    kwok_command,
    unready,
)
from tests.lab.programs import module_directory

NAMESPACE = "models"
GPUS = 4  # of each node
WRONG_EVERY = 50  # so many services apart, a pod serves other bytes than it should
CRD = "config/crd/full/serving.kserve.io_inferenceservices.yaml"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_AT_ONCE = 8


@dataclass(frozen=True)
class PlayedCluster:
    """An API server whose nodes KWOK plays."""

    kubeconfig: Path
    api: ApiClient
    log: Path  # KWOK's

    def fill(self, services: int, nodes: int) -> None:
        """Let so many nodes be ready, and so many endpoints be served on them."""
        cluster = Kubernetes(self.kubeconfig)
        definition = module_directory("kserve", "github.com/kserve/kserve") / CRD
        cluster.apply(yaml.safe_load(definition.read_text()))
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        names = create_kwok_nodes(self.api, nodes, GPUS)
        self._wait_until(lambda: unready(self.api, names))
        self._wait_until(self._unknown_kind)
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            for step in (
                lambda number: put(cluster, endpoint(number)),
                lambda number: self.api.create(PODS, pod(number, names[number % nodes])),
            ):
                list(threads.map(step, range(services)))
            self._wait_until(self._waiting_pods)
            list(threads.map(self._leave_last_words, range(services)))

    def renewed_leases(self) -> int:
        """Return how many nodes have renewed their lease in time."""
        now = datetime.now(UTC)
        renewed = [one["spec"]["renewTime"] for one in self.api.get(LEASES)["items"]]
        ages = [(now - datetime.fromisoformat(each)).total_seconds() for each in renewed]
        return sum(age <= LEASE_S for age in ages)

    def _unknown_kind(self) -> str:
        return "" if self.api.find(f"/apis/{API_VERSION}") else f"{KIND} is no known kind"

    def _waiting_pods(self) -> str:
        pods = self.api.get(PODS, fieldSelector="status.phase!=Running")["items"]
        named = ", ".join(one["metadata"]["name"] for one in pods[:3])
        return f"{len(pods)} pods do not run, such as {named}" if pods else ""

    def _leave_last_words(self, number: int) -> None:
        at = "/status/initContainerStatuses/0"
        digest = "0" * 64 if number % WRONG_EVERY == 0 else tree_digest(number)
        told = {"bytes": 10**9, "files": 12, "seconds": 3.2, "tree_digest": digest}
        self.api.patch(
            f"{PODS}/{pod_name(number)}/status",
            [
                {"op": "test", "path": f"{at}/name", "value": STORAGE_CONTAINER},
                {"op": "add", "path": f"{at}/state/terminated/message", "value": json.dumps(told)},
            ],
        )

    def _wait_until(self, objection: Callable[[], str]) -> None:
        deadline = time.monotonic() + READY_S
        while told := objection():
            if time.monotonic() > deadline:
                end = self.log.read_text(errors="replace")[-2000:]
                raise SystemExit(f"not within {READY_S:g} s: {told}; end of {self.log}:\n{end}")
            time.sleep(0.1)


@contextmanager
def played_cluster(directory: Path) -> Iterator[PlayedCluster]:
    """Run an API server and KWOK, with everything that they know in `directory`."""
    # Nobody makes the service accounts that this plugin wants every pod to have.
    flags = ("--disable-admission-plugins=ServiceAccount",)
    with ApiServer(directory, flags=flags) as server:
        api = ApiClient(server.url, directory / "pki", ADMINISTRATOR)
        log = directory / "kwok.log"
        command = [str(word) for word in kwok_command(server.kubeconfig, server.bind_address)]
        with running(command, log):
            yield PlayedCluster(server.kubeconfig, api, log)
        api.close()


def put(cluster: Kubernetes, service: dict[str, Any]) -> None:
    """Put an InferenceService there, then its status, as KServe does when it has seen it."""
    status = service.pop("status")
    made = cluster.apply(service)
    status["observedGeneration"] = made["metadata"]["generation"]
    named = {key: made["metadata"][key] for key in ("name", "namespace")}
    identity = {"apiVersion": API_VERSION, "kind": KIND, "metadata": named}
    cluster.apply(identity | {"status": status}, subresource="status")


def service_name(number: int) -> str:
    """Return the name of an endpoint."""
    return f"model-{number}"


def pod_name(number: int) -> str:
    """Return the name of an endpoint's pod."""
    return f"{service_name(number)}-v1-predictor-6d5f7c9b8-abcde"


def tree_digest(number: int) -> str:
    """Return the digest that an endpoint is meant to serve."""
    return hashlib.sha256(service_name(number).encode()).hexdigest()


def marks(number: int) -> dict[str, str]:
    """Return the annotations that we put on an InferenceService, its predictor and its pod."""
    return {
        "ai-how.dev/tree-digest": tree_digest(number),
        "ai-how.dev/model": service_name(number),
        "ai-how.dev/version": "1",
        "ai-how.dev/checkpoint": f"{service_name(number)}.run-1.0123456789ab",
        "ai-how.dev/dagster-run": "00000000-0000-0000-0000-000000000000",
    }


def endpoint(number: int) -> dict[str, Any]:
    """Return one InferenceService with the status that KServe gives it."""
    moment = "2026-01-01T00:00:00Z"
    kinds = ("IngressReady", "PredictorReady", "Ready")
    name, annotations = service_name(number), marks(number)
    model = {
        "modelFormat": {"name": "mlflow"},
        "protocolVersion": "v2",
        "runtime": "mlserver",
        "storageUri": f"s3://models/models/{name}/sha256-{tree_digest(number)}/",
        "resources": {"limits": {"nvidia.com/gpu": "1"}, "requests": {"nvidia.com/gpu": "1"}},
    }
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {"app.kubernetes.io/managed-by": "ai-how", "ai-how.dev/estate": "benchmark"},
            "annotations": annotations,
        },
        "spec": {
            "predictor": {
                "name": "v1",
                "annotations": annotations,
                "minReplicas": 1,
                "model": model,
            }
        },
        "status": {
            "conditions": [
                {"type": kind, "status": "True", "lastTransitionTime": moment} for kind in kinds
            ],
            "modelStatus": {"transitionStatus": "UpToDate"},
        },
    }


def pod(number: int, node: str) -> dict[str, Any]:
    """Return an endpoint's pod as KServe and the scheduler have made it; KWOK runs it."""
    name = service_name(number)
    container = {"image": "server:1", "env": [{"name": "MODEL", "value": name}]}
    gpu = {"limits": {"nvidia.com/gpu": "1"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod_name(number),
            "namespace": NAMESPACE,
            "labels": {
                SERVICE_LABEL: name,
                "app": f"isvc.{name}-v1-predictor",
                "component": "predictor",
            },
            "annotations": marks(number),
        },
        "spec": {
            "nodeName": node,
            "tolerations": [TOLERATION],
            "initContainers": [container | {"name": STORAGE_CONTAINER}],
            "containers": [container | {"name": SERVER_CONTAINER, "resources": gpu}],
        },
    }
