"""The estate as an asset: what was applied, and whether the file still declares something sound.

The applied estate is written by `ai-how up` and `ai-how config apply`; here it is only shown. The
check reads the file that a person edits, which may have changed since.
"""

import os

import dagster as dg

from platform_assets import keys
from platform_assets.infrastructure.estate_file import (
    EstateUnreadable,
    JudgedEstate,
    judge_estate_file,
)
from platform_assets.infrastructure.findings_table import findings_table
from platform_assets.spec.applied import AppliedEstate, digest_of
from platform_assets.spec.findings import Severity, errors
from platform_assets.spec.literal_secrets import without_literals
from platform_assets.spec.model.estate import Estate
from resources.host import Host

LOGIC_VERSION = "1"
CHECK_NAME = "findings"
# What is made from a part of the estate has that part in its own code version. Another estate must
# not make all of it out of date.
ALWAYS_THE_SAME = dg.DataVersion("applied")


def file_check(applied: AppliedEstate, judged: JudgedEstate) -> dg.AssetCheckResult:
    """Return what the check says of the file: its findings, and whether it was applied."""
    wrong = errors(judged.findings)
    warned = [one for one in judged.findings if one.severity is Severity.WARNING]
    words = [f"errors: {len(wrong)}, warnings: {len(warned)}"]
    if judged.estate is not None:
        declared, _ = without_literals(judged.estate, applied.secrets)
        if digest_of(declared) != applied.part_digest():
            words.append("edited since it was applied: run `ai-how config apply`")
    return dg.AssetCheckResult(
        passed=not wrong and not warned,
        severity=dg.AssetCheckSeverity.ERROR if wrong else dg.AssetCheckSeverity.WARN,
        description="; ".join(words),
        metadata={
            "file": dg.MetadataValue.path(str(judged.file)),
            "findings": findings_table(judged.findings),
        },
    )


def machine_table(estate: Estate) -> dg.TableMetadataValue:
    """Return every declared machine as a table."""
    columns = ("cluster", "name", "role", "ip", "cores", "memory_gib", "disk_gib", "gpu")
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "cluster": placed.cluster,
                    "name": placed.machine.name,
                    "role": placed.role,
                    "ip": placed.machine.ip or "",
                    "cores": placed.machine.cpu_cores,
                    "memory_gib": placed.machine.memory_gb,
                    "disk_gib": placed.machine.disk_gb,
                    "gpu": placed.machine.has_gpu,
                }
            )
            for placed in estate.machines()
        ],
        schema=dg.TableSchema([dg.TableColumn(name) for name in columns]),
    )


judge_estate = dg.define_asset_job(
    "judge_estate",
    selection=dg.AssetSelection.checks(dg.AssetCheckKey(keys.ESTATE, CHECK_NAME)),
    description="Judges the estate's file as it is now. Read-only.",
)


def code_version(applied: AppliedEstate) -> str:
    """Return the code version of the asset of `applied`: it names everything that is declared."""
    return f"{LOGIC_VERSION}-{applied.part_digest()}"


def estate_asset_of(applied: AppliedEstate) -> dg.AssetsDefinition:
    """Return the asset of `applied`; another estate makes it out of date."""

    @dg.asset(
        key=keys.ESTATE,
        group_name="infrastructure",
        kinds={"yaml"},
        owners=[keys.OWNER],
        code_version=code_version(applied),
    )
    def estate_asset() -> dg.MaterializeResult[None]:
        """The applied estate: machines, networks, GPUs and services that one YAML file declares.

        `ai-how up` and `ai-how config apply` validate the file and write what runs; everything else
        in this graph is made from that. It is out of date when another estate was applied since.
        """
        return dg.MaterializeResult(
            data_version=ALWAYS_THE_SAME,
            metadata={
                "file": dg.MetadataValue.path(str(applied.source)),
                "digest": applied.part_digest(),
                "profile": applied.estate.profile,
                "mode": applied.estate.mode,
                "machines": machine_table(applied.estate),
            },
        )

    return estate_asset


@dg.asset_check(
    asset=keys.ESTATE, name=CHECK_NAME, description="What the rules find in the estate's file."
)
def estate_findings(
    estate: dg.ResourceParam[AppliedEstate], host: dg.ResourceParam[Host]
) -> dg.AssetCheckResult:
    """Judge the file as it is now, with the host as it is now."""
    try:
        judged = judge_estate_file(estate.source, os.environ, host)
    except EstateUnreadable as error:
        return dg.AssetCheckResult(passed=False, description=str(error))
    return file_check(estate, judged)
