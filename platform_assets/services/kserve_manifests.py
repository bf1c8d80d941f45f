"""What KServe needs on a cluster that this platform keeps, as manifests made of KServe's own files.

Pure. The files go through with as few changes as the estate demands, so that a new KServe brings
its new files along: namespace, image, a cluster without gateway and without Knative, our
certificate. The proxy before the manager's metrics is left out, for it would be one more image.
Reference: KServe 0.20, `config/`.
"""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from platform_assets.lineage import ids
from platform_assets.services.kserve_files import KserveFiles, KserveManifestsRefused
from platform_assets.spec.model.services import Kserve
from platform_assets.spec.served_pods import GPU

Manifest = dict[str, Any]
MANAGER: Final = "kserve-controller-manager"
CONFIGURATION: Final = "inferenceservice-config"
CERTIFICATE_SECRET: Final = "kserve-webhook-server-cert"  # noqa: S105 - a name
AUTHORITY_SECRET: Final = "ai-how-kserve-authority"  # noqa: S105 - a name
CERTIFICATE_ANNOTATION: Final = ids.ANNOTATION_PREFIX + "certificate"
_WEBHOOK_SERVICE: Final = "kserve-webhook-server-service"
_NAMESPACED: Final = (
    *("ConfigMap", "Deployment", "Role", "RoleBinding", "Service", "ServiceAccount"),
    "ServingRuntime",
)
_FAREWELL_S: Final = 5
_OF_METRICS_PROXY: Final = ("kserve-proxy-", "kserve-controller-manager-metrics-service")
# Clients ask our own Services: no gateway, no Knative is needed.
_STANDARD: Final[Mapping[str, Mapping[str, Any]]] = {
    "deploy": {"defaultDeploymentMode": "Standard"},
    "ingress": {"disableIstioVirtualHost": True, "disableIngressCreation": True},
}


def webhook_hosts(namespace: str) -> tuple[str, ...]:
    """Return the names under which the API server asks the webhooks."""
    name = f"{_WEBHOOK_SERVICE}.{namespace}.svc"
    return name, f"{name}.cluster.local"


def definitions(files: KserveFiles) -> list[Manifest]:
    """Return the definitions of KServe's kinds."""
    return [_plain(one) for one in files.definitions()]


def ground(files: KserveFiles, kserve: Kserve) -> list[Manifest]:
    """Return what the manager finds when it starts: rights, configuration, Services."""
    found = [*files.rights(), *files.manager(), *files.webhooks()]
    kept = [one for one in found if one["kind"] not in ("Deployment", "Secret")]
    kept = [one for one in kept if not one["kind"].endswith("WebhookConfiguration")]
    kept = [one for one in kept if not one["metadata"]["name"].startswith(_OF_METRICS_PROXY)]
    kept.append(configuration(files, kserve))
    return [_placed(one, kserve.namespace) for one in kept]


def configuration(files: KserveFiles, kserve: Kserve) -> Manifest:
    """Return the ConfigMap, for the mode of the estate and with images of this version."""
    found = _plain(files.configuration())
    data = {
        key: text.replace(':latest"', f':v{files.version}"')
        for key, text in found["data"].items()
        if key != "_example"
    }
    for key, change in (_STANDARD if kserve.mode == "standard" else {}).items():
        data[key] = json.dumps(json.loads(data[key]) | change, indent=1)
    return _placed(found | {"data": data}, kserve.namespace)


def manager(files: KserveFiles, kserve: Kserve, certificate: str) -> Manifest:
    """Return the manager's Deployment; another fingerprint of its certificate restarts its pods."""
    found = next(one for one in files.manager() if one["kind"] == "Deployment")
    deployment = _placed(found, kserve.namespace)
    template = deployment["spec"]["template"]
    annotations = template["metadata"].setdefault("annotations", {})
    annotations[CERTIFICATE_ANNOTATION] = certificate
    # It uses no GPU, but there are clusters whose nodes all have some, and the taint that says so.
    template["spec"]["tolerations"] = [{"key": GPU, "operator": "Exists"}]
    template["spec"] |= pull_secrets(kserve)
    container = next(one for one in template["spec"]["containers"] if one["name"] == "manager")
    container["image"] = kserve.images.manager
    container["imagePullPolicy"] = "IfNotPresent"
    # With a tenth of a processor its webhooks answer late, and every pod of a model waits for them.
    container["resources"]["limits"].pop("cpu", None)
    container["readinessProbe"] |= {"initialDelaySeconds": 1, "periodSeconds": 2}
    # Nodes send requests to a pod that goes until they have heard of it; until then it answers.
    container["lifecycle"] = {"preStop": {"sleep": {"seconds": _FAREWELL_S}}}
    return deployment


def webhooks(files: KserveFiles, kserve: Kserve, authorities: str) -> list[Manifest]:
    """Return the webhook configurations, trusting these authorities (PEM)."""
    encoded = base64.b64encode(authorities.encode()).decode()
    configured = []
    for one in files.webhooks():
        if not one["kind"].endswith("WebhookConfiguration"):
            continue
        for webhook in one["webhooks"]:
            service = webhook["clientConfig"]["service"]
            service |= {"name": _WEBHOOK_SERVICE, "namespace": kserve.namespace}
            webhook["clientConfig"]["caBundle"] = encoded
        configured.append(_plain(one))
    return configured


def runtimes(files: KserveFiles, kserve: Kserve) -> list[Manifest]:
    """Return the runtimes that the estate names, or else all that come with KServe.

    Raises:
        KserveManifestsRefused: one of them does not come with this version.
    """
    known = files.runtimes()
    if not kserve.runtimes:
        return [_plain(one) for one in known.values()]
    wanted = []
    for runtime in kserve.runtimes:
        if runtime.name not in known:
            message = (
                f"kserve.runtimes: expected runtimes of KServe {files.version}, found "
                f"{runtime.name!r}; there are {', '.join(sorted(known))}; apply one of your own "
                "yourself, and name it in the serving file"
            )
            raise KserveManifestsRefused(message)
        found = _plain(known[runtime.name])
        if runtime.namespace is not None:
            found["kind"] = "ServingRuntime"
            found["metadata"]["namespace"] = runtime.namespace
        if runtime.image is not None:
            found["spec"]["containers"][0]["image"] = runtime.image
        wanted.append(found)
    return wanted


def secret(name: str, namespace: str, data: Mapping[str, str], kind: str = "Opaque") -> Manifest:
    """Return a Secret."""
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    metadata = {"name": name, "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": kind,
        "data": encoded,
    }


def pull_secrets(kserve: Kserve) -> Manifest:
    """Return what a pod says of how its images are pulled; nothing where nodes need not log in."""
    if kserve.pull_secret is None:
        return {}
    return {"imagePullSecrets": [{"name": kserve.pull_secret}]}


def secret_text(found: Mapping[str, Any], key: str) -> str:
    """Return what a Secret holds under a key; "" for nothing, or what is no text."""
    try:
        return base64.b64decode((found.get("data") or {}).get(key) or "").decode()
    except ValueError:
        return ""


def images_of(manifests: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Give the images that runtimes name."""
    for one in manifests:
        yield from (container["image"] for container in one["spec"].get("containers") or ())


def _placed(manifest: Manifest, namespace: str) -> Manifest:
    """Return the manifest in KServe's namespace, as far as its kind lives in one."""
    placed = _plain(manifest)
    if placed["kind"] in _NAMESPACED:
        placed["metadata"]["namespace"] = namespace
    for subject in placed.get("subjects") or ():
        subject["namespace"] = namespace
    return placed


def _plain(manifest: Manifest) -> Manifest:
    """Return the manifest without what only a server writes."""
    plain: Manifest = {key: value for key, value in manifest.items() if key != "status"}
    plain["metadata"] = {
        key: value for key, value in plain["metadata"].items() if key != "creationTimestamp"
    }
    return plain
