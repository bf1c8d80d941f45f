"""One sound estate with nearly everything in it, and small changes that make it unsound."""

from copy import deepcopy
from datetime import date
from typing import Any

from platform_assets.infrastructure.grounds import compatibility_table
from platform_assets.spec.findings import Finding, Severity, dotted
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.pci_names import PciNames
from platform_assets.spec.rules.grounds import Grounds, HostCapacity, HostDevice, Rule
from resources.pci_ids import read_pci_ids

GROUNDS = Grounds(
    today=date(2026, 11, 21),
    capacity=HostCapacity(cpu_cores=128, memory_gib=1024, disk_gib=8000, gpus=2),
    devices=tuple(
        HostDevice(address, "10de", "20b5", is_gpu=True, iommu_group=group)
        for group, address in enumerate(("0000:17:00.0", "0000:65:00.0"))
    ),
    pci_names=PciNames.parse(read_pci_ids()),
    compatibility=compatibility_table(),
)
GONE = object()


def machine(name: str, ip: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "ip": ip, "cpu_cores": 8, "memory_gb": 32, "disk_gb": 200, **more}


SOUND: dict[str, Any] = {
    "metadata": {"name": "sound"},
    "images": {
        "hpc-base": {"path": "build/hpc.qcow2"},
        "cloud-base": {
            "path": "build/cloud.qcow2",
            "operating_system": "Debian 13",
            "nvidia_driver": "580.95.05",
        },
    },
    "security": {"allowed_ssh_users": ["admin"]},
    "backup": {"enabled": True, "schedule": "0 3 * * *", "bucket": "backups"},
    "clusters": {
        "hpc": {
            "name": "hpc",
            "image": "hpc-base",
            "network": {
                "name": "hpc-net",
                "subnet": "192.168.100.0/24",
                "bridge": "virbr100",
                "gateway": "192.168.100.1",
                "dns_servers": ["192.168.100.1"],
                "dhcp_range": {"start": "192.168.100.200", "end": "192.168.100.250"},
            },
            "storage": {
                "virtio_fs": {"enabled": True},
                "beegfs": {
                    "management_node": "controller",
                    "metadata_nodes": ["compute-01"],
                    "storage_nodes": ["compute-1", "compute-2"],
                },
            },
            "controller": machine("controller", "192.168.100.10", mac="52:54:00:00:00:01"),
            "compute_nodes": [
                machine(
                    "compute-1",
                    "192.168.100.11",
                    mac="52:54:00:00:00:02",
                    gres={"gpu": {"type": "a100", "count": 1}},
                    pcie_passthrough={"devices": [{"pci_address": "0000:17:00.0"}]},
                    virtio_fs_mounts=[
                        {"tag": "data", "host_path": "/srv/data", "mount_point": "/data"},
                        {"tag": "home", "host_path": "/srv/home", "mount_point": "/home/all"},
                    ],
                ),
                machine("compute-2", "192.168.100.12"),
            ],
            "slurm": {
                "partitions": ["gpu", "debug"],
                "default_partition": "gpu",
                "gres_types": ["gpu"],
                "enable_database": True,
                "database": {"password": {"secret": {"env": "SLURM_DB_PASSWORD"}}},
            },
        },
        "cloud": {
            "name": "cloud",
            "image": "cloud-base",
            "network": {
                "name": "cloud-net",
                "subnet": "192.168.200.0/24",
                "bridge": "virbr200",
                "gateway": "192.168.200.1",
                "dhcp_range": {"start": "192.168.200.200", "end": "192.168.200.250"},
            },
            "control_plane": [
                machine("control-plane-1", "192.168.200.10", kubernetes_role="control-plane"),
            ],
            "workers": [
                machine(
                    "cpu-worker-1",
                    "192.168.200.11",
                    worker_type="cpu",
                    kubernetes_role="worker",
                    node_labels={"workload-type": "general"},
                    services=["mlflow", "minio", "postgresql", "prometheus", "grafana", "loki"],
                ),
                machine(
                    "gpu-worker-1",
                    "192.168.200.12",
                    worker_type="gpu",
                    node_labels={"workload-type": "inference", "gpu-type": "a100"},
                    node_taints=["nvidia.com/gpu=present:NoSchedule"],
                    pcie_passthrough={"devices": [{"pci_address": "0000:65:00.0"}]},
                ),
            ],
            "kubernetes": {
                "ingress": {
                    "provider": "gateway-api",
                    "enabled": True,
                    "load_balancer_ip": "192.168.200.100",
                },
                "load_balancer": {
                    "provider": "metallb",
                    "addresses": "192.168.200.100-192.168.200.120",
                },
                "storage": {
                    "default_class": "local-path",
                    "classes": [
                        {"name": "local-path", "provisioner": "rancher.io/local-path"},
                        {
                            "name": "nfs",
                            "provisioner": "nfs.csi.k8s.io",
                            "parameters": {"server": "10.0.0.5"},
                        },
                    ],
                },
                "operating_system": "debian-13",
                "gpu_operator": {"driver_version": "580.95.05", "gfd": {"enabled": False}},
                "cert_manager": {"enabled": True},
                "node_labels": {"gpu-worker-1": {"team": "serving"}},
                "node_taints": {"gpu-worker-1": [{"key": "team", "effect": "PreferNoSchedule"}]},
            },
            "mlops": {
                "mlflow": {
                    "version": "3.17.0",
                    "image": "ghcr.io/mlflow/mlflow:v3.17.0-full",
                    "database": {
                        "host": "postgresql",
                        "password": {"secret": {"file": "/run/secrets/mlflow"}},
                    },
                    "artifact_store": {
                        "type": "minio",
                        "bucket": "mlflow-artifacts",
                        "endpoint": "http://minio.mlops.svc.cluster.local:9000",
                    },
                    "ingress": {"host": "mlflow.example.org"},
                },
                "minio": {
                    "service": {"api_port": 9000, "console_port": 9001},
                    "ingress": {"host": "minio.example.org"},
                    "credentials": {
                        "root_user": "admin",
                        "root_password": {"secret": {"env": "MINIO_ROOT_PASSWORD"}},
                    },
                    "buckets": [
                        {"name": "mlflow-artifacts"},
                        {"name": "models"},
                        {"name": "backups"},
                    ],
                },
                "postgresql": {"database": {"database": "mlflow", "username": "mlflow"}},
                "serving": {
                    "kserve": {
                        "mode": "standard",
                        "runtimes": [{"name": "kserve-mlserver"}],
                        "inference_services": {
                            "namespace": "models",
                            "default_resources": {
                                "requests": {"cpu": "1", "memory": "4Gi", "nvidia.com/gpu": "1"},
                                "limits": {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"},
                            },
                        },
                        "autoscaling": {"enabled": True, "max_replicas": 1},
                    },
                    "seldon": {"enabled": False},
                },
            },
            "monitoring": {
                "prometheus": {"storage": {"size": "50Gi", "retention": "30d"}},
                "grafana": {
                    "datasources": [
                        {
                            "name": "Prometheus",
                            "type": "prometheus",
                            "url": "http://prometheus:9090",
                        }
                    ],
                    "ingress": {"host": "grafana.example.org"},
                },
                "logging": {},
            },
        },
    },
}


def estate(changes: dict[str, Any] | None = None) -> Estate:
    """Return the sound estate with values changed at dotted paths; `GONE` takes a key away."""
    data = deepcopy(SOUND)
    for path, value in (changes or {}).items():
        *way, last = [int(step) if step.isdecimal() else step for step in path.split("/")]
        place: Any = data
        for step in way:
            place = place.setdefault(step, {}) if isinstance(place, dict) else place[step]
        if value is GONE:
            del place[last]
        elif isinstance(place, list) and last == len(place):
            place.append(value)
        else:
            place[last] = value
    return Estate.model_validate(data)


def found(rule: Rule, changes: dict[str, Any] | None = None) -> list[Finding]:
    """Return what a rule finds; each finding carries the rule's own name."""
    findings = list(rule(estate(changes), GROUNDS))
    name = rule.__name__.replace("_", "-")  # type: ignore[attr-defined]
    assert {finding.rule for finding in findings} <= {name}
    return findings


def said(rule: Rule, changes: dict[str, Any]) -> list[str]:
    """Return findings as a person reads them, one line each."""
    return [line(finding) for finding in found(rule, changes)]


def line(finding: Finding) -> str:
    mark = "" if finding.severity is Severity.ERROR else f"[{finding.severity}] "
    return f"{mark}{dotted(finding.path)}: {finding.message} -> {finding.remedy}"
