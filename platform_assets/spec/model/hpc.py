"""The HPC cluster: machines, BeeGFS, SLURM."""

from typing import Annotated

from pydantic import Field

from platform_assets.spec.model.base import Declared, Free, Port, Secret
from platform_assets.spec.model.machines import Hardware, Machine
from platform_assets.spec.model.networks import Network, Ssh


class BeegfsClient(Declared):
    """The BeeGFS client on each node."""

    mount_options: str | tuple[str, ...] | None = None
    """Mount options."""
    auto_mount: bool = True
    """Whether it is mounted at boot."""


class Beegfs(Declared):
    """The parallel file system."""

    enabled: bool = True
    """Whether there is one."""
    mount_point: str = "/mnt/beegfs"
    """Where nodes see it."""
    management_node: str | None = None
    """Machine that runs the management service."""
    metadata_nodes: tuple[str, ...] = ()
    """Machines that keep metadata."""
    storage_nodes: tuple[str, ...] = ()
    """Machines that keep data."""
    client_config: BeegfsClient = BeegfsClient()
    """The client on each node."""


class VirtioFs(Declared):
    """Sharing directories of the host."""

    enabled: bool = False
    """Whether directories of the host are shared."""


class ClusterStorage(Declared):
    """Where a cluster's disks lie, and what file systems it has."""

    pool_name: str | None = None
    """Name of the libvirt storage pool."""
    pool_path: str | None = None
    """Directory of the pool."""
    virtio_fs: VirtioFs | None = None
    """Sharing directories of the host."""
    beegfs: Beegfs | None = None
    """The parallel file system."""


Walltime = Annotated[str, Field(pattern=r"^([0-9]+-)?[0-9]+(:[0-9]{1,2}){0,2}$|^UNLIMITED$")]


class SlurmDatabase(Declared):
    """The database of SLURM's accounting."""

    host: str = "localhost"
    """Host."""
    port: Port = 3306
    """Port."""
    name: str = "slurm_acct_db"
    """Database."""
    user: str = "slurm"
    """Login role."""
    password: Secret | None = None
    """Its password, as a reference."""


class ContainerRegistry(Declared):
    """Where container images for jobs lie."""

    enabled: bool = True
    """Whether there is one."""
    base_path: str | None = None
    """Directory."""
    sync_method: str | None = None
    """How images come to nodes."""
    subdirectories: tuple[str, ...] = ()
    """Directories below it."""


class Slurm(Declared):
    """SLURM's configuration."""

    partitions: tuple[str, ...] = ()
    """Partitions."""
    default_partition: str | None = None
    """The partition of a job that names none."""
    max_job_time: Walltime | None = Field(default=None, json_schema_extra={"unit": "[D-]HH:MM:SS"})
    """Longest time of a job."""
    gres_types: tuple[str, ...] = ()
    """Generic resources, as in gpu."""
    container_plugin_enabled: bool = False
    """Whether jobs may name a container."""
    enable_accounting: bool = False
    """Whether jobs are accounted for."""
    enable_database: bool = False
    """Whether the accounting has a database."""
    accounting: Free = Field(default_factory=dict)
    """Settings of the accounting, taken as they are."""
    database: SlurmDatabase | None = None
    """The database of the accounting."""


class HpcCluster(Declared):
    """A SLURM cluster that trains models."""

    name: str = "hpc"
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
    """Where disks lie, and what file systems it has."""
    hardware: Hardware = Hardware()
    """Hardware that its machines share."""
    controller: Machine | None = None
    """The machine that runs slurmctld."""
    compute_nodes: tuple[Machine, ...] = ()
    """The machines that run jobs."""
    slurm: Slurm = Slurm()
    """SLURM's configuration."""
    container_registry: ContainerRegistry | None = None
    """Where container images for jobs lie."""
