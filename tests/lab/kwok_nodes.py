"""Nodes that are played: KWOK says what a kubelet would say, for hundreds of nodes at once.

Pods that tolerate their taint are shown as running there; nothing runs. KWOK needs an API server
and no lab: whoever has only that starts `kwok_command` and asks `create_kwok_nodes`. Reference:
kwok.sigs.k8s.io, the stages `node-fast`, `pod-fast` and `node-heartbeat-with-lease`.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.lab.api_client import ApiClient
from tests.lab.processes import Servers, wait_until
from tests.lab.programs import module_directory, program

NAME = "kwok"
ANNOTATION = "kwok.x-k8s.io/node"
TAINT = {"key": ANNOTATION, "value": "fake", "effect": "NoSchedule"}
TOLERATION = {"key": ANNOTATION, "operator": "Exists"}
STAGES = ("node/fast", "node/heartbeat-with-lease", "pod/fast")
READY_S = 120.0
LEASE_S = 40
_AT_ONCE = 8


def add_kwok_nodes(
    api: ApiClient, servers: Servers, kubeconfig: object, count: int, gpus: int
) -> list[str]:
    """Add played nodes, each with `gpus` GPUs; return their names when all are ready.

    Raises:
        LabFailed: KWOK ended, or they are not ready in time.
    """
    if NAME not in servers.living():
        servers.start(NAME, kwok_command(kubeconfig, servers.place.address))
    names = create_kwok_nodes(api, count, gpus)
    wait_until(
        servers,
        [NAME],
        lambda: unready(api, names),
        what=f"{count} played nodes",
        limit_s=READY_S,
    )
    return names


def create_kwok_nodes(api: ApiClient, count: int, gpus: int) -> list[str]:
    """Create nodes for KWOK to play; return their names at once."""
    taken = {node["metadata"]["name"] for node in _played(api)}
    free = (name for number in range(10_000) if (name := f"kwok-{number:04}") not in taken)
    names = [name for name, _ in zip(free, range(count), strict=False)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda name: api.create("/api/v1/nodes", _node(name, gpus)), names))
    return names


def remove_kwok_nodes(api: ApiClient, names: Sequence[str]) -> None:
    """Remove played nodes; the controllers remove their pods."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda name: api.delete(f"/api/v1/nodes/{name}"), names))


def kwok_command(kubeconfig: object, address: str) -> list[object]:
    """Return the command that plays the nodes of a cluster, each with this address."""
    stages = module_directory(NAME, "sigs.k8s.io/kwok") / "kustomize/stage"
    files = [
        file
        for stage in STAGES
        for file in sorted((stages / stage).glob("*.yaml"))
        if file.name != "kustomization.yaml"
    ]
    return [
        program(NAME),
        f"--kubeconfig={kubeconfig}",
        f"--manage-nodes-with-annotation-selector={ANNOTATION}=fake",
        *(f"--config={file}" for file in files),
        f"--node-ip={address}",
        f"--node-lease-duration-seconds={LEASE_S}",
    ]


def _played(api: ApiClient) -> list[dict[str, Any]]:
    return list(api.get("/api/v1/nodes", labelSelector="type=kwok")["items"])


def unready(api: ApiClient, names: Sequence[str]) -> str:
    """Return in words which of these nodes are not ready; nothing when all are."""
    ready = {
        node["metadata"]["name"]
        for node in _played(api)
        for condition in node["status"].get("conditions", [])
        if condition["type"] == "Ready" and condition["status"] == "True"
    }
    missing = [name for name in names if name not in ready]
    return f"{len(missing)} not ready, such as {missing[0]}" if missing else ""


def _node(name: str, gpus: int) -> dict[str, Any]:
    room = {"cpu": "32", "memory": "256Gi", "pods": "110", "nvidia.com/gpu": str(gpus)}
    labels = {"type": NAME, "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {ANNOTATION: "fake"}},
        "spec": {"taints": [TAINT]},
        "status": {"allocatable": room, "capacity": room},
    }
