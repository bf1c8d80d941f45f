"""The Kubernetes cluster: versions, networking, storage, GPU Operator."""

from typing import Literal

from pydantic import Field

from platform_assets.spec.model.base import Declared, Free, Labels, Port, Version
from platform_assets.spec.model.machines import Taint


class Networking(Declared):
    """Networks inside Kubernetes."""

    cni: str = "calico"
    """Network plugin."""
    cni_version: Version | None = None
    """Its version."""
    pod_cidr: str = "10.233.64.0/18"
    """Addresses of pods; the default is Kubespray's."""
    service_cidr: str = "10.233.0.0/18"
    """Addresses of services; the default is Kubespray's."""
    dns_domain: str = "cluster.local"
    """DNS domain of the cluster."""


class Ingress(Declared):
    """How requests come into the cluster."""

    provider: str = "nginx"
    """nginx or gateway-api."""
    enabled: bool = True
    """Whether there is one."""
    version: Version | None = None
    """Its version."""
    replicas: int = Field(default=1, ge=1, le=100)
    """How many pods."""
    load_balancer_ip: str | None = None
    """Virtual address; needs a load balancer."""


class LoadBalancer(Declared):
    """What gives addresses to services of type LoadBalancer."""

    provider: Literal["metallb", "kube-vip", "none"] = "none"
    """What it is."""
    addresses: str | None = None
    """Addresses it gives: a CIDR, or `first-last`."""


class StorageClass(Declared):
    """A storage class."""

    name: str
    """Name."""
    provisioner: str | None = None
    """What makes volumes of it; without one nothing does."""
    reclaim_policy: Literal["Delete", "Retain"] = "Delete"
    """What becomes of a volume that nobody claims any more."""
    parameters: Free = Field(default_factory=dict)
    """Parameters of the provisioner, taken as they are."""


class KubernetesStorage(Declared):
    """Storage classes."""

    default_class: str | None = None
    """The class of a claim that names none."""
    classes: tuple[StorageClass, ...] = ()
    """The classes."""


class Switch(Declared):
    """A component that is on or off."""

    enabled: bool = True
    """Whether it runs."""


class Dcgm(Declared):
    """NVIDIA's exporter of GPU figures."""

    enabled: bool = True
    """Whether it runs."""
    port: Port = 5555
    """Port of the host engine."""


class ConfigReference(Declared):
    """A ConfigMap that a component reads."""

    name: str
    """Name of the ConfigMap."""


class DevicePlugin(Declared):
    """What tells Kubernetes of GPUs."""

    enabled: bool = True
    """Whether it runs."""
    mig_strategy: Literal["none", "single", "mixed"] = "none"
    """How MIG slices are advertised."""
    time_slicing: bool = False
    """Whether several pods share a GPU in turns."""
    config: ConfigReference | None = None
    """The ConfigMap of its settings."""


class Driver(Declared):
    """The GPU driver, where the operator installs it."""

    enabled: bool = False
    """Whether the operator installs the driver; false: the image holds it."""
    version: Version | None = None
    """Its version."""


class GpuOperator(Declared):
    """NVIDIA's GPU Operator."""

    enabled: bool = True
    """Whether it is installed."""
    version: Version | None = None
    """Its version."""
    driver_version: Version | None = None
    """Version of the driver, whoever installs it."""
    driver: Driver = Driver()
    """Whether the operator installs the driver."""
    device_plugin: DevicePlugin = DevicePlugin()
    """What tells Kubernetes of GPUs."""
    gfd: Switch = Switch()
    """GPU Feature Discovery, which labels nodes."""
    dcgm: Dcgm = Dcgm()
    """NVIDIA's exporter of GPU figures."""


class Addon(Declared):
    """A component that may be installed, with its version."""

    enabled: bool = False
    """Whether it is installed."""
    version: Version | None = None
    """Its version."""


class Kubernetes(Declared):
    """The Kubernetes of the cloud cluster."""

    version: Version | None = None
    """Version of Kubernetes; absent: the newest that the other versions allow."""
    kubeconfig: str | None = None
    """File that says how to reach an existing cluster; absent: the one made of the machines."""
    kubespray: Version | None = None
    """Version of Kubespray; absent: the newest that is known."""
    operating_system: str | None = None
    """Operating system of the machines, as in debian 13; absent: the image's."""
    runtime: str = "containerd"
    """Container runtime."""
    runtime_version: Version | None = None
    """Its version."""
    networking: Networking = Networking()
    """Networks inside Kubernetes."""
    ingress: Ingress = Ingress(enabled=False)
    """How requests come in."""
    load_balancer: LoadBalancer = LoadBalancer()
    """What gives addresses to services."""
    virtual_ip: str | None = None
    """Address of the API server of several control planes."""
    storage: KubernetesStorage = KubernetesStorage()
    """Storage classes."""
    gpu_operator: GpuOperator | None = None
    """NVIDIA's GPU Operator."""
    cert_manager: Addon = Addon()
    """cert-manager, which KServe needs."""
    knative: Addon = Addon()
    """Knative, which scales to zero."""
    node_labels: dict[str, Labels] = Field(default_factory=dict)
    """Labels by the name of a machine, beside those that stand with the machine."""
    node_taints: dict[str, tuple[Taint, ...]] = Field(default_factory=dict)
    """Taints by the name of a machine, beside those that stand with the machine."""
