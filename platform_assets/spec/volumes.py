"""The persistent volumes that the cloud's services claim."""

from collections.abc import Iterator
from typing import NamedTuple

from platform_assets.spec.findings import Path
from platform_assets.spec.model.estate import CloudCluster
from platform_assets.spec.model.services import Volume


class Claimed(NamedTuple):
    """A volume, the service that claims it, and how much that writes a day (MiB; None: unknown)."""

    service: str
    path: Path
    volume: Volume
    replicas: int = 1
    mib_per_day: int | None = None


def volumes(cloud: CloudCluster) -> Iterator[Claimed]:
    """Yield the volumes of all services that run; each replica claims one of its own."""
    mlops, monitoring = cloud.mlops, cloud.monitoring
    for name, store in (("minio", mlops.minio), ("seaweedfs", mlops.seaweedfs)):
        if store is not None and store.enabled:
            path: Path = ("clusters", "cloud", "mlops", name, "storage")
            yield Claimed(name, path, store.storage, store.replicas)
    if mlops.postgresql is not None and mlops.postgresql.enabled:
        path = ("clusters", "cloud", "mlops", "postgresql", "storage")
        yield Claimed("postgresql", path, mlops.postgresql.storage, mlops.postgresql.replicas)
    for name, part in (("prometheus", monitoring.prometheus), ("logging", monitoring.logging)):
        if part is not None and part.enabled:
            path = ("clusters", "cloud", "monitoring", name, "storage")
            yield Claimed(name, path, part.storage, 1, part.mib_per_day)
