"""Dialects of Kubernetes and of the services on it."""

from platform_assets.spec.findings import Path
from platform_assets.spec.loading.dialect import Dialect, move, section
from platform_assets.spec.loading.reading import Reading
from platform_assets.spec.loading.tree import Node
from platform_assets.spec.model.base import Declared
from platform_assets.spec.model.kubernetes import Kubernetes
from platform_assets.spec.model.services import Database, Kserve, PostgresqlService, Volume

# Kubespray's names of what the documents' short form has beside `networking`.
_NETWORKING = {
    "cni": "cni",
    "cni_version": "cni_version",
    "calico_version": "cni_version",
    "pod_cidr": "pod_cidr",
    "service_cidr": "service_cidr",
    "dns_domain": "dns_domain",
}
# The short form names a storage class that Kubespray brings along, with its provisioner.
_PROVISIONERS = {"local-path": "rancher.io/local-path"}
_MODES = {
    "standard": "standard",
    "raw": "standard",
    "rawdeployment": "standard",
    "knative": "knative",
    "serverless": "knative",
}
_RAW = ("kserve_enable_raw_deployment", "enable_raw_deployment", "raw_deployment")
_SCALES = {
    "knative_min_scale": "min_replicas",
    "knative_max_scale": "max_replicas",
    "min_scale": "min_replicas",
    "max_scale": "max_replicas",
}
_REPLICAS_OF_HA = "3"


def _kubernetes(node: Node, path: Path, reading: Reading) -> None:
    for key, name in _NETWORKING.items():
        if key in node.keys and (networking := section(node, "networking", node.keys[key])):
            move(node, key, (networking, name), (*path, "networking"), reading)
    ingress = node.keys.get("ingress")
    if ingress is not None and ingress.text is not None:
        provider = ingress.beside(ingress.value)
        node.keys["ingress"] = ingress.beside({"provider": provider})
    named = node.keys.get("storage_class")
    if named is not None and (storage := section(node, "storage", named)):
        move(node, "storage_class", (storage, "default_class"), (*path, "storage"), reading)
        provisioner = _PROVISIONERS.get(named.text or "")
        if provisioner and "classes" not in storage.keys:
            known = {"name": named.beside(named.value), "provisioner": named.beside(provisioner)}
            storage.keys["classes"] = named.beside([named.beside(known)])


def _kserve(node: Node, path: Path, reading: Reading) -> None:
    for key in _RAW:
        raw = node.keys.get(key)
        if raw is not None:
            said = (reading.text(raw, (*path, key)) or "").lower()
            if said in ("true", "false"):
                node.keys[key] = raw.beside("standard" if said == "true" else "knative")
                move(node, key, (node, "mode"), path, reading)
            else:
                reading.tell(
                    node.keys.pop(key),
                    "wrong-type",
                    (*path, key),
                    f"{key}: expected true or false",
                    "write `mode: standard` for true, `mode: knative` for false",
                )
    mode = node.keys.get("mode")
    if mode is not None and mode.text is not None:
        mode.value = _MODES.get(mode.text.lower(), mode.text)
    for key, name in _SCALES.items():
        if key in node.keys and (scaling := section(node, "autoscaling", node.keys[key])):
            move(node, key, (scaling, name), (*path, "autoscaling"), reading)


def _postgresql(node: Node, path: Path, reading: Reading) -> None:
    """`ha: {enabled: true}` means several pods, `false` one."""
    ha = node.keys.pop("ha", None)
    enabled = ha.keys.get("enabled", ha) if ha is not None else None
    if ha is None or enabled is None or enabled.value is None:
        return
    said = (reading.text(enabled, (*path, "ha")) or "").lower()
    if said == "true":
        node.keys.setdefault("replicas", ha.beside(_REPLICAS_OF_HA))
    elif said != "false":
        message = "ha: expected `enabled: true` or `enabled: false`"
        reading.tell(ha, "wrong-type", (*path, "ha"), message, "or give `replicas`")


SERVICE_DIALECTS: dict[type[Declared], Dialect] = {
    Kubernetes: Dialect(
        spellings={
            "kube_version": "version",
            "kubespray_version": "kubespray",
            "container_manager": "runtime",
            "containerd_version": "runtime_version",
        },
        elsewhere=frozenset(_NETWORKING) | {"storage_class"},
        read=_kubernetes,
    ),
    Kserve: Dialect(
        spellings={
            "deployment_mode": "mode",
            "kserve_version": "version",
            "kserve_namespace": "namespace",
        },
        elsewhere=frozenset(_RAW) | frozenset(_SCALES),
        read=_kserve,
    ),
    Database: Dialect(spellings={"name": "database", "user": "username"}),
    Volume: Dialect(spellings={"storage_class": "class"}),
    PostgresqlService: Dialect(elsewhere=frozenset({"ha"}), read=_postgresql),
}
