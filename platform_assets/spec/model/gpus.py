"""GPUs of the host, how they are divided, and devices that a machine gets whole."""

from typing import Literal

from pydantic import Field

from platform_assets.spec.model.base import Declared, Gibibytes, HexId, unit


class PciDevice(Declared):
    """A PCI function that is passed through to a machine."""

    pci_address: str
    """Address on the host, as in 0000:65:00.0."""
    device_type: str = "gpu"
    """What it is: gpu, audio, usb, serial, network, storage."""
    vendor_id: HexId | None = None
    """Vendor id, four hex digits without 0x."""
    device_id: HexId | None = None
    """Device id, four hex digits without 0x."""
    vendor: str | None = None
    """Vendor's name, for people."""
    iommu_group: int | None = Field(default=None, ge=0)
    """IOMMU group on the host, where it is known."""
    description: str | None = None
    """What people call it."""


class Passthrough(Declared):
    """Devices that a machine gets whole."""

    enabled: bool = True
    """Whether the devices are passed through."""
    devices: tuple[PciDevice, ...] = ()
    """The functions; a GPU's audio function belongs to it."""


class MigDevice(Declared):
    """A GPU, or a slice of one, that a machine declares to SLURM."""

    id: str | None = None
    """Id of the GPU among the estate's."""
    type: str | None = None
    """Kind of device, as in nvidia-mig."""
    mig_profile: str | None = None
    """MIG profile, as in 1g.10gb."""


class MachineGpu(Declared):
    """GPUs of a machine that are not passed through whole."""

    enabled: bool = True
    """Whether the machine has them."""
    devices: tuple[MigDevice, ...] = ()
    """What it has."""


class Gpu(Declared):
    """A GPU of the host."""

    id: str
    """A name for it within the estate, as in GPU-0."""
    pci_address: str | None = None
    """Address on the host, as in 0000:65:00.0."""
    model: str | None = None
    """Model's name, as in NVIDIA A100 80GB."""
    vendor_id: HexId | None = None
    """Vendor id, four hex digits without 0x."""
    device_id: HexId | None = None
    """Device id, four hex digits without 0x."""
    memory_gb: Gibibytes | None = None
    """Memory of the GPU."""
    mig_capable: bool = False
    """Whether it can be divided by MIG."""
    allowed_mig_profiles: tuple[str, ...] = ()
    """MIG profiles that may be used on it."""


class Shares(Declared):
    """How many of something each cluster gets."""

    hpc: int = Field(default=0, ge=0, json_schema_extra=unit("count"))
    """For the HPC cluster."""
    cloud: int = Field(default=0, ge=0, json_schema_extra=unit("count"))
    """For the cloud cluster."""


class Gpus(Declared):
    """GPUs of the host and how they are divided among the clusters."""

    devices: tuple[Gpu, ...] = ()
    """The GPUs."""
    strategy: Literal["mig", "whole", "hybrid"] = "whole"
    """Slices only, whole GPUs only, or both."""
    mig_slices: Shares = Shares()
    """MIG slices per cluster."""
    whole_gpus: Shares = Shares()
    """Whole GPUs per cluster."""
