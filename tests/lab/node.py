"""The lab's real node as the API server shows it: ready, and with two GPUs that nobody has.

Reference: Kubernetes, "Advertise Extended Resources for a Node".
"""

from tests.lab.api_client import ApiClient
from tests.lab.kubelet import GPU_TAINT, NAME
from tests.lab.processes import Servers, wait_until

NODE = "gpu-node"
GPUS = 2
READY_S = 60.0


def advertise_gpus(api: ApiClient, servers: Servers) -> None:
    """Let the node show its GPUs as soon as it has registered itself."""
    wait_until(
        servers, [NAME], lambda: _unregistered(api), what=f"node {NODE} registered", limit_s=READY_S
    )
    patch = [
        {"op": "add", "path": f"/status/{part}/nvidia.com~1gpu", "value": str(GPUS)}
        for part in ("capacity", "allocatable")
    ]
    api.patch(f"/api/v1/nodes/{NODE}/status", patch)


def wait_for_node(api: ApiClient, servers: Servers) -> None:
    """Return when pods can be created, and the node takes those that want a GPU."""
    wait_until(
        servers,
        [NAME, "containerd", "kube-controller-manager", "kube-scheduler"],
        lambda: _unready(api),
        what=f"node {NODE} ready",
        limit_s=READY_S,
    )


def _unregistered(api: ApiClient) -> str:
    node = api.find(f"/api/v1/nodes/{NODE}")
    return "" if node and node["status"].get("capacity") else "the kubelet has not registered it"


def _unready(api: ApiClient) -> str:
    node = api.find(f"/api/v1/nodes/{NODE}") or {}
    conditions = {entry["type"]: entry for entry in node["status"].get("conditions", [])}
    ready = conditions.get("Ready", {"status": "none", "message": "no condition Ready"})
    if ready["status"] != "True":
        return str(ready["message"])
    taints = [taint["key"] for taint in node["spec"].get("taints", [])]
    if taints != [GPU_TAINT["key"]]:
        return f"taints {taints}"
    if node["status"]["allocatable"].get("nvidia.com/gpu") != str(GPUS):
        return f"allocatable {node['status']['allocatable']}"
    if not api.find("/api/v1/namespaces/default/serviceaccounts/default"):
        return "the controllers have not made the service account default"
    return ""
