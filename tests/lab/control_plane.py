"""The lab's control plane: API server with etcd, controllers, scheduler, and kube-proxy.

Each knows itself by a certificate of the cluster's authority, under the name that Kubernetes' own
roles expect.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.lab.api_server import ApiServer
from tests.lab.processes import Servers
from tests.lab.programs import program

PORT = 6443
SERVICE_RANGE = "10.96.0.0/16"
CONTROLLERS = "kube-controller-manager"
SCHEDULER = "kube-scheduler"
PROXY = "kube-proxy"
PROGRAMS = ("etcd", "kube-apiserver", CONTROLLERS, SCHEDULER, PROXY)


def start_api_server(servers: Servers, data: Path) -> ApiServer:
    """Start etcd and the API server on the lab's address; return when it is ready."""
    address = servers.place.address
    server = ApiServer(
        data / "control-plane",
        bind_address="0.0.0.0",
        advertise_address=address,
        port=PORT,
        service_range=SERVICE_RANGE,
        enter=servers.prefix,
        dies_with_starter=False,
    )
    server.directory.mkdir(parents=True, exist_ok=True)
    (server.directory / "pki").mkdir(exist_ok=True)
    server.authority.ensure()
    towards_kubelet = server.authority.issue_client("kube-apiserver", ["system:masters"])
    server.flags = [
        f"--kubelet-client-certificate={towards_kubelet.certificate}",
        f"--kubelet-client-key={towards_kubelet.key}",
        # Without it a stop waits a minute for the watches of kubelet and controllers.
        "--shutdown-watch-termination-grace-period=1s",
        # The node's name is no name in any DNS.
        "--kubelet-preferred-address-types=InternalIP",
    ]
    server.start()
    for name, process in (("etcd", server.etcd), ("kube-apiserver", server.process)):
        if process is not None:
            servers.adopt(name, process, server.directory)
    return server


def start_controllers(servers: Servers, api: ApiServer) -> None:
    """Start what turns objects into other objects, places pods, and makes Services reachable."""
    alone = "--leader-elect=false"  # an election costs seconds
    _start(
        servers,
        api,
        CONTROLLERS,
        [
            alone,
            f"--root-ca-file={api.authority.certificate}",
            f"--service-account-private-key-file={api.service_account_key}",
            "--use-service-account-credentials=true",
            "--bind-address=127.0.0.1",
        ],
    )
    _start(servers, api, SCHEDULER, [alone, "--bind-address=127.0.0.1"])


def start_proxy(servers: Servers, api: ApiServer, node: str) -> None:
    """Start kube-proxy, with rules that live and go with the lab's network namespace."""
    kubeconfig = api.kubeconfig_for(f"system:{PROXY}", ["system:node-proxier"])
    servers.start(
        PROXY,
        [
            program(PROXY),
            f"--kubeconfig={kubeconfig}",
            "--proxy-mode=nftables",
            f"--cluster-cidr={servers.place.pod_network}",
            f"--hostname-override={node}",
            "--conntrack-max-per-core=0",
            "--healthz-bind-address=127.0.0.1",
            "--metrics-bind-address=127.0.0.1",
        ],
    )


def _start(servers: Servers, api: ApiServer, name: str, flags: Sequence[str]) -> None:
    kubeconfig = api.kubeconfig_for(f"system:{name}")
    known = [f"--{use}kubeconfig={kubeconfig}" for use in ("", "authentication-", "authorization-")]
    servers.start(name, [program(name), *known, *flags])
