"""The host's GPUs as an asset: which there are, what drives them, who holds them; observed.

What counts as a GPU is said in `gpus.py`. Who *may* use one is no observation and stands elsewhere.
"""

import hashlib
import json
import warnings
from collections.abc import Iterator
from typing import Any

import dagster as dg

from platform_assets import keys
from platform_assets.infrastructure.gpus import Gpu, gpus, holders
from platform_assets.spec.pci_names import PciNames
from resources.host import Host, HostFacts
from resources.host_files import FactUnread
from resources.pci_ids import read_pci_ids

DESCRIPTION = (
    "The GPUs in the machine that carries the estate: PCI address, name, the driver that is bound, "
    "the IOMMU group with everything that would go to a guest with it, and the programs that hold "
    "a device file of it. Where sysfs cannot be read there is no observation: nothing is known "
    "then."
)
_COLUMNS = ("address", "name", "ids", "driver", "IOMMU group", "shared with", "held by")


def data_version(found: list[Gpu]) -> dg.DataVersion:
    """Return the version of what is plugged in and how it is bound; who holds it is no part."""
    lasting = [
        [
            gpu.address,
            gpu.vendor_id,
            gpu.device_id,
            gpu.driver,
            gpu.iommu_group,
            gpu.companions,
            gpu.strangers,
        ]
        for gpu in found
    ]
    return dg.DataVersion(hashlib.sha256(json.dumps(lasting).encode()).hexdigest())


def observation_metadata(found: list[Gpu], facts: HostFacts) -> dict[str, Any]:
    """Return what an observation shows a person: one row for each GPU.

    Raises:
        FactUnread: the processes are not known.
    """
    rows = [_row(gpu, holders(gpu, facts)) for gpu in found]
    records = [dg.TableRecord(dict(zip(_COLUMNS, row, strict=True))) for row in rows]
    schema = dg.TableSchema([dg.TableColumn(name, "string") for name in _COLUMNS])
    return {
        "gpus": dg.MetadataValue.table(records, schema),
        "count": dg.MetadataValue.int(len(found)),
    }


def _row(gpu: Gpu, held_by: tuple[str, ...]) -> tuple[str, ...]:
    strangers = [f"{address} (not its own)" for address in gpu.strangers]
    return (
        gpu.address,
        gpu.name,
        f"{gpu.vendor_id}:{gpu.device_id}",
        gpu.driver or "none",
        "none" if gpu.iommu_group is None else str(gpu.iommu_group),
        ", ".join([*gpu.companions, *strangers]) or "nothing",
        ", ".join(held_by) or "nobody seen",
    )


def _observe(host: dg.ResourceParam[Host]) -> Iterator[dg.ObserveResult]:
    facts = host.facts()
    try:
        found = gpus(facts, PciNames.parse(read_pci_ids()))
        metadata = observation_metadata(found, facts)
    except FactUnread as error:
        message = f"cannot tell which GPUs there are: {error}"
        raise dg.Failure(message) from error
    yield dg.ObserveResult(
        asset_key=keys.GPU_INVENTORY,
        data_version=data_version(found),
        metadata=metadata,
    )


with warnings.catch_warnings():
    # The plain decorator for one asset knows neither owners nor kinds.
    warnings.simplefilter("ignore", dg.BetaWarning)
    gpu_inventory: dg.AssetsDefinition = dg.multi_observable_source_asset(
        name="infrastructure__gpu_inventory",
        specs=[
            dg.AssetSpec(
                keys.GPU_INVENTORY,
                group_name="infrastructure",
                kinds={"nvidia", "linux"},
                owners=[keys.OWNER],
                description=DESCRIPTION,
            )
        ],
    )(_observe)
