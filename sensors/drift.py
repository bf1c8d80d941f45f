"""The sensor that keeps looking at what is live: it reports what changed, and repairs nothing.

What is asked, and what counts as a difference, stands in `platform_assets.serving.live_endpoints`.
An observation is reported only when it says something new, so that the event log tells when what
was served changed, not how often somebody looked.
"""

import hashlib
import json
from collections.abc import Mapping

import dagster as dg

from platform_assets.keys import LIVE_ENDPOINTS
from platform_assets.lineage.ledger import Ledger
from platform_assets.models.trained_checkpoint import DATA_VERSION_TAG
from platform_assets.serving.live_endpoints import (
    UNAVAILABLE,
    LiveEndpoint,
    data_version,
    observation_metadata,
    observe_live,
)
from platform_assets.serving.provider import Provider


def digest_of_observation(observed: list[LiveEndpoint]) -> str:
    """Return what tells this observation from one that says something else."""
    text = json.dumps([one.as_json() for one in observed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def live_observation(
    observed: list[LiveEndpoint], evidence: Mapping[str, dg.MetadataValue]
) -> dg.AssetObservation:
    """Return the event that says what the servers serve now."""
    differing = sum(not one.agrees for one in observed)
    return dg.AssetObservation(
        asset_key=LIVE_ENDPOINTS,
        description=f"{len(observed)} endpoints, {differing} differ from the ledger",
        metadata={**observation_metadata(observed), **evidence},
        tags={DATA_VERSION_TAG: data_version(observed).value},
    )


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks at what the model servers serve, and reports it when it changed.",
)
def live_endpoints_drift(
    context: dg.SensorEvaluationContext,
    provider: dg.ResourceParam[Provider],
    ledger: dg.ResourceParam[Ledger],
) -> dg.SensorResult | dg.SkipReason:
    """Observe every endpoint once."""
    try:
        observed = observe_live(provider, ledger)
    except UNAVAILABLE as error:
        return dg.SkipReason(f"cannot tell what is served: {error}")
    digest = digest_of_observation(observed)
    if digest == context.cursor:
        return dg.SkipReason(f"{len(observed)} endpoints, as they were")
    try:
        evidence = provider.evidence()
    except UNAVAILABLE as error:
        return dg.SkipReason(f"cannot tell what is served: {error}")
    for one in observed:
        if not one.agrees:
            context.log.warning("endpoint %s: %s", one.endpoint, one.reason)
    events = [live_observation(observed, evidence)]
    return dg.SensorResult(skip_reason="what is served changed", asset_events=events, cursor=digest)
