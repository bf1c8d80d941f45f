"""What MIG can make of the declared GPUs; the rules that judge it stand in `rules/mig.py`.

Without grounds only what the estate itself says of a GPU counts.
"""

from collections.abc import Iterable

from platform_assets.spec.devices import passed_devices, pci_address
from platform_assets.spec.gpu_names import devices_called
from platform_assets.spec.mig_profiles import (
    MOST_INSTANCES,
    NVIDIA,
    MigGpu,
    cannot_be_divided,
    mig_gpus,
)
from platform_assets.spec.model.estate import ClusterName, Estate
from platform_assets.spec.model.gpus import Gpu
from platform_assets.spec.rules.grounds import Grounds


def ids_of(gpu: Gpu, grounds: Grounds | None) -> tuple[str, str] | None:
    """Return a GPU's vendor and device id: as declared, else as the host has them."""
    if gpu.vendor_id and gpu.device_id:
        return gpu.vendor_id, gpu.device_id
    address = pci_address(gpu.pci_address) if gpu.pci_address else None
    if address is None:
        return None
    return next(
        (
            (each.vendor_id, each.device_id)
            for each in (grounds and grounds.devices) or ()
            if pci_address(each.address) == address
        ),
        None,
    )


def kinds_of(gpu: Gpu, grounds: Grounds | None) -> tuple[MigGpu, ...]:
    """Return what the table of MIG has for a GPU; several where its model leaves that open."""
    found = mig_gpus(gpu.model, ids_of(gpu, grounds))
    if gpu.memory_gb is not None:
        sized = tuple(each for each in found if abs(each.memory_gib - gpu.memory_gb) <= 1)
        return sized or found
    return found


def surely_not_divisible(gpu: Gpu, grounds: Grounds | None) -> str | None:
    """Return the listed name of a GPU that has no MIG for certain; None where that is open."""
    names, ids = grounds.pci_names if grounds else None, ids_of(gpu, grounds)
    if names is None or kinds_of(gpu, grounds):
        return None
    found = names.name(*ids) if ids else None
    if found is not None:
        return found[1] if cannot_be_divided(found[1]) else None
    listed = devices_called(gpu.model, NVIDIA, names) if gpu.model else ()
    if listed and all(cannot_be_divided(name) for _, name in listed):
        return listed[0][1]
    return None


def most_slices(gpu: Gpu, grounds: Grounds | None) -> int:
    """Return how many slices a GPU can be divided into at most, with the profiles it allows.

    A GPU that the table does not have may have as many as any. Where one of its profiles is
    refused, all of the GPU's own count: the wrong name was already told.
    """
    kinds = kinds_of(gpu, grounds)
    if not kinds:
        return MOST_INSTANCES
    allowed = gpu.allowed_mig_profiles
    known = all(any(kind.profile(each) for kind in kinds) for each in allowed)
    return max(kind.most(allowed if known else ()) for kind in kinds)


def divisible(
    estate: Estate, clusters: Iterable[ClusterName], grounds: Grounds | None
) -> list[Gpu]:
    """Return the GPUs that can be divided while these clusters run: not passed to a machine."""
    running = set(clusters)
    passed = {
        each.address
        for each in passed_devices(estate)
        if each.address is not None and each.placed.cluster in running
    }
    return [
        gpu
        for gpu in (estate.gpus.devices if estate.gpus else ())
        if gpu.mig_capable
        and not surely_not_divisible(gpu, grounds)
        and (gpu.pci_address is None or pci_address(gpu.pci_address) not in passed)
    ]


def gpus_to_divide(
    estate: Estate, clusters: Iterable[ClusterName], grounds: Grounds | None = None
) -> int:
    """Return how many GPUs must be divided for the slices of these clusters, at the least.

    Whether one of them is passed to a machine does not matter here: it is counted what is wanted.
    """
    if estate.gpus is None:
        return 0
    wanted = sum(getattr(estate.gpus.mig_slices, each) for each in clusters)
    usable = [gpu for gpu in estate.gpus.devices if gpu.mig_capable]
    sizes = sorted((most_slices(gpu, grounds) for gpu in usable), reverse=True)
    count = 0
    while wanted > 0:
        wanted -= sizes[count] if count < len(sizes) else MOST_INSTANCES
        count += 1
    return count
