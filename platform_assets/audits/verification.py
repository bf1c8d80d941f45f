"""A whole verification: every hop behind an endpoint is looked at now and held against the ledger.

Read-only, and without locks: a deployment may happen meanwhile. So where hops differ, the lock of
the endpoint is waited for, and what was deployed in the meantime is verified instead. The asset
checks, which ask the same of everything that is live, stand in `live_verification.py`.
"""

from collections.abc import Collection
from dataclasses import dataclass

from platform_assets.audits.live_versions import live_deployment
from platform_assets.lineage.canonical import timestamp
from platform_assets.lineage.ledger import Ledger, LockTimeout
from platform_assets.lineage.manifest import Manifest
from platform_assets.lineage.verdict import (
    Hop,
    HopResult,
    Verdict,
    Verification,
    joint_verdict,
)
from platform_assets.lineage.verification import Expected, expected_behind
from platform_assets.models.verification import (
    Named,
    named_by_marker,
    named_by_store,
    verify_checkpoint,
    verify_copy,
    verify_version,
)
from platform_assets.models.verification_reading import Reading
from platform_assets.serving.provider import Provider
from platform_assets.serving.verification import verify_fetched
from platform_assets.spec.names import checked_name
from resources.mlflow import Mlflow
from resources.object_store import ObjectStore

_SECOND_LOOK_S = 30.0
_LOOKS = 3
_QUICK = frozenset({Hop.VERSION, Hop.SERVER})


@dataclass(frozen=True)
class Places:
    """Where the bytes are, and the ledger that says which they should be."""

    store: ObjectStore
    mlflow: Mlflow
    provider: Provider
    ledger: Ledger


def verify_endpoint(
    places: Places, endpoint: str, reading: Reading, hops: Collection[Hop] = frozenset(Hop)
) -> Verification:
    """Look at the named hops behind what `endpoint` serves, each byte read once per hop.

    Raises:
        NameRefused: `endpoint` is no name of an endpoint.
        LedgerUnreachable: the ledger cannot be asked; there is nothing to hold anything against.
    """
    checked_name("endpoint", endpoint)
    deployed = live_deployment(places.ledger, endpoint)
    for look in range(_LOOKS):
        if deployed is None:
            return _nothing_deployed(endpoint, reading)
        expected = expected_behind(places.ledger, deployed)
        results = hop_results(places, expected, reading, hops)
        if joint_verdict(results) is Verdict.AGREE or look == _LOOKS - 1:
            break
        try:
            with places.ledger.lock(f"endpoint/{endpoint}", _SECOND_LOOK_S):
                latest = live_deployment(places.ledger, endpoint)
                if latest is not None and latest.seq == deployed.seq:
                    results = _quick_ones_again(places, expected, results)
                    break
        except LockTimeout:
            break
        deployed = latest
    return Verification(
        endpoint=endpoint,
        model=expected.model,
        version=expected.version,
        tree_digest=expected.tree_digest,
        checkpoint=expected.checkpoint,
        verified_at=timestamp(reading.now()),
        verdict=joint_verdict(results),
        hops=tuple(results),
    )


def _nothing_deployed(endpoint: str, reading: Reading) -> Verification:
    reason = f"the ledger has no deployment of endpoint {endpoint}: there is nothing to verify"
    return Verification(
        endpoint=endpoint,
        model=None,
        version=None,
        tree_digest=None,
        checkpoint=None,
        verified_at=timestamp(reading.now()),
        verdict=Verdict.CANNOT_TELL,
        hops=(),
        unknown=reason,
    )


def hop_results(
    places: Places, expected: Expected, reading: Reading, hops: Collection[Hop]
) -> list[HopResult]:
    """Look at the named hops once, in the order in which the bytes went."""
    marker = named_by_marker(expected)
    stored = named_by_store(places.store, expected)
    fetched = places.provider.named_by_fetched(expected)
    manifest = _trusted(marker, stored, fetched)
    results = []
    for hop in Hop:
        if hop not in hops:
            continue
        match hop:
            case Hop.CHECKPOINT:
                result = verify_checkpoint(marker, manifest, reading)
            case Hop.COPY:
                result = verify_copy(stored, manifest, places.store, expected.prefix or "", reading)
            case Hop.VERSION:
                result = verify_version(places.mlflow, expected)
            case Hop.FETCHED:
                if fetched is None:
                    continue
                result = verify_fetched(fetched, manifest, reading)
            case Hop.SERVER:
                result = places.provider.verify_server(expected)
        results.append(result)
    return results


def _trusted(*found: Named | None) -> Manifest | None:
    """Return a manifest that has the recorded digest, from whichever place has one."""
    return next((named.manifest for named in found if named and named.manifest is not None), None)


def _quick_ones_again(
    places: Places, expected: Expected, results: list[HopResult]
) -> list[HopResult]:
    """Ask registry and server once more, now that no deployment is under way."""
    again = hop_results(
        places,
        expected,
        Reading(),
        [result.hop for result in results if result.hop in _QUICK],
    )
    latest = {result.hop: result for result in again}
    return [latest.get(result.hop, result) for result in results]
