"""Rules about MLflow and the monitoring, and what they need: databases, endpoints, volumes.

Buckets stand in `object_stores.py`, KServe in `serving.py`, host names in `ingress.py`.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from platform_assets.spec.findings import Finding, Path, Severity, dotted
from platform_assets.spec.model.estate import CloudCluster, Estate
from platform_assets.spec.quantities import days_of, number_of
from platform_assets.spec.rules.grounds import Grounds, Rule
from platform_assets.spec.volumes import volumes

CLOUD: Path = ("clusters", "cloud")
MLOPS: Path = (*CLOUD, "mlops")
MEBIBYTE = 1024**2
S3_PORTS = {"minio": 9000, "seaweedfs": 8333}


class Endpoint(NamedTuple):
    """A Service of the cluster as other services reach it: its name and port."""

    kind: str
    name: str
    port: int
    path: Path


def _endpoints(cloud: CloudCluster) -> Iterator[Endpoint]:
    mlops = cloud.mlops
    if mlops.postgresql is not None and mlops.postgresql.enabled:
        service = mlops.postgresql.service
        path = (*MLOPS, "postgresql")
        yield Endpoint("postgresql", service.name or "postgresql", service.port or 5432, path)
    for name, store in (("minio", mlops.minio), ("seaweedfs", mlops.seaweedfs)):
        if store is not None and store.enabled:
            service = store.service
            port = service.api_port or service.port or S3_PORTS[name]
            yield Endpoint(name, service.name or name, port, (*MLOPS, name))


def _inside(host: str, namespace: str) -> str | None:
    """Return a Service's name in a namespace from a host name; None where it is not one."""
    parts = host.split(".")
    if len(parts) == 1:
        return host
    rest = ".".join(parts[1:])
    return parts[0] if rest == namespace or rest.startswith(f"{namespace}.svc") else None


def _mismatch(
    kind: str, host: str, port: int | None, cloud: CloudCluster
) -> tuple[str, str, str] | None:
    """Return which key is wrong, why, and the remedy, where a host and port name no Service."""
    name = _inside(host, cloud.mlops.namespace)
    if name is None:
        return None
    service = next((each for each in _endpoints(cloud) if each.kind == kind), None)
    if service is None:
        where = dotted((*MLOPS, kind))
        return (
            "host",
            f"{host!r} names a Service of the cluster, but {where} is not declared or not enabled",
            f"declare {where}, or name a server outside by its full host name",
        )
    if name != service.name:
        return (
            "host",
            f"{host!r} names no declared Service: that of {kind} is {service.name!r}",
            f"write {service.name!r}, or set {dotted(service.path)}.service.name to {name!r}",
        )
    if port is not None and port != service.port:
        return (
            "port",
            f"port {port} is not that of {service.name!r}, which is {service.port}",
            f"write {service.port}",
        )
    return None


def mlflow_database(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """MLflow's database names a host or port at which nothing declared answers."""
    cloud = estate.clusters.cloud
    mlflow = cloud.mlops.mlflow if cloud else None
    if cloud is None or mlflow is None or not mlflow.enabled or mlflow.database is None:
        return
    if mlflow.database.host is None:
        return
    wrong = _mismatch("postgresql", mlflow.database.host, mlflow.database.port, cloud)
    if wrong is not None:
        key, message, remedy = wrong
        path = (*MLOPS, "mlflow", "database", key)
        yield Finding("mlflow-database", Severity.ERROR, path, message, remedy)


def mlflow_database_differs(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """MLflow asks for another database or login role than PostgreSQL is told to make."""
    cloud = estate.clusters.cloud
    mlflow = cloud.mlops.mlflow if cloud else None
    postgresql = cloud.mlops.postgresql if cloud else None
    if mlflow is None or mlflow.database is None or not mlflow.enabled:
        return
    if postgresql is None or postgresql.database is None or not postgresql.enabled:
        return
    for key in ("database", "username"):
        wanted, made = getattr(mlflow.database, key), getattr(postgresql.database, key)
        if wanted != made:
            yield Finding(
                "mlflow-database-differs",
                Severity.ERROR,
                (*MLOPS, "mlflow", "database", key),
                f"MLflow asks for {key} {wanted!r}, but "
                f"{dotted((*MLOPS, 'postgresql', 'database', key))} is {made!r}",
                "write the same at both places",
            )


def mlflow_store(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """MLflow's object store is of an unknown kind, or nothing declared answers there."""
    cloud = estate.clusters.cloud
    mlflow = cloud.mlops.mlflow if cloud else None
    if cloud is None or mlflow is None or not mlflow.enabled or mlflow.artifact_store is None:
        return
    store, at = mlflow.artifact_store, (*MLOPS, "mlflow", "artifact_store")
    if store.type not in {*S3_PORTS, "s3"}:
        message = f"{store.type!r} is not supported as an artifact store"
        remedy = "choose one of minio, seaweedfs, s3"
        yield Finding("mlflow-store", Severity.ERROR, (*at, "type"), message, remedy)
        return
    if store.endpoint is None or store.type == "s3":
        return
    try:
        parsed = urlsplit(store.endpoint if "//" in store.endpoint else f"//{store.endpoint}")
        host, port = parsed.hostname or "", parsed.port
    except ValueError:
        host, port = "", None
    if not host:
        message = f"{store.endpoint!r} is no host and port"
        remedy = f"write it as in {store.type}:{S3_PORTS[store.type]}"
        yield Finding("mlflow-store", Severity.ERROR, (*at, "endpoint"), message, remedy)
        return
    wrong = _mismatch(store.type, host, port, cloud)
    if wrong is not None:
        _, message, remedy = wrong
        yield Finding("mlflow-store", Severity.ERROR, (*at, "endpoint"), message, remedy)


def mlflow_replicas(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Several MLflow servers have no database in common: each would keep runs of its own."""
    cloud = estate.clusters.cloud
    mlflow = cloud.mlops.mlflow if cloud else None
    if mlflow is not None and mlflow.enabled and mlflow.replicas > 1 and mlflow.database is None:
        yield Finding(
            "mlflow-replicas",
            Severity.ERROR,
            (*MLOPS, "mlflow", "replicas"),
            f"{mlflow.replicas} replicas without a database: each would keep runs of its own",
            "declare mlflow.database, or one replica",
        )


def mlflow_image_differs(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """MLflow's version is not that of its image's tag; what runs is the image."""
    cloud = estate.clusters.cloud
    mlflow = cloud.mlops.mlflow if cloud else None
    if mlflow is None or not mlflow.enabled or mlflow.image is None or mlflow.version is None:
        return
    _, _, tag = mlflow.image.rpartition("/")[2].partition("@")[0].partition(":")
    tagged = re.match(r"v?([0-9]+(?:\.[0-9]+)+)", tag)
    if tagged is not None and tagged[1] != mlflow.version.removeprefix("v"):
        yield Finding(
            "mlflow-image-differs",
            Severity.ERROR,
            (*MLOPS, "mlflow", "version"),
            f"version is {mlflow.version}, but the image is {mlflow.image}",
            "write the same version at both places",
        )


def retention(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """What is written within the retention does not fit on the volume.

    Prometheus and Loki stop writing when the volume is full; `mib_per_day` says what is expected.
    """
    cloud = estate.clusters.cloud
    for each in volumes(cloud) if cloud else ():
        if each.mib_per_day is None or each.volume.retention is None:
            continue
        days, mib = days_of(each.volume.retention), number_of(each.volume.size) / MEBIBYTE
        needed = days * each.mib_per_day
        if needed > mib:
            yield Finding(
                "retention",
                Severity.WARNING,
                (*each.path, "retention"),
                f"{each.volume.retention} of {each.mib_per_day} MiB a day are "
                f"{float(needed / 1024):.1f} GiB, the volume has {each.volume.size}",
                f"keep at most {int(mib // each.mib_per_day)}d, or set size to "
                f"{-(-needed // 1024)}Gi or more",
            )


def same_port_twice(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """An S3 server's API and console are to answer at one port."""
    cloud = estate.clusters.cloud
    if cloud is None:
        return
    for name, store in (("minio", cloud.mlops.minio), ("seaweedfs", cloud.mlops.seaweedfs)):
        if store is None or not store.enabled:
            continue
        api = store.service.api_port or S3_PORTS[name]
        if store.service.console_port == api:
            yield Finding(
                "same-port-twice",
                Severity.ERROR,
                (*MLOPS, name, "service", "console_port"),
                f"port {api} is that of the API, too",
                "give the console another port, as in 9001",
            )


def unsupported_provider(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Logs are to be kept by something that nothing here installs."""
    cloud = estate.clusters.cloud
    logging = cloud.monitoring.logging if cloud else None
    if logging is not None and logging.enabled and logging.provider != "loki":
        yield Finding(
            "unsupported-provider",
            Severity.ERROR,
            (*CLOUD, "monitoring", "logging", "provider"),
            f"{logging.provider!r} is not supported",
            "set it to loki, or set logging.enabled to false",
        )


def datasource_without_source(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Grafana has a data source of a kind that is not declared, so that its pictures stay empty."""
    cloud = estate.clusters.cloud
    grafana = cloud.monitoring.grafana if cloud else None
    if cloud is None or grafana is None or not grafana.enabled:
        return
    prometheus, logging = cloud.monitoring.prometheus, cloud.monitoring.logging
    running = {
        "prometheus": prometheus is not None and prometheus.enabled,
        "loki": logging is not None and logging.enabled and logging.provider == "loki",
    }
    for index, source in enumerate(grafana.datasources):
        host = urlsplit(source.url).hostname or ""
        outside = _inside(host, cloud.mlops.namespace) is None and ".svc" not in host
        if not running.get(source.type.lower(), True) and not outside:
            yield Finding(
                "datasource-without-source",
                Severity.WARNING,
                (*CLOUD, "monitoring", "grafana", "datasources", index),
                f"{source.name!r} reads from {source.type}, which does not run on the cluster",
                f"enable monitoring.{'logging' if source.type.lower() == 'loki' else 'prometheus'}"
                ", or remove the data source",
            )


def unknown_service(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A machine is to carry a service that is not declared, or not enabled."""
    cloud = estate.clusters.cloud
    if cloud is None:
        return
    parts = {name: getattr(cloud.mlops, name) for name in ("mlflow", "minio", "seaweedfs")}
    parts["postgresql"] = cloud.mlops.postgresql
    parts |= {name: getattr(cloud.monitoring, name) for name in ("prometheus", "grafana")}
    parts["loki"] = parts["logging"] = cloud.monitoring.logging
    parts["kserve"] = cloud.mlops.serving.kserve if cloud.mlops.serving else None
    running = [name for name, part in parts.items() if part is not None and part.enabled]
    for placed in estate.machines():
        for index, name in enumerate(placed.machine.services):
            if placed.cluster == "cloud" and name not in running:
                yield Finding(
                    "unknown-service",
                    Severity.WARNING,
                    (*placed.path, "services", index),
                    f"{name!r} is to run on {placed.machine.name}, but is not declared or enabled",
                    f"services that run: {', '.join(running) or 'none'}",
                )


SERVICE_RULES: tuple[Rule, ...] = (
    mlflow_database,
    mlflow_database_differs,
    mlflow_store,
    mlflow_replicas,
    mlflow_image_differs,
    retention,
    same_port_twice,
    unsupported_provider,
    datasource_without_source,
    unknown_service,
)
