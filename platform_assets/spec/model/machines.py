"""A machine, whichever cluster it stands in, and the hardware that a cluster's machines share."""

from typing import Literal

from pydantic import Field, model_validator

from platform_assets.spec.model.base import Cores, Declared, Free, Gibibytes, Labels
from platform_assets.spec.model.gpus import MachineGpu, Passthrough


class Taint(Declared):
    """A Kubernetes taint; `key=value:effect` and `key:effect` are read, too."""

    key: str
    """Key of the taint, as in nvidia.com/gpu."""
    value: str | None = None
    """Value of the taint."""
    effect: str = "NoSchedule"
    """NoSchedule, PreferNoSchedule or NoExecute."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        rest, _, effect = value.rpartition(":")
        key, _, content = rest.partition("=")
        return {"key": key, "value": content or None, "effect": effect}


class Mount(Declared):
    """A directory of the host that a machine sees through virtio-fs."""

    tag: str
    """Tag under which the machine mounts it."""
    host_path: str
    """Directory on the host."""
    mount_point: str
    """Directory in the machine."""
    options: str | None = None
    """Mount options."""
    owner: str | None = None
    """Owner in the machine."""
    group: str | None = None
    """Group in the machine."""
    mode: str | None = Field(default=None, pattern=r"^(0o?)?[0-7]{3,4}$")
    """Mode in octal, as text."""


class ContainerRuntime(Declared):
    """The container runtime of a machine."""

    enabled: bool = True
    """Whether there is one."""
    runtime_type: str | None = None
    """containerd, apptainer, docker."""
    version: str | None = None
    """Its version."""
    dependencies: tuple[str, ...] = ()
    """Packages that it needs."""
    security_config: Free = Field(default_factory=dict)
    """Settings of the runtime, taken as they are."""


class Gres(Declared):
    """GPUs of a machine as SLURM's generic resources see them."""

    enabled: bool = True
    """Whether they are declared to SLURM."""
    type: str | None = None
    """Type, as in a100."""
    count: int = Field(default=1, ge=0)
    """How many."""
    autodetect: str | None = None
    """SLURM's AutoDetect, as in nvml."""


class GresTypes(Declared):
    """A type of GPU in SLURM's gres.conf."""

    name: str
    """Type."""
    file: str | None = None
    """Device file."""
    count_per_node: int = Field(default=1, ge=0)
    """How many on each node."""


class GresConfig(Declared):
    """What becomes SLURM's gres.conf."""

    enabled: bool = True
    """Whether it is written."""
    gpu_types: tuple[GresTypes, ...] = ()
    """Types of GPUs."""


class MachineGres(Declared):
    """Generic resources of a machine."""

    gpu: Gres | None = None
    """Its GPUs."""


class NodeMonitoring(Declared):
    """What of the monitoring runs on a machine."""

    prometheus: bool = False
    """Prometheus."""
    grafana: bool = False
    """Grafana."""
    node_exporter: bool = False
    """The exporter of a node's figures."""


class Machine(Declared):
    """A virtual machine. Where no name was given, one was made from its role and number."""

    name: str
    """Name of the machine, unique in its cluster."""
    ip: str | None = None
    """IPv4 address on its cluster's network."""
    mac: str | None = None
    """MAC address; absent: made from the name."""
    cpu_cores: Cores
    """Virtual cores."""
    memory_gb: Gibibytes
    """Memory."""
    disk_gb: Gibibytes
    """Size of its disk."""
    image: str | None = None
    """Name of an image under `images`, or the path of one; absent: the cluster's."""
    worker_type: Literal["cpu", "gpu"] | None = None
    """Whether it carries GPUs; absent: judged by its devices."""
    node_type: str | None = None
    """What people call its kind."""
    kubernetes_role: str | None = None
    """control-plane or worker."""
    monitoring_role: str | None = None
    """Role in the monitoring."""
    auto_start: bool = True
    """Whether it starts with the host."""
    gpu_enabled: bool = False
    """Whether it gets GPUs from the estate's division."""
    high_availability: bool = False
    """Whether it is one of several of its kind."""
    node_labels: Labels = Field(default_factory=dict)
    """Kubernetes labels."""
    node_taints: tuple[Taint, ...] = ()
    """Kubernetes taints."""
    services: tuple[str, ...] = ()
    """Services that should run on it."""
    monitoring: NodeMonitoring | None = None
    """What of the monitoring runs on it."""
    pcie_passthrough: Passthrough | None = None
    """PCI devices that it gets whole."""
    gpu: MachineGpu | None = None
    """GPUs or slices that are not passed through whole."""
    gres: MachineGres | None = None
    """Its GPUs as SLURM sees them."""
    gres_config: GresConfig | None = None
    """What becomes SLURM's gres.conf."""
    virtio_fs_mounts: tuple[Mount, ...] = ()
    """Directories of the host that it sees."""
    container_runtime: ContainerRuntime | None = None
    """Its container runtime."""
    munge: Free = Field(default_factory=dict)
    """Settings of MUNGE, taken as they are."""

    @property
    def has_gpu(self) -> bool:
        """Whether it declares a GPU in any way."""
        passed = self.pcie_passthrough
        return (
            self.worker_type == "gpu"
            or self.gpu_enabled
            or bool(self.gpu and self.gpu.enabled)
            or bool(passed and passed.enabled and passed.devices)
        )


class CpuTopology(Declared):
    """Sockets, cores and threads that machines see."""

    sockets: int = Field(default=1, ge=1)
    """Sockets."""
    cores: int = Field(default=1, ge=1)
    """Cores per socket."""
    threads: int = Field(default=1, ge=1)
    """Threads per core."""


class Performance(Declared):
    """What makes machines faster at the price of flexibility."""

    enable_hugepages: bool = False
    """Whether memory is in huge pages."""
    hugepage_size: str | None = None
    """Size of a huge page, as in 1G."""
    cpu_pinning: bool = False
    """Whether virtual cores stay on one core of the host."""
    memory_backing: str | None = None
    """How memory is backed, as in memfd."""


class Acceleration(Declared):
    """How machines use the host's processors."""

    enable_kvm: bool = True
    """Whether KVM is used."""
    enable_nested: bool = False
    """Whether machines may start machines."""
    cpu_model: str | None = None
    """Model of the processor that machines see, as in host-passthrough."""
    cpu_features: tuple[str, ...] = ()
    """Features of the processor that machines see."""
    cpu_topology: CpuTopology | None = None
    """Sockets, cores and threads that machines see."""
    numa_topology: bool | Free = False
    """Whether machines see NUMA nodes, or which."""
    performance: Performance | None = None
    """What makes machines faster at the price of flexibility."""


class Hardware(Declared):
    """Hardware that all machines of a cluster share."""

    acceleration: Acceleration = Acceleration()
    """How machines use the host's processors."""
