"""The sealed checkpoint that training left; the platform only looks at it, it never makes one.

The arrivals sensor reports new ones; observing here judges again what lies there now. What makes a
directory a checkpoint is decided in `checkpoint_directory.py`.
"""

import warnings
from typing import Any

import dagster as dg

from platform_assets import keys
from platform_assets.lineage import ids
from platform_assets.models.checkpoint_directory import JudgedCheckpoint
from platform_assets.models.partition import judged_partition, only_transient_errors_retry
from platform_assets.partitions import CHECKPOINTS
from platform_assets.spec.applied import AppliedEstate

DATA_VERSION_TAG = "dagster/data_version"
DESCRIPTION = (
    "A trained model in the checkpoint root: a directory `<model>/<run>/` with a marker "
    "`_COMPLETE.json` that agrees with the files beside it. Training makes it; the platform never "
    "writes there. Its data version is the SHA-256 of the marker; sealing anew makes a new "
    "checkpoint. Observing judges again what lies there, and fails where it is no longer taken."
)


def checkpoint_metadata(judged: JudgedCheckpoint) -> dict[str, Any]:
    """Return what Dagster shows of a checkpoint."""
    return {
        ids.CHECKPOINT: judged.key,
        ids.MODEL: judged.model,
        ids.RUN: judged.run,
        ids.FORMAT: judged.marker.format,
        ids.TREE_DIGEST: judged.manifest.tree_digest,
        ids.MARKER_SHA256: judged.marker_sha256,
        ids.SEALED_AT: judged.marker.sealed_at.isoformat(),
        "directory": dg.MetadataValue.path(str(judged.directory)),
        "files": len(judged.manifest.files),
        "bytes": judged.manifest.total_bytes,
        "training": dg.MetadataValue.json(judged.marker.training.as_json()),
    }


def checkpoint_observation(judged: JudgedCheckpoint) -> dg.AssetObservation:
    """Return the event for a checkpoint that was seen; its data version is the marker's digest."""
    return dg.AssetObservation(
        asset_key=keys.TRAINED_CHECKPOINT,
        partition=judged.key,
        tags={DATA_VERSION_TAG: judged.marker_sha256},
        metadata=checkpoint_metadata(judged),
    )


def _observe(
    context: dg.AssetExecutionContext, estate: dg.ResourceParam[AppliedEstate]
) -> dg.ObserveResult:
    with only_transient_errors_retry():
        judged = judged_partition(context.partition_key, estate)
    return dg.ObserveResult(
        asset_key=keys.TRAINED_CHECKPOINT,
        data_version=dg.DataVersion(judged.marker_sha256),
        metadata=checkpoint_metadata(judged),
    )


with warnings.catch_warnings():
    # The plain decorator for one asset knows neither owners nor kinds.
    warnings.simplefilter("ignore", dg.BetaWarning)
    trained_checkpoint: dg.AssetsDefinition = dg.multi_observable_source_asset(
        name="models__trained_checkpoint",
        specs=[
            dg.AssetSpec(
                keys.TRAINED_CHECKPOINT,
                group_name="models",
                kinds={"file"},
                owners=[keys.OWNER],
                description=DESCRIPTION,
            )
        ],
        partitions_def=CHECKPOINTS,
    )(_observe)
