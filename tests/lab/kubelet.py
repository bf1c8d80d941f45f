"""The lab's one real node: the kubelet's configuration and start.

Reference: KubeletConfiguration v1beta1. Which resources the node shows beyond its own is told to
the API server, not to the kubelet (`node.py`).
"""

from pathlib import Path

import yaml

from tests.lab.api_server import ApiServer
from tests.lab.containerd import socket
from tests.lab.mounts import enter_mounts
from tests.lab.processes import Servers
from tests.lab.programs import program

NAME = "kubelet"
GPU_TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}


def start_kubelet(servers: Servers, api: ApiServer, node: str, data: Path) -> None:
    """Start the kubelet of `node`, which registers itself with the taint of a GPU node."""
    kubeconfig = api.kubeconfig_for(f"system:node:{node}", ["system:nodes"])
    file = data / "kubelet.yaml"
    file.write_text(yaml.safe_dump(_configuration(servers, api, data)))
    flags = [
        f"--config={file}",
        f"--kubeconfig={kubeconfig}",
        f"--root-dir={data / 'kubelet'}",
        f"--cert-dir={data / 'kubelet' / 'pki'}",
        f"--hostname-override={node}",
        f"--node-ip={servers.place.address}",
    ]
    servers.start(NAME, [*enter_mounts(servers), program(NAME), *flags])


def _configuration(servers: Servers, api: ApiServer, data: Path) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": servers.place.address,
        "healthzBindAddress": "127.0.0.1",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(api.authority.certificate)},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{socket(servers)}",
        # All pods live below the lab's own control group, so that it can be removed as a whole.
        "cgroupRoot": f"/{servers.place.name}",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        # Pods have no DNS: what they need to reach they are told by address.
        "resolvConf": "",
        "makeIPTablesUtilChains": False,
        "registerWithTaints": [GPU_TAINT],
        "podLogsDir": str(data / "pods"),
        "volumePluginDir": str(data / "kubelet" / "volume-plugins"),
        "serializeImagePulls": False,
        # A disk that others fill must neither empty the node nor take away the image `pause`.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "imagefs.available": "0%",
            "memory.available": "0%",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
        },
    }
