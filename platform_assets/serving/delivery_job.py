"""The job that delivers one checkpoint: copy, version, endpoint, as one chain in one run.

Also the names that every request of it carries, whoever asks: the arrivals sensor, the sensor of
new attempts, the command line. Dagster never starts a run key twice, so a key names an attempt.
"""

from collections.abc import Mapping

import dagster as dg

from platform_assets.keys import (
    ATTEMPT_TAG,
    CHECKPOINT_TAG,
    ENDPOINT,
    ENDPOINT_TAG,
    PUBLISHED_COPY,
    REGISTERED_VERSION,
    VERIFIED_CHECK,
)

JOB_NAME = "deliver_checkpoint"
_DELIVERED = (PUBLISHED_COPY, REGISTERED_VERSION, ENDPOINT)

deliver_checkpoint = dg.define_asset_job(
    JOB_NAME,
    # Not the verification of everything live, whose checks stand on the same assets.
    selection=dg.AssetSelection.assets(*_DELIVERED)
    - dg.AssetSelection.checks(*(dg.AssetCheckKey(key, VERIFIED_CHECK) for key in _DELIVERED)),
    description=(
        "Takes one sealed checkpoint to its endpoint: publishes the serving files, registers the "
        "model version, and has the model server answer with it."
    ),
)


def run_key(checkpoint: str, attempt: int) -> str:
    """Return the run key of an attempt; Dagster starts at most one run for it, ever."""
    return f"{checkpoint}:attempt{attempt}"


def delivery_tags(checkpoint: str, attempt: int, endpoint: str | None) -> dict[str, str]:
    """Return the tags of a delivery's run; `endpoint` is None for a model that is not served."""
    tags = {CHECKPOINT_TAG: checkpoint, ATTEMPT_TAG: str(attempt)}
    return tags if endpoint is None else tags | {ENDPOINT_TAG: endpoint}


def delivery_request(checkpoint: str, attempt: int, endpoint: str | None) -> dg.RunRequest:
    """Return what a sensor asks of Dagster to deliver `checkpoint`."""
    return dg.RunRequest(
        run_key=run_key(checkpoint, attempt),
        partition_key=checkpoint,
        tags=delivery_tags(checkpoint, attempt, endpoint),
    )


def attempt_of(tags: Mapping[str, str]) -> int:
    """Return the attempt that a run's tags name; a run without one counts as the first."""
    value = tags.get(ATTEMPT_TAG, "")
    return int(value) if value.isdecimal() else 1
