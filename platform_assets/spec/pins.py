"""Which versions an estate names, and where: what the table of compatibility is asked about.

A component that is switched off has no version that matters.
"""

from collections.abc import Iterator, Mapping, Set
from typing import Protocol

from platform_assets.spec.compatibility import Pin
from platform_assets.spec.findings import Path
from platform_assets.spec.model.estate import CloudCluster, Estate
from platform_assets.spec.model.kubernetes import GpuOperator, Kubernetes
from platform_assets.spec.model.services import Mlops, Monitoring

_CLOUD: Path = ("clusters", "cloud")
_Found = Iterator[tuple[str, Pin]]


class _Versioned(Protocol):
    @property
    def enabled(self) -> bool: ...
    @property
    def version(self) -> str | None: ...


def pins_of(estate: Estate) -> Mapping[str, Pin]:
    """Return the version of each component that the estate names, by the table's names."""
    cloud = estate.clusters.cloud
    if cloud is None:
        return {}
    return {
        **dict(_of_kubernetes(cloud.kubernetes, (*_CLOUD, "kubernetes"))),
        **dict(_of_machines(estate, cloud)),
        **dict(_of_mlops(cloud.mlops, (*_CLOUD, "mlops"))),
        **dict(_of_monitoring(cloud.monitoring, (*_CLOUD, "monitoring"))),
    }


def _pinned(component: str, version: str | None, path: Path) -> _Found:
    if version is not None:
        yield component, Pin(version, path)


def _part(
    component: str, part: _Versioned | None, path: Path, apart_from: Set[str] = frozenset()
) -> _Found:
    if part is not None and part.enabled and part.version is not None:
        yield component, Pin(part.version, (*path, "version"), frozenset(apart_from))


def _of_kubernetes(found: Kubernetes, path: Path) -> _Found:
    yield from _pinned("kubespray", found.kubespray, (*path, "kubespray"))
    yield from _pinned("kubernetes", found.version, (*path, "version"))
    if found.runtime == "containerd":
        yield from _pinned("containerd", found.runtime_version, (*path, "runtime_version"))
    if found.networking.cni == "calico":
        where = (*path, "networking", "cni_version")
        yield from _pinned("calico", found.networking.cni_version, where)
    if found.ingress.provider == "nginx":
        yield from _part("ingress_nginx", found.ingress, (*path, "ingress"))
    yield from _part("cert_manager", found.cert_manager, (*path, "cert_manager"))
    yield from _part("knative", found.knative, (*path, "knative"))
    operator = found.gpu_operator
    # An operator that does not install the driver needs no driver image of the system.
    apart_from = {"os"} if operator is not None and not operator.driver.enabled else set()
    yield from _part("gpu_operator", operator, (*path, "gpu_operator"), apart_from)


def _of_machines(estate: Estate, cloud: CloudCluster) -> _Found:
    """Yield the operating system of the nodes, and the NVIDIA driver that their GPUs get."""
    path: Path = (*_CLOUD, "kubernetes")
    image = estate.images.get(cloud.image or "")
    named: Path = ("images", cloud.image or "")
    if cloud.kubernetes.operating_system is not None:
        system = cloud.kubernetes.operating_system
        yield from _pinned("os", system, (*path, "operating_system"))
    elif image is not None:
        yield from _pinned("os", image.operating_system, (*named, "operating_system"))
    driver = _driver(cloud.kubernetes.gpu_operator, (*path, "gpu_operator"))
    if driver is not None:
        yield "nvidia_driver", driver
        return
    names = [machine.image or cloud.image for machine in cloud.workers if machine.has_gpu]
    for name in names:
        held = estate.images.get(name or "")
        if held is not None and held.nvidia_driver is not None:
            yield "nvidia_driver", Pin(held.nvidia_driver, ("images", name or "", "nvidia_driver"))
            return


def _driver(operator: GpuOperator | None, path: Path) -> Pin | None:
    if operator is None or not operator.enabled:
        return None
    if operator.driver.enabled and operator.driver.version is not None:
        return Pin(operator.driver.version, (*path, "driver", "version"))
    if operator.driver_version is not None:
        return Pin(operator.driver_version, (*path, "driver_version"))
    return None


def _of_mlops(found: Mlops, path: Path) -> _Found:
    # What the official image lacks does not matter to another one.
    has_image = found.mlflow is not None and found.mlflow.image is not None
    apart_from = {"postgresql", "minio", "seaweedfs"} if has_image else set()
    yield from _part("mlflow", found.mlflow, (*path, "mlflow"), apart_from)
    for component in ("postgresql", "minio", "seaweedfs"):
        yield from _part(component, getattr(found, component), (*path, component))
    if found.serving is not None:
        yield from _part("kserve", found.serving.kserve, (*path, "serving", "kserve"))


def _of_monitoring(found: Monitoring, path: Path) -> _Found:
    yield from _part("prometheus", found.prometheus, (*path, "prometheus"))
    yield from _part("grafana", found.grafana, (*path, "grafana"))
    if found.logging is not None and found.logging.provider == "loki":
        yield from _part("loki", found.logging, (*path, "logging"))
