"""The asset checks that keep looking at the bytes behind everything live, and the job of them all.

Each check looks at its own hops of every live endpoint: the copy's at checkpoint root and object
store, the version's at the registry, the endpoint's at the copy on disk and at the server. What is
read is read slowly, and only where nobody read it within the days of the serving file; see
`platform_assets/models/verification_reading.py`. A difference is an error; what cannot be looked at
is a warning with its reason. When it runs is decided in `sensors/verification.py`.
"""

from collections.abc import Collection
from datetime import timedelta

import dagster as dg

from platform_assets import keys
from platform_assets.audits.live_versions import live_deployments
from platform_assets.audits.verification import Places, verify_endpoint
from platform_assets.lineage.ledger import Ledger
from platform_assets.lineage.verdict import Hop, Verdict, Verification
from platform_assets.lineage.verification import expected_behind, record_verification
from platform_assets.models.verification_reading import MIB, Memory, Reading
from platform_assets.serving.provider import Provider
from platform_assets.spec.applied import AppliedEstate
from platform_assets.spec.serving import read_serving
from resources.mlflow import Mlflow
from resources.object_store import ObjectStore

JOB_NAME = "verify_live_models"
MEMORY_FILE = "verified-files.sqlite"
_SHOWN_DIFFERENCES = 5


def scheduled_reading(estate: AppliedEstate) -> Reading:
    """Return how the schedule reads: as slow and as seldom as the serving file says."""
    serving = read_serving(estate.serving_file)
    reading = Reading(
        memory=Memory(estate.state / "data" / MEMORY_FILE),
        policy=timedelta(days=serving.rehash_days),
        bytes_per_s=serving.rehash_mib_per_s * MIB,
    )
    if reading.memory is not None:
        reading.memory.forget_before(reading.now() - 2 * reading.policy)
    return reading


def verify_live(
    places: Places, reading: Reading, hops: Collection[Hop], dagster_run: str | None
) -> list[Verification]:
    """Look at the named hops of every live endpoint, and record what is new about them."""
    found = []
    for endpoint in live_deployments(places.ledger):
        verification = verify_endpoint(places, endpoint, reading, hops)
        found.append(verification)
        deployed = live_deployments(places.ledger).get(endpoint)
        if deployed is None or deployed.body["tree_digest"] != verification.tree_digest:
            continue  # replaced while it was verified: the next time tells
        expected = expected_behind(places.ledger, deployed)
        for result in verification.hops:
            record_verification(places.ledger, expected, result, dagster_run)
    return found


def check_result(found: list[Verification]) -> dg.AssetCheckResult:
    """Return what a check says of these verifications."""
    differences = [(v.endpoint, one) for v in found for one in v.differences]
    unknown = [
        f"{v.endpoint}: cannot tell: {hop.unknown}" for v in found for hop in v.hops if hop.unknown
    ]
    words = [f"{endpoint}: {one}" for endpoint, one in differences[:_SHOWN_DIFFERENCES]]
    if len(differences) > _SHOWN_DIFFERENCES:
        words.append(f"and {len(differences) - _SHOWN_DIFFERENCES} more differences")
    passed = all(verification.verdict is Verdict.AGREE for verification in found)
    return dg.AssetCheckResult(
        passed=passed,
        severity=dg.AssetCheckSeverity.ERROR if differences else dg.AssetCheckSeverity.WARN,
        description="; ".join(words + unknown) or None,
        metadata={
            "hops": _hop_table(found),
            "differences": _difference_table(found),
            "endpoints": dg.MetadataValue.int(len(found)),
            "read_bytes": dg.MetadataValue.int(sum(h.read_bytes for v in found for h in v.hops)),
        },
    )


def _hop_table(found: list[Verification]) -> dg.TableMetadataValue:
    records = [
        dg.TableRecord(
            {
                "endpoint": verification.endpoint,
                "hop": hop.hop.value,
                "verdict": hop.verdict.value,
                "files": hop.files,
                "bytes": hop.bytes,
                "read_bytes": hop.read_bytes,
                "oldest_read": hop.oldest_read or "",
                "differences": len(hop.differences),
                "reason": hop.unknown or "",
                "where": hop.where,
            }
        )
        for verification in found
        for hop in verification.hops
    ]
    numbers = {"files", "bytes", "read_bytes", "differences"}
    columns = (
        "endpoint",
        "hop",
        "verdict",
        "files",
        "bytes",
        "read_bytes",
        "oldest_read",
        "differences",
        "reason",
        "where",
    )
    schema = [dg.TableColumn(name, "int" if name in numbers else "string") for name in columns]
    return dg.MetadataValue.table(records, dg.TableSchema(schema))


def _difference_table(found: list[Verification]) -> dg.TableMetadataValue:
    records = [
        dg.TableRecord(
            {
                "endpoint": verification.endpoint,
                "hop": one.hop.value,
                "file": one.file,
                "expected": one.expected,
                "found": one.found,
            }
        )
        for verification in found
        for one in verification.differences[:100]
    ]
    columns = ("endpoint", "hop", "file", "expected", "found")
    return dg.MetadataValue.table(
        records, dg.TableSchema([dg.TableColumn(name, "string") for name in columns])
    )


def _checked(
    context: dg.AssetCheckExecutionContext,
    estate: AppliedEstate,
    places: Places,
    hops: Collection[Hop],
) -> dg.AssetCheckResult:
    found = verify_live(places, scheduled_reading(estate), hops, context.run.run_id)
    for verification in found:
        for difference in verification.differences:
            context.log.error("endpoint %s: %s", verification.endpoint, difference)
    return check_result(found)


@dg.asset_check(
    asset=keys.PUBLISHED_COPY,
    name=keys.VERIFIED_CHECK,
    description=(
        "Behind every live endpoint, marker and serving files in the checkpoint root and manifest "
        "and objects in the object store are those of the deployed tree digest, byte by byte."
    ),
)
def copies_verified(  # noqa: PLR0917 - the connections of a verification
    context: dg.AssetCheckExecutionContext,
    estate: dg.ResourceParam[AppliedEstate],
    reader_store: dg.ResourceParam[ObjectStore],
    mlflow: dg.ResourceParam[Mlflow],
    provider: dg.ResourceParam[Provider],
    ledger: dg.ResourceParam[Ledger],
) -> dg.AssetCheckResult:
    """Verify where the bytes come from and where they were copied to."""
    places = Places(reader_store, mlflow, provider, ledger)
    return _checked(context, estate, places, {Hop.CHECKPOINT, Hop.COPY})


@dg.asset_check(
    asset=keys.REGISTERED_VERSION,
    name=keys.VERIFIED_CHECK,
    description=(
        "Behind every live endpoint, the version's source and tags in MLflow, and the alias "
        "`live-<endpoint>`, are those that were recorded."
    ),
)
def versions_verified(  # noqa: PLR0917 - the connections of a verification
    context: dg.AssetCheckExecutionContext,
    estate: dg.ResourceParam[AppliedEstate],
    reader_store: dg.ResourceParam[ObjectStore],
    mlflow: dg.ResourceParam[Mlflow],
    provider: dg.ResourceParam[Provider],
    ledger: dg.ResourceParam[Ledger],
) -> dg.AssetCheckResult:
    """Verify what the registry says."""
    places = Places(reader_store, mlflow, provider, ledger)
    return _checked(context, estate, places, {Hop.VERSION})


@dg.asset_check(
    asset=keys.ENDPOINT,
    name=keys.VERIFIED_CHECK,
    description=(
        "Every live endpoint's copy on disk holds the deployed bytes, and the model server itself "
        "tells their tree digest."
    ),
)
def endpoints_verified(  # noqa: PLR0917 - the connections of a verification
    context: dg.AssetCheckExecutionContext,
    estate: dg.ResourceParam[AppliedEstate],
    reader_store: dg.ResourceParam[ObjectStore],
    mlflow: dg.ResourceParam[Mlflow],
    provider: dg.ResourceParam[Provider],
    ledger: dg.ResourceParam[Ledger],
) -> dg.AssetCheckResult:
    """Verify what is served."""
    places = Places(reader_store, mlflow, provider, ledger)
    return _checked(context, estate, places, {Hop.FETCHED, Hop.SERVER})


verify_live_models = dg.define_asset_job(
    JOB_NAME,
    selection=dg.AssetSelection.checks(copies_verified, versions_verified, endpoints_verified),
    description=(
        "Reads again what is behind every live endpoint: checkpoint root, object store, registry, "
        "copy on disk, model server. Read-only."
    ),
)
