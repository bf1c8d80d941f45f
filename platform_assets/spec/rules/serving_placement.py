"""Rules about models that are served on Kubernetes: what `placement.serving: kubernetes` needs.

What KServe itself needs stands in `serving.py`. Whether a cluster, an image or a store is really
there is asked of the cluster, by `ai-how serving check`.
"""

from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from platform_assets.spec.findings import Finding, Path, Severity, dotted
from platform_assets.spec.kubernetes_names import wrong_subdomain
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.model.services import Kserve
from platform_assets.spec.rules.grounds import Grounds, Rule

PLACEMENT: Path = ("placement", "serving")
CLOUD: Path = ("clusters", "cloud")
KSERVE: Path = (*CLOUD, "mlops", "serving", "kserve")
_DIGEST = "@sha256:"


def _kserve(estate: Estate) -> Kserve | None:
    cloud = estate.clusters.cloud
    kserve = cloud.mlops.serving.kserve if cloud and cloud.mlops.serving else None
    return kserve if kserve is not None and kserve.enabled else None


def _served_on_kubernetes(estate: Estate) -> Kserve | None:
    return _kserve(estate) if estate.placement.serving == "kubernetes" else None


def serving_without_kserve(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Models are to be served on Kubernetes, and no KServe is declared there."""
    if estate.placement.serving == "kubernetes" and _kserve(estate) is None:
        yield Finding(
            "serving-without-kserve",
            Severity.ERROR,
            PLACEMENT,
            f"models are to be served on kubernetes, but {dotted(KSERVE)} is not declared or not "
            "enabled",
            "declare it (managed: false where the cluster's owner provides it), or set "
            "placement.serving to host",
        )


def serving_without_cluster(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Models are to be served on Kubernetes, and nothing tells which cluster that is."""
    cloud = estate.clusters.cloud
    if estate.placement.serving == "host":
        return
    if cloud is None or (cloud.kubernetes.kubeconfig is None and not cloud.control_plane):
        yield Finding(
            "serving-without-cluster",
            Severity.ERROR,
            PLACEMENT,
            "models are to be served on kubernetes, but no cluster is known: neither "
            f"{dotted((*CLOUD, 'kubernetes', 'kubeconfig'))} nor machines of a control plane are "
            "declared",
            "set clusters.cloud.kubernetes.kubeconfig to the file of an existing cluster, or "
            "declare its machines",
        )


def storage_container_missing(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Models are to be served on Kubernetes without the container that verifies their bytes."""
    kserve = _served_on_kubernetes(estate)
    if kserve is not None and kserve.images.storage_container is None:
        yield Finding(
            "storage-container-missing",
            Severity.ERROR,
            (*KSERVE, "images"),
            "images.storage_container is not set: no pod could tell which bytes it serves",
            "push images/storage-container to a registry that the nodes reach, and name it with "
            "its digest",
        )


def managed_without_source(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """This platform is to install KServe, and does not know from which manifests or image."""
    kserve = _served_on_kubernetes(estate)
    if kserve is None or not kserve.managed:
        return
    named = {("manifests",): kserve.manifests, ("images", "manager"): kserve.images.manager}
    for path, value in named.items():
        if value is None:
            yield Finding(
                "managed-without-source",
                Severity.ERROR,
                (*KSERVE, *path),
                f"kserve is managed, and kserve.{dotted(path)} is not set",
                "name a checkout of github.com/kserve/kserve and the manager's image with its "
                "digest, or set managed to false where the cluster's owner provides KServe",
            )


def image_without_digest(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """An image that we give to KServe is named without its digest, so that it may change.

    A tag can be moved; then two pods of one endpoint may run different programs.
    """
    kserve = _kserve(estate)
    if kserve is None:
        return
    named = {"storage_container": kserve.images.storage_container}
    if kserve.managed:
        named = {"manager": kserve.images.manager} | named
    for key, image in named.items():
        if image is not None and _DIGEST not in image:
            yield Finding(
                "image-without-digest",
                Severity.WARNING,
                (*KSERVE, "images", key),
                f"{image!r} names no digest: what its tag means may change",
                f"write it as in {image.partition('@')[0]}{_DIGEST}<64 hex digits>",
            )


def pods_without_object_store(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Pods are to download models, and nothing tells from where."""
    kserve = _served_on_kubernetes(estate)
    if kserve is not None and kserve.object_store is None:
        yield Finding(
            "pods-without-object-store",
            Severity.ERROR,
            KSERVE,
            "kserve.object_store is not declared: pods would not know where models lie",
            "declare its url as pods reach it, as in {url: http://192.168.200.1:8333}",
        )


def object_store_of_pods(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Pods cannot reach the object store under its URL, or KServe cannot read that or the Secret.

    In a pod, 127.0.0.1 and localhost are the pod itself.
    """
    kserve = _kserve(estate)
    if kserve is None or kserve.object_store is None:
        return
    at = (*KSERVE, "object_store")
    url, secret = kserve.object_store.url, kserve.object_store.secret
    for key, message, remedy in (_wrong_url(url), _wrong_secret(secret)):
        if message:
            yield Finding("object-store-of-pods", Severity.ERROR, (*at, key), message, remedy)


def _wrong_url(url: str) -> tuple[str, str, str]:
    as_in = "as in http://192.168.200.1:8333"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host or port == 0 or parts.scheme not in ("http", "https"):
        return "url", f"{url!r} is no URL of an S3 server", f"write scheme, host and port, {as_in}"
    if parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        message = f"{url!r} has more than scheme, host and port"
        return "url", message, f"write only these, {as_in}; the key stands in the Secret"
    if _is_loopback(host):
        message = f"{host} is, for a pod, the pod itself: it never reaches the object store there"
        return "url", message, f"write an address that pods reach, {as_in}, and let it answer there"
    return "url", "", ""


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _wrong_secret(secret: str) -> tuple[str, str, str]:
    expected = wrong_subdomain(secret)
    if expected is None:
        return "secret", "", ""
    return "secret", f"{secret!r} is no name of a Secret", f"expected {expected}"


SERVING_PLACEMENT_RULES: tuple[Rule, ...] = (
    serving_without_kserve,
    serving_without_cluster,
    storage_container_missing,
    managed_without_source,
    image_without_digest,
    pods_without_object_store,
    object_store_of_pods,
)
