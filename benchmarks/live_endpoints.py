"""How long one observation of all endpoints of a cluster takes (aim: 3 s for 300 on 100 nodes).

A real API server holds KServe's own InferenceServices with their pods and nodes, statuses included,
as KServe and the kubelets would have written them; no controller runs, for what is measured is what
it takes to ask and to judge. The observer is a process of its own. Needs `etcd` and
`kube-apiserver` (KUBEBUILDER_ASSETS) and KServe's CRDs:

    .venv/bin/python -m benchmarks.live_endpoints --services 300 --nodes 100
"""

import argparse
import hashlib
import json
import logging
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from platform_assets.serving.inference_service import API_VERSION, KIND
from platform_assets.serving.inference_services import (
    SERVICE_LABEL,
    Observation,
    differences,
    observation,
)
from resources.kubernetes import Kubernetes

AIM_S = 3.0
NAMESPACE = "models"
KSERVE_MODULE = Path("tests/lab/go/kserve")
CRD = Path("config/crd/full/serving.kserve.io_inferenceservices.yaml")
WRONG_EVERY = 50  # so many services apart, a pod serves other bytes than it should


def main() -> None:
    """Fill an API server, observe it, and say whether the aim is met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--services", type=int, default=300)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--observations", type=int, default=7)
    parser.add_argument("--crd", type=Path, help="KServe's CRD of InferenceServices")
    parser.add_argument("--observe", type=Path, metavar="KUBECONFIG", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.observe:
        print(json.dumps(observed(options.observe, options.observations)))
        return
    from tests.lab.api_server import ApiServer

    definition = yaml.safe_load((options.crd or _kserve() / CRD).read_text())
    with tempfile.TemporaryDirectory(prefix="ai-how-api-") as directory:
        # Nobody makes the service accounts that this plugin wants every pod to have.
        flags = ("--disable-admission-plugins=ServiceAccount",)
        with ApiServer(Path(directory), flags=flags) as server:
            begun = time.perf_counter()
            fill(Kubernetes(server.kubeconfig), definition, options.services, options.nodes)
            print(f"filled in {time.perf_counter() - begun:.1f} s", file=sys.stderr)
            observer = [sys.executable, "-m", "benchmarks.live_endpoints"]
            wanted = ["--observe", server.kubeconfig, "--observations", str(options.observations)]
            measured = subprocess.run(
                [*observer, *wanted], capture_output=True, text=True, check=True, timeout=600
            )
    report(json.loads(measured.stdout), options)


def report(told: dict[str, Any], options: argparse.Namespace) -> None:
    """Print what was measured; end with 1 where the aim is missed."""
    expected = -(-options.services // WRONG_EVERY)
    if (told["services"], told["differing"]) != (options.services, expected):
        raise SystemExit(f"expected {options.services} services, {expected} differing: {told}")
    verdict = "met" if told["first_s"] <= AIM_S else "MISSED"
    print(
        f"{told['services']} endpoints on {options.nodes} nodes, {told['differing']} differing: "
        f"first observation {told['first_s']:.2f} s (loading the client and connecting included; "
        f"{told['first_cpu_s']:.2f} s of processor), "
        f"median of {options.observations} more {told['median_s']:.2f} s, "
        f"{told['requests']} requests each, "
        f"peak memory {told['peak_mib']:.0f} MiB ({told['before_mib']:.0f} MiB before): "
        f"aim of {AIM_S:g} s {verdict}"
    )
    if verdict == "MISSED":
        raise SystemExit(1)


def observed(kubeconfig: Path, times: int) -> dict[str, Any]:
    """Observe the cluster so many times, after a first one, and tell how it went."""
    requests = _Requests()
    logging.getLogger("httpx").addHandler(requests)
    logging.getLogger("httpx").setLevel(logging.INFO)
    before = _peak_mib()
    cluster = Kubernetes(kubeconfig)
    seconds, processor = [], []
    for _ in range(times + 1):
        requests.count = 0
        begun, used = time.perf_counter(), time.process_time()
        seen = look(cluster)
        differing = [one for one in seen.services if differences(one)]
        seconds.append(time.perf_counter() - begun)
        processor.append(time.process_time() - used)
    return {
        "services": len(seen.services),
        "differing": len(differing),
        "first_s": seconds[0],
        "first_cpu_s": processor[0],
        "median_s": statistics.median(seconds[1:]),
        "requests": requests.count,
        "peak_mib": _peak_mib(),
        "before_mib": before,
    }


def look(cluster: Kubernetes) -> Observation:
    """Ask the cluster for all InferenceServices and their pods."""
    return observation(
        cluster.list(API_VERSION, KIND), cluster.list("v1", "Pod", labels={SERVICE_LABEL: None})
    )


def _peak_mib() -> float:
    # Not getrusage(2): its figure is inherited from the process that started this one.
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(peak.group(1)) / 1024 if peak else float("nan")


class _Requests(logging.Handler):
    """Counts what httpx logs: one record a request."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002 - logging's signature
        self.count += 1


def _kserve() -> Path:
    """Return the folder of KServe's Go module, which holds its CRDs."""
    asked = ["go", "list", "-m", "-f", "{{.Dir}}", "github.com/kserve/kserve"]
    told = subprocess.run(
        asked, cwd=KSERVE_MODULE, capture_output=True, text=True, check=False, timeout=120
    )
    if told.returncode or not told.stdout.strip():
        raise SystemExit(f"expected KServe's module in Go's cache, or --crd: {told.stderr}")
    return Path(told.stdout.strip())


def fill(cluster: Kubernetes, definition: dict[str, Any], services: int, nodes: int) -> None:
    """Put the definition, nodes, InferenceServices and pods there, with their statuses."""
    cluster.apply(definition)
    cluster.wait_for_kind(API_VERSION, KIND, timeout_s=60)
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    with ThreadPoolExecutor(8) as threads:
        for made in (
            threads.map(lambda number: _put(cluster, [node(number)]), range(nodes)),
            threads.map(
                lambda number: _put(cluster, endpoint(number, f"node-{number % nodes}")),
                range(services),
            ),
        ):
            list(made)


def _put(cluster: Kubernetes, objects: Iterable[dict[str, Any]]) -> None:
    for wanted in objects:
        status = wanted.pop("status")
        made = cluster.apply(wanted)
        if "observedGeneration" in status:
            status["observedGeneration"] = made["metadata"]["generation"]
        named = {
            key: made["metadata"][key] for key in ("name", "namespace") if key in made["metadata"]
        }
        identity = {"apiVersion": wanted["apiVersion"], "kind": wanted["kind"], "metadata": named}
        cluster.apply(identity | {"status": status}, subresource="status")


def node(number: int) -> dict[str, Any]:
    """Return a node with two GPUs."""
    capacity = {"cpu": "32", "memory": "128Gi", "nvidia.com/gpu": "2", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"node-{number}", "labels": {"gpu": "yes"}},
        "status": {"capacity": capacity, "allocatable": capacity},
    }


def endpoint(number: int, node_name: str) -> list[dict[str, Any]]:
    """Return one InferenceService and its pod."""
    name = f"model-{number}"
    digest = hashlib.sha256(name.encode()).hexdigest()
    marks = {
        "ai-how.dev/tree-digest": digest,
        "ai-how.dev/model": name,
        "ai-how.dev/version": "1",
        "ai-how.dev/checkpoint": f"{name}.run-1.0123456789ab",
        "ai-how.dev/dagster-run": "00000000-0000-0000-0000-000000000000",
    }
    labels = {"app.kubernetes.io/managed-by": "ai-how", "ai-how.dev/estate": "benchmark"}
    moment = "2026-01-01T00:00:00Z"
    kinds = ("IngressReady", "PredictorReady", "Ready")
    ready = [{"type": kind, "status": "True", "lastTransitionTime": moment} for kind in kinds]
    model = {
        "modelFormat": {"name": "mlflow"},
        "protocolVersion": "v2",
        "runtime": "mlserver",
        "storageUri": f"s3://models/models/{name}/sha256-{digest}/",
        "resources": {"limits": {"nvidia.com/gpu": "1"}, "requests": {"nvidia.com/gpu": "1"}},
    }
    served = "0" * 64 if number % WRONG_EVERY == 0 else digest
    service = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": labels,
            "annotations": marks,
        },
        "spec": {
            "predictor": {"name": "v1", "annotations": marks, "minReplicas": 1, "model": model}
        },
        "status": {
            "conditions": ready,
            "observedGeneration": 0,
            "modelStatus": {"transitionStatus": "UpToDate"},
        },
    }
    return [service, pod(name, node_name, marks | labels, served, moment)]


def pod(
    service: str, node_name: str, marks: dict[str, str], digest: str, moment: str
) -> dict[str, Any]:
    """Return a pod that serves the tree with this digest."""
    told = json.dumps({"bytes": 10**9, "files": 12, "seconds": 3.2, "tree_digest": digest})
    download = {"exitCode": 0, "reason": "Completed", "message": told}
    download |= {"startedAt": moment, "finishedAt": moment}
    common = {"image": "server:1", "restartCount": 0, "ready": True}
    image = f"docker.io/library/server@sha256:{'ab' * 32}"
    kinds = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    container = {"image": "server:1", "env": [{"name": "MODEL", "value": service}]}
    toleration = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{service}-v1-predictor-6d5f7c9b8-abcde",
            "namespace": NAMESPACE,
            "labels": {
                SERVICE_LABEL: service,
                "app": f"isvc.{service}-v1-predictor",
                "component": "predictor",
            },
            "annotations": marks,
        },
        "spec": {
            "nodeName": node_name,
            "tolerations": [toleration],
            "initContainers": [container | {"name": "storage-initializer"}],
            "containers": [container | {"name": "kserve-container"}],
        },
        "status": {
            "phase": "Running",
            "conditions": [
                {"type": kind, "status": "True", "lastTransitionTime": moment} for kind in kinds
            ],
            "initContainerStatuses": [
                common
                | {"name": "storage-initializer", "imageID": image}
                | {"state": {"terminated": download}}
            ],
            "containerStatuses": [
                common
                | {"name": "kserve-container", "imageID": image}
                | {"state": {"running": {"startedAt": moment}}}
            ],
        },
    }


if __name__ == "__main__":
    main()
