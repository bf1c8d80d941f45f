"""Other estates than the sound one that are sound, too: no rule says anything of them."""

from typing import Any

import pytest

from platform_assets.spec.rules.all_rules import RULES
from tests.unit.spec.rules.sound import GONE, GROUNDS, estate, line, machine

C, H = "clusters/cloud", "clusters/hpc"
K, M = f"{C}/kubernetes", f"{C}/mlops"
KSERVE = f"{M}/serving/kserve"
PLANES = [machine(f"control-plane-{at}", f"192.168.200.2{at}") for at in (1, 2, 3)]


@pytest.mark.parametrize(
    "changes",
    [
        {
            f"{C}/control_plane": PLANES,
            f"{K}/virtual_ip": "192.168.200.5",
            f"{K}/load_balancer/provider": "kube-vip",
        },
        {
            f"{K}/virtual_ip": "192.168.200.5",
            f"{K}/load_balancer": {"provider": "kube-vip"},
            f"{K}/ingress/load_balancer_ip": GONE,
        },
        {f"{K}/load_balancer": GONE, f"{K}/ingress/load_balancer_ip": GONE},
        {f"{K}/load_balancer/addresses": "192.168.200.96/27", f"{C}/workers/0/ip": GONE},
        {f"{C}/network/gateway": GONE, f"{C}/network/mode": "routed"},
        {
            f"{H}/network/subnet": "172.20.0.0/24",
            f"{H}/controller/ip": GONE,
            f"{H}/network/gateway": GONE,
            f"{H}/network/dhcp_range": {"start": "172.20.0.100", "end": "172.20.0.102"},
            f"{H}/compute_nodes/0/ip": GONE,
            f"{H}/compute_nodes/1/ip": GONE,
        },
        {f"{M}/postgresql": GONE, f"{M}/mlflow/database/host": "db.example.org"}
        | {f"{C}/workers/0/services": ["mlflow"]},
        {f"{M}/mlflow/artifact_store": {"type": "s3", "bucket": "elsewhere"}},
        {f"{M}/mlflow/database/host": "postgresql.mlops.svc"},
        {f"{M}/mlflow/database/host": "postgresql.mlops"},
        {f"{C}/monitoring/grafana/ingress": {"host": "mlflow.example.org", "path": "/grafana"}},
        {f"{C}/monitoring/grafana/ingress/host": "*.example.org"},
        {f"{C}/monitoring/prometheus/storage": {"size": "45Gi", "retention": "30d"}},
        {f"{KSERVE}/mode": "knative", f"{K}/knative": {"enabled": True}}
        | {f"{KSERVE}/autoscaling": {"enabled": True, "min_replicas": 0, "target_concurrency": 5}},
        {f"{KSERVE}/runtimes/0": {"name": "vllm", "namespace": "models"}},
        {f"{K}/gpu_operator/device_plugin": {"time_slicing": True, "config": {"name": "slices"}}},
        {f"{K}/gpu_operator/gfd": {"enabled": True}, f"{C}/workers/1/node_labels": {}},
        {
            f"{C}/workers/1/node_taints": [],
            f"{K}/node_taints": {"gpu-worker-1": ["nvidia.com/gpu:NoSchedule"]},
            f"{K}/node_labels": {},
        },
        {f"{M}/postgresql/replicas": 3, f"{M}/postgresql/storage": {"class": "nfs"}},
        {f"{K}/storage/classes": []},
        {f"{C}/image": "build/cloud.qcow2", "images/cloud-base": GONE},
        {"backup/enabled": False, "backup/bucket": GONE},
        {"backup/schedule": "*/15 0-6 * * mon-fri"},
        {"security/allowed_ssh_users": [], f"{C}/ssh": {"user": "debian"}},
        {f"{C}/ssh": {"password_authentication": True}},
        {"clusters/hpc": GONE, "images/hpc-base": GONE},
        {"profile": "production"},
    ],
)
def test_it_passes(changes: dict[str, Any]) -> None:
    declared = estate(changes)
    assert [line(finding) for rule in RULES for finding in rule(declared, GROUNDS)] == []
