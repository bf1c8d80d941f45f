"""What the test's code server loads: our sensors, job and executor around assets that obey files.

The three assets stand in for the delivery's own, which need the whole platform; `behave` in the
state directory says what the first one does.
"""

import os
import time

import dagster as dg

from ai_how.executor import in_process_with_identity
from platform_assets import keys
from platform_assets.partitions import CHECKPOINTS
from platform_assets.serving.delivery_job import deliver_checkpoint
from platform_assets.spec.applied import read_applied, state_dir
from sensors.arrivals import arrivals
from sensors.dead_runs import dead_runs
from sensors.failures import delivery_failures

ESTATE = read_applied(state_dir())


@dg.observable_source_asset(key=keys.TRAINED_CHECKPOINT, partitions_def=CHECKPOINTS)
def trained_checkpoint() -> dg.DataVersionsByPartition:
    return dg.DataVersionsByPartition({})


@dg.asset(key=keys.PUBLISHED_COPY, deps=[keys.TRAINED_CHECKPOINT], partitions_def=CHECKPOINTS)
def published_copy(context: dg.AssetExecutionContext) -> None:
    behave = ESTATE.state / "behave"
    (ESTATE.state / "pid").write_text(str(os.getpid()))
    if "hang" in behave.read_text():
        time.sleep(3600)
    if "lasting" in behave.read_text():
        raise dg.Failure("wrong bytes", metadata={"transient": False}, allow_retries=False)
    if "passing" in behave.read_text():
        raise ConnectionError("the object store does not answer")


@dg.asset(key=keys.REGISTERED_VERSION, deps=[keys.PUBLISHED_COPY], partitions_def=CHECKPOINTS)
def registered_version() -> None:
    pass


@dg.asset(key=keys.ENDPOINT, deps=[keys.REGISTERED_VERSION], partitions_def=CHECKPOINTS)
def endpoint() -> None:
    pass


# A delivery leaves these out, so they must be there.
VERIFIED = [
    dg.asset_check(asset=key, name=keys.VERIFIED_CHECK)(lambda: dg.AssetCheckResult(passed=True))
    for key in (keys.PUBLISHED_COPY, keys.REGISTERED_VERSION, keys.ENDPOINT)
]
defs = dg.Definitions(
    assets=[trained_checkpoint, published_copy, registered_version, endpoint],
    asset_checks=VERIFIED,
    jobs=[deliver_checkpoint],
    sensors=[arrivals, delivery_failures, dead_runs],
    resources={"estate": ESTATE},
    executor=in_process_with_identity,
)
