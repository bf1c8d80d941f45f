"""What the assets of one checkpoint share: finding it by its partition key, and when to try again.

Only what may pass by itself is retried; everything else of ours ends the run for good, and says so
in the failure's metadata under `TRANSIENT`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import dagster as dg

from platform_assets.lineage.ledger import LedgerUnreachable, LockLost, LockTimeout
from platform_assets.models.checkpoint_directory import (
    JudgedCheckpoint,
    find_checkpoint,
    judge_checkpoint,
)
from platform_assets.models.upload import SourceUnreadable
from platform_assets.spec.applied import AppliedEstate
from platform_assets.spec.errors import AiHowError
from platform_assets.spec.serving import read_serving
from resources.errors import ResourceError
from resources.kubernetes_errors import KubernetesUnavailable, WaitExpired
from resources.mlflow import MlflowUnavailable
from resources.model_server import ModelServerUnavailable
from resources.object_store import StoreUnavailable

LOCK_TIMEOUT_S = 900.0
TRANSIENT = "transient"
TRANSIENT_ERRORS = (
    KubernetesUnavailable,
    LedgerUnreachable,
    LockLost,
    LockTimeout,
    MlflowUnavailable,
    ModelServerUnavailable,
    SourceUnreadable,
    StoreUnavailable,
    WaitExpired,
)
RETRY = dg.RetryPolicy(
    max_retries=3, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)


@contextmanager
def only_transient_errors_retry() -> Iterator[None]:
    """Let transient errors through to the retry policy; turn ours that will last into failures."""
    try:
        yield
    except TRANSIENT_ERRORS:
        raise
    except (AiHowError, ResourceError) as error:
        raise dg.Failure(
            description=str(error),
            metadata={TRANSIENT: False, "error": type(error).__name__},
            allow_retries=False,
        ) from error


def judged_partition(key: str, estate: AppliedEstate) -> JudgedCheckpoint:
    """Find the checkpoint with partition key `key` and judge it as it lies there now.

    Raises:
        CheckpointRefused: it is gone, was sealed anew, or is no longer what its marker says.
    """
    root = estate.checkpoint_root
    directory = find_checkpoint(root, key)
    served = read_serving(estate.serving_file).for_model(key.split(".", 1)[0])
    return judge_checkpoint(directory, root, served, datetime.now(UTC))
