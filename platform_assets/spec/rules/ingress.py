"""Rules about the names under which services are reached from outside the cluster."""

from collections.abc import Iterator

from platform_assets.spec.findings import Finding, Path, Severity, dotted
from platform_assets.spec.kubernetes_names import wrong_subdomain
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.model.services import ServiceIngress
from platform_assets.spec.rules.grounds import Grounds, Rule

CLOUD: Path = ("clusters", "cloud")


def _ingresses(estate: Estate) -> Iterator[tuple[Path, ServiceIngress]]:
    cloud = estate.clusters.cloud
    if cloud is None:
        return
    for section, part, names in (
        ("mlops", cloud.mlops, ("mlflow", "minio", "seaweedfs")),
        ("monitoring", cloud.monitoring, ("grafana",)),
    ):
        for name in names:
            service = getattr(part, name)
            if service is not None and service.enabled:
                ingress = service.ingress
                if ingress is not None and ingress.enabled:
                    yield (*CLOUD, section, name, "ingress"), ingress


def ingress_host_twice(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Two services have one host name and path outside: only one of them answers."""
    first: dict[tuple[str, str], Path] = {}
    for path, ingress in _ingresses(estate):
        if ingress.host is None:
            continue
        key = (ingress.host.lower(), "/" + ingress.path.strip("/"))
        if key in first:
            yield Finding(
                "ingress-host-twice",
                Severity.ERROR,
                (*path, "host"),
                f"{ingress.host}{key[1]} is also that of {dotted(first[key])}",
                "give each service its own host name",
            )
        first.setdefault(key, path)


def ingress_host(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """An ingress has no host name, or one that is none.

    Without a host it answers to every name that no other ingress claims.
    """
    for path, ingress in _ingresses(estate):
        if ingress.host is None:
            message = "no host: it would answer to every name that no other ingress claims"
            remedy = "add host, as in mlflow.example.org, or set enabled to false"
            yield Finding("ingress-host", Severity.WARNING, path, message, remedy)
            continue
        expected = wrong_subdomain(ingress.host.removeprefix("*."))
        if expected is not None:
            yield Finding(
                "ingress-host",
                Severity.ERROR,
                (*path, "host"),
                f"{ingress.host!r} is no host name: expected {expected}",
                "write the name alone, without scheme, port and path, as in mlflow.example.org",
            )


def ingress_path(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """The path of an ingress is not absolute, which the Kubernetes API refuses."""
    for path, ingress in _ingresses(estate):
        if not ingress.path.startswith("/"):
            yield Finding(
                "ingress-path",
                Severity.ERROR,
                (*path, "path"),
                f"{ingress.path!r} does not begin with '/'",
                f"write '/{ingress.path}'",
            )


def mdns_host(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A host name ends in `.local`, which resolvers ask by multicast (RFC 6762), not by DNS."""
    for path, ingress in _ingresses(estate):
        if ingress.host is not None and ingress.host.lower().endswith(".local"):
            yield Finding(
                "mdns-host",
                Severity.NOTE,
                (*path, "host"),
                f"{ingress.host} ends in .local: most systems look that up by multicast DNS",
                "add it to /etc/hosts where it is used, or take a name under home.arpa",
            )


def ingress_without_controller(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A service has an ingress, and no ingress controller would serve it."""
    cloud = estate.clusters.cloud
    if cloud is None or cloud.kubernetes.ingress.enabled:
        return
    for path, _ in _ingresses(estate):
        yield Finding(
            "ingress-without-controller",
            Severity.ERROR,
            path,
            "kubernetes.ingress is not enabled, so that nothing serves this ingress",
            "enable kubernetes.ingress, or set enabled to false here",
        )


INGRESS_RULES: tuple[Rule, ...] = (
    ingress_host_twice,
    ingress_host,
    ingress_path,
    mdns_host,
    ingress_without_controller,
)
