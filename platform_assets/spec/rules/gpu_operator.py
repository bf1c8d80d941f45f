"""Rules about NVIDIA's GPU Operator and the driver: who installs it, and what shares a GPU."""

from collections.abc import Iterator

from platform_assets.spec.findings import Finding, Path, Severity, dotted
from platform_assets.spec.model.estate import CloudCluster, Estate, Image, Placed
from platform_assets.spec.model.kubernetes import GpuOperator
from platform_assets.spec.rules.grounds import Grounds, Rule

OPERATOR: Path = ("clusters", "cloud", "kubernetes", "gpu_operator")


def _operator(estate: Estate) -> tuple[CloudCluster, GpuOperator] | None:
    cloud = estate.clusters.cloud
    operator = cloud.kubernetes.gpu_operator if cloud is not None else None
    return (cloud, operator) if cloud and operator is not None and operator.enabled else None


def _images(estate: Estate, cloud: CloudCluster) -> Iterator[tuple[Placed, str, Image]]:
    for placed in estate.machines():
        name = placed.machine.image or cloud.image
        if placed.cluster == "cloud" and placed.machine.has_gpu and name in estate.images:
            yield placed, name, estate.images[name]


def time_slicing_contradicted(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """The device plugin gets a ConfigMap although time slicing is off.

    The plugin reads what the ConfigMap says and knows nothing of `time_slicing`: pods then share a
    GPU that was thought to be theirs alone.
    """
    found = _operator(estate)
    if found is None:
        return
    plugin = found[1].device_plugin
    if plugin.enabled and plugin.config is not None and not plugin.time_slicing:
        yield Finding(
            "time-slicing-contradicted",
            Severity.ERROR,
            (*OPERATOR, "device_plugin", "config"),
            f"the device plugin reads the ConfigMap {plugin.config.name!r}, "
            "while time_slicing is false",
            "set time_slicing to true, or remove config",
        )


def driver_twice(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """The operator installs the driver on machines whose image holds one already.

    Two drivers of different versions meet in one kernel; NVIDIA says to disable the operator's
    where one is installed.
    """
    found = _operator(estate)
    if found is None or not found[1].driver.enabled:
        return
    for placed, name, image in _images(estate, found[0]):
        if image.nvidia_driver is not None:
            yield Finding(
                "driver-twice",
                Severity.ERROR,
                (*OPERATOR, "driver", "enabled"),
                f"the operator installs the driver, but {name!r}, the image of "
                f"{placed.machine.name}, holds driver {image.nvidia_driver}",
                "set gpu_operator.driver.enabled to false, or take an image without driver",
            )
            return


def no_driver(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Neither the operator nor the image of a GPU machine brings a driver."""
    found = _operator(estate)
    if found is None or found[1].driver.enabled:
        return
    for placed, name, image in _images(estate, found[0]):
        if image.nvidia_driver is None:
            yield Finding(
                "no-driver",
                Severity.ERROR,
                placed.path,
                f"{placed.machine.name} has a GPU; its image {name!r} names no nvidia_driver, "
                "and the operator installs none",
                f"say which driver the image holds (images.{name}.nvidia_driver), "
                "or set gpu_operator.driver.enabled to true",
            )


def driver_versions_differ(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """The driver's version is said twice, and not the same."""
    found = _operator(estate)
    if found is None or found[1].driver_version is None:
        return
    cloud, operator = found
    claims: list[tuple[Path, str | None]] = [
        ((*OPERATOR, "driver", "version"), operator.driver.version)
    ]
    claims += [
        (("images", name, "nvidia_driver"), image.nvidia_driver)
        for name, image in {name: image for _, name, image in _images(estate, cloud)}.items()
    ]
    for path, version in claims:
        if version is not None and version != operator.driver_version:
            yield Finding(
                "driver-versions-differ",
                Severity.ERROR,
                (*OPERATOR, "driver_version"),
                f"driver_version is {operator.driver_version}, but {dotted(path)} says {version}",
                "keep one version",
            )


def gpu_nodes_without_operator(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """The cloud has GPU machines, and nothing that tells Kubernetes of their GPUs.

    Without a device plugin no node offers nvidia.com/gpu, and pods that ask for it stay pending.
    """
    cloud = estate.clusters.cloud
    if cloud is None:
        return
    operator = cloud.kubernetes.gpu_operator
    has_plugin = operator is not None and operator.enabled and operator.device_plugin.enabled
    gpus = [p.machine.name for p in estate.machines() if p.cluster == "cloud" and p.machine.has_gpu]
    if gpus and not has_plugin:
        yield Finding(
            "gpu-nodes-without-operator",
            Severity.WARNING,
            OPERATOR if operator is not None else OPERATOR[:-1],
            f"{', '.join(gpus[:8])}{', …' if len(gpus) > 8 else ''}: GPUs that Kubernetes does not "
            "hear of without the GPU Operator's device plugin",
            "enable kubernetes.gpu_operator and its device_plugin",
        )


GPU_OPERATOR_RULES: tuple[Rule, ...] = (
    time_slicing_contradicted,
    driver_twice,
    no_driver,
    driver_versions_differ,
    gpu_nodes_without_operator,
)
