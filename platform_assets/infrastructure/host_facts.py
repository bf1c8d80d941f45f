"""The host as an asset: what the machine is and has, observed; whether it suffices, in a table.

The machine is read by `resources/host.py`, judged by `host_floors.py`. Nothing is changed here.
"""

import hashlib
import json
import warnings
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import dagster as dg

from platform_assets import keys
from platform_assets.infrastructure.floor import Floor, Verdict
from platform_assets.infrastructure.host_floors import floors
from platform_assets.spec.pci_names import PciNames
from resources.host import Host, HostFacts, Unread
from resources.pci_ids import read_pci_ids

# They change by the hour, or with who asks: no reason to call what is built on the host outdated.
_PASSING = frozenset({"image_room", "processes", "groups", "network_cards"})

DESCRIPTION = (
    "The machine that carries the estate, as its kernel and programs tell: processor, memory, "
    "disks, PCI devices, IOMMU groups, KVM, versions. Beside it every floor that an estate of "
    "virtual machines with GPUs stands on, judged. A fact that cannot be read is told as such, "
    "never as empty."
)


def data_version(facts: HostFacts) -> dg.DataVersion:
    """Return the version of what the machine is; free space and running programs are no part."""
    lasting = {name: value for name, value in facts.as_json().items() if name not in _PASSING}
    return dg.DataVersion(hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest())


def observation_metadata(facts: HostFacts, judged: list[Floor]) -> dict[str, Any]:
    """Return what an observation shows a person."""
    unread = [
        f"{one.name}: {value.reason}"
        for one in fields(facts)
        if isinstance(value := getattr(facts, one.name), Unread)
    ]
    return {
        "floors": _floor_table(judged),
        "failing": dg.MetadataValue.int(sum(one.verdict is Verdict.FAILS for one in judged)),
        "unread": dg.MetadataValue.text("; ".join(unread) or "none"),
        "facts": dg.MetadataValue.json(facts.as_json()),
    }


def _floor_table(judged: list[Floor]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "floor": one.name,
                    "verdict": one.verdict.value,
                    "wanted": one.wanted,
                    "found": one.found,
                    "what to do": one.remedy,
                }
            )
            for one in judged
        ]
    )


def _observe(host: dg.ResourceParam[Host]) -> Iterator[dg.ObserveResult]:
    facts = host.facts()
    judged = floors(facts, PciNames.parse(read_pci_ids()))
    yield dg.ObserveResult(
        asset_key=keys.HOST_FACTS,
        data_version=data_version(facts),
        metadata=observation_metadata(facts, judged),
    )


with warnings.catch_warnings():
    # The plain decorator for one asset knows neither owners nor kinds.
    warnings.simplefilter("ignore", dg.BetaWarning)
    host_facts: dg.AssetsDefinition = dg.multi_observable_source_asset(
        name="infrastructure__host_facts",
        specs=[
            dg.AssetSpec(
                keys.HOST_FACTS,
                group_name="infrastructure",
                kinds={"linux"},
                owners=[keys.OWNER],
                description=DESCRIPTION,
            )
        ],
    )(_observe)
