"""The estate: everything that one YAML file declares. Loading stands in `spec/loading`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from platform_assets.spec.findings import Path
from platform_assets.spec.model.base import Cores, Declared, Gibibytes, Version
from platform_assets.spec.model.gpus import Gpus
from platform_assets.spec.model.hpc import ClusterStorage, HpcCluster
from platform_assets.spec.model.kubernetes import Kubernetes
from platform_assets.spec.model.machines import Hardware, Machine
from platform_assets.spec.model.networks import Network, Ssh
from platform_assets.spec.model.services import Mlops, Monitoring
from platform_assets.spec.names import NameRefused, checked_name


def _estate_name(value: str) -> str:
    try:
        return checked_name("estate", value)
    except NameRefused as refusal:
        raise ValueError(str(refusal)) from refusal


class Metadata(Declared):
    """What people call the estate."""

    name: Annotated[str, AfterValidator(_estate_name)]
    """Name of the estate."""
    description: str | None = None
    """What it is for."""


class Reserve(Declared):
    """What the host keeps for itself."""

    cpu_cores: int = Field(default=4, ge=0, json_schema_extra={"unit": "cores"})
    """Cores."""
    memory_gb: float = Field(default=4, ge=0, json_schema_extra={"unit": "GiB"})
    """Memory."""
    disk_gb: float = Field(default=100, ge=0, json_schema_extra={"unit": "GiB"})
    """Disk."""


Factor = Annotated[float, Field(ge=1, le=16)]


class Overcommit(Declared):
    """How much more may be promised to machines than the host has; 1: no more."""

    cpu: Factor = 1.0
    """Virtual cores per core of the host."""
    memory: Factor = 1.0
    """Memory of machines per memory of the host."""
    disk: Factor = 1.0
    """Size of disks per space on the host; disks grow as they are written."""


class Host(Declared):
    """The workstation. What is not said here is read from the machine."""

    cpu_cores: Cores | None = None
    """Cores (threads) of the host."""
    memory_gb: Gibibytes | None = None
    """Memory of the host."""
    disk_gb: Gibibytes | None = None
    """Space for disks of machines."""
    gpus: int | None = Field(default=None, ge=0, le=64, json_schema_extra={"unit": "count"})
    """Number of GPUs."""
    reserve: Reserve = Reserve()
    """What the host keeps for itself."""
    overcommit: Overcommit = Overcommit()
    """How much more may be promised than there is."""


class Placement(Declared):
    """Where the stores stand between which models travel, and where models are served."""

    object_store: Literal["host", "cloud"] = "host"
    """Where the object store stands."""
    registry: Literal["host", "cloud"] = "host"
    """Where MLflow's registry stands."""
    checkpoint_root: Literal["host", "hpc"] = "host"
    """Where the checkpoint root stands."""
    serving: Literal["host", "kubernetes"] = "host"
    """Whether MLServer beside Dagster serves models, or KServe on Kubernetes."""


class Image(Declared):
    """A golden image that machines start from."""

    path: str
    """File of the image."""
    operating_system: str | None = None
    """What it holds, as in debian 13."""
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Digest of the file."""
    nvidia_driver: Version | None = None
    """Version of the NVIDIA driver that it holds; absent: none."""


class Security(Declared):
    """How the estate is guarded."""

    firewall: bool = True
    """Whether the clusters' networks are kept apart."""
    network_policies: bool = True
    """Whether pods are kept apart."""
    allowed_ssh_users: tuple[str, ...] = ()
    """Login names that may come by SSH; absent: the cluster's `ssh.user`."""


class Backup(Declared):
    """What is kept in case a disk dies."""

    enabled: bool = False
    """Whether it is."""
    schedule: str = "0 3 * * *"
    """When, as cron says it."""
    bucket: str | None = None
    """Bucket that backups go to."""
    keep_days: int = Field(default=14, ge=1, json_schema_extra={"unit": "days"})
    """How long they are kept."""


class CloudCluster(Declared):
    """A Kubernetes cluster that serves models."""

    name: str = "cloud"
    """Name of the cluster, for people."""
    description: str | None = None
    """What it is for."""
    image: str | None = None
    """Image of its machines: a name under `images`, or a path."""
    network: Network | None = None
    """Its network."""
    ssh: Ssh = Ssh()
    """How its machines are reached."""
    storage: ClusterStorage = ClusterStorage()
    """Where disks lie."""
    hardware: Hardware = Hardware()
    """Hardware that its machines share."""
    control_plane: tuple[Machine, ...] = ()
    """Machines of the control plane."""
    workers: tuple[Machine, ...] = ()
    """Machines that carry pods."""
    kubernetes: Kubernetes = Kubernetes()
    """Kubernetes itself."""
    mlops: Mlops = Mlops()
    """MLOps services."""
    monitoring: Monitoring = Monitoring()
    """Figures and logs."""


class Clusters(Declared):
    """The clusters of the estate; either may be absent."""

    hpc: HpcCluster | None = None
    """The SLURM cluster that trains models."""
    cloud: CloudCluster | None = None
    """The Kubernetes cluster that serves models."""


ClusterName = Literal["hpc", "cloud"]
Role = Literal["controller", "compute", "control-plane", "worker"]


@dataclass(frozen=True)
class Placed:
    """A machine and where it was declared."""

    cluster: ClusterName
    role: Role
    path: Path
    machine: Machine


class Estate(Declared):
    """Everything that one YAML file declares; relative paths begin at the project's folder."""

    version: Literal["1.0"] = "1.0"
    """Version of this format."""
    metadata: Metadata
    """What people call the estate."""
    profile: Literal["development", "production"] = "development"
    """In production literal passwords and versions past their end of life are errors."""
    mode: Literal["concurrent", "sequential"] = "concurrent"
    """Whether the clusters run at the same time, or take turns on the host."""
    checkpoint_root: str = "checkpoints"
    """Where training leaves <model>/<run>/ directories."""
    serving: str = "config/serving.yaml"
    """The file that says which model is served where."""
    placement: Placement = Placement()
    """Where the stores stand between which models travel, and where models are served."""
    host: Host = Host()
    """The workstation."""
    gpus: Gpus | None = None
    """GPUs of the host, and how they are divided."""
    images: dict[str, Image] = Field(default_factory=dict)
    """Golden images by name."""
    clusters: Clusters = Clusters()
    """The clusters."""
    security: Security = Security()
    """How the estate is guarded."""
    backup: Backup = Backup()
    """What is kept in case a disk dies."""

    def machines(self) -> Iterator[Placed]:
        """Yield every machine, in the order of the file's sections."""
        hpc, cloud = self.clusters.hpc, self.clusters.cloud
        if hpc is not None:
            if hpc.controller is not None:
                path: Path = ("clusters", "hpc", "controller")
                yield Placed("hpc", "controller", path, hpc.controller)
            for index, machine in enumerate(hpc.compute_nodes):
                path = ("clusters", "hpc", "compute_nodes", index)
                yield Placed("hpc", "compute", path, machine)
        if cloud is not None:
            for index, machine in enumerate(cloud.control_plane):
                path = ("clusters", "cloud", "control_plane", index)
                yield Placed("cloud", "control-plane", path, machine)
            for index, machine in enumerate(cloud.workers):
                path = ("clusters", "cloud", "workers", index)
                yield Placed("cloud", "worker", path, machine)

    def networks(self) -> Iterator[tuple[ClusterName, Path, Network]]:
        """Yield the network of each cluster that declares one."""
        hpc, cloud = self.clusters.hpc, self.clusters.cloud
        if hpc is not None and hpc.network is not None:
            yield "hpc", ("clusters", "hpc", "network"), hpc.network
        if cloud is not None and cloud.network is not None:
            yield "cloud", ("clusters", "cloud", "network"), cloud.network
