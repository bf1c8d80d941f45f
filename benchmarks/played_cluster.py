"""A cluster that KWOK plays: nodes that are ready and heartbeat, endpoints whose pods run there.

KWOK makes the nodes ready, renews their leases and runs the pods that are bound to them; no
scheduler and no KServe is there. So only what KServe and our storage container would have written
is written here: the status of each InferenceService, the pod that it asks for, and the last words
of the container that downloaded the model. Needs no root.
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
from platform_assets.serving.inference_service import (
    API_VERSION,
    KIND,
    Version,
    deployment_name,
    inference_service,
    live_service,
)
from platform_assets.serving.inference_services import (
    SERVER_CONTAINER,
    SERVICE_LABEL,
    STORAGE_CONTAINER,
)
from platform_assets.spec.model.services import InferenceServices, Kserve
from platform_assets.spec.served_pods import ServedPods
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
ESTATE = "benchmark"
KSERVE = Kserve(inference_services=InferenceServices(namespace=NAMESPACE))
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
                lambda number: put(cluster, version_of(number)),
                lambda number: self.api.create(
                    PODS, pod(version_of(number), names[number % nodes])
                ),
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
        version = version_of(number)
        digest = "0" * 64 if number % WRONG_EVERY == 0 else version.tree_digest
        told = {"bytes": 10**9, "files": 12, "seconds": 3.2, "tree_digest": digest}
        self.api.patch(
            f"{PODS}/{pod_name(version)}/status",
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


def put(cluster: Kubernetes, version: Version) -> None:
    """Put an endpoint there as a delivery does, and its status as KServe does when it is ready."""
    entry = ServedPods(runtime="mlserver", gpus=1)
    made = cluster.apply(inference_service(entry, KSERVE, version, estate=ESTATE))
    moment = made["metadata"]["creationTimestamp"]
    kinds = ("IngressReady", "PredictorReady", "Ready")
    status = {
        "conditions": [
            {"type": kind, "status": "True", "lastTransitionTime": moment} for kind in kinds
        ],
        "observedGeneration": made["metadata"]["generation"],
        "modelStatus": {"transitionStatus": "UpToDate"},
    }
    named = {key: made["metadata"][key] for key in ("name", "namespace")}
    told = {"apiVersion": API_VERSION, "kind": KIND, "metadata": named, "status": status}
    cluster.apply(told, subresource="status")
    live = {"namespace": NAMESPACE, "estate": ESTATE}
    cluster.apply(live_service(version.endpoint, version.predictor, **live))


def version_of(number: int) -> Version:
    """Return what an endpoint is meant to serve."""
    name = f"model-{number}"
    digest = hashlib.sha256(name.encode()).hexdigest()
    return Version(
        endpoint=name,
        model=name,
        version="1",
        tree_digest=digest,
        checkpoint=f"{name}.run-1.0123456789ab",
        dagster_run="00000000-0000-0000-0000-000000000000",
        storage_uri=f"s3://models/models/{name}/sha256-{digest}/",
    )


def pod_name(version: Version) -> str:
    """Return the name of an endpoint's pod."""
    return f"{deployment_name(version.endpoint, version.predictor)}-6d5f7c9b8-abcde"


def pod(version: Version, node: str) -> dict[str, Any]:
    """Return an endpoint's pod as KServe and the scheduler make it; KWOK runs it."""
    container = {"image": "server:1", "env": [{"name": "MODEL", "value": version.model}]}
    gpu = {"limits": {"nvidia.com/gpu": "1"}}
    labels = {
        SERVICE_LABEL: version.endpoint,
        "app": f"isvc.{deployment_name(version.endpoint, version.predictor)}",
        "component": "predictor",
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod_name(version),
            "namespace": NAMESPACE,
            "labels": labels,
            "annotations": version.annotations(),
        },
        "spec": {
            "nodeName": node,
            "tolerations": [TOLERATION],
            "initContainers": [container | {"name": STORAGE_CONTAINER}],
            "containers": [container | {"name": SERVER_CONTAINER, "resources": gpu}],
        },
    }
