"""What is live: asked of the model server itself and compared with the ledger's last deployment.

A file that was written beside the server is no observation. A server that cannot be asked is
"cannot tell", never "nothing is served". Nothing is changed here.
"""

import hashlib
import json
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import dagster as dg

from platform_assets import keys
from platform_assets.lineage.deployments import (
    Asked,
    AskedOnce,
    Deployment,
    deployed,
    open_deployments,
    withdrawn,
)
from platform_assets.lineage.ledger import Ledger, LockTimeout
from platform_assets.serving.provider import CANDIDATE, Provider, Told
from platform_assets.serving.standing import notes
from resources.kubernetes_errors import KubernetesUnavailable
from resources.model_server import ModelServerUnavailable

UNAVAILABLE = (ModelServerUnavailable, KubernetesUnavailable)
_SECOND_LOOK_S = 30.0


@dataclass(frozen=True)
class LiveEndpoint:
    """One endpoint: what the server tells, what the ledger expects, and whether they agree.

    Digests are 64 hex digits. `served_digest` is None where the server has no such model, and ""
    where it serves one that tells no digest. `notes` tell what people decided about the endpoint
    and what waits for them.
    """

    endpoint: str
    url: str
    served_digest: str | None
    expected_digest: str | None
    agrees: bool
    model: str | None
    version: str | None
    checkpoint: str | None
    since: str | None
    reason: str
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it in JSON's types."""
        return asdict(self)


def observe_live(
    provider: Provider, ledger: Ledger, configured: Iterable[str] = ()
) -> list[LiveEndpoint]:
    """Ask the provider for every endpoint of the ledger, of its own and of `configured`.

    A deployment that is under way is waited for, so that its swap is not taken for a difference.

    Raises:
        ModelServerUnavailable, KubernetesUnavailable: nothing can be asked, nothing is known.
        LedgerUnreachable: the ledger cannot be asked.
    """
    expected = open_deployments(ledger)
    told = provider.serving()
    names = {name for name in told if not name.endswith(CANDIDATE)}
    with ledger.reader() as reader:  # few questions for all, for hundreds take seconds
        known = AskedOnce(reader)
        found = [
            _compared(provider, known, name, expected.get(name), told.get(name))
            for name in sorted(names | expected.keys() | set(configured))
        ]
    return [one if one.agrees else _looked_again(provider, ledger, one) for one in found]


def _looked_again(provider: Provider, ledger: Ledger, first: LiveEndpoint) -> LiveEndpoint:
    name = first.endpoint
    try:
        with ledger.lock(f"endpoint/{name}", _SECOND_LOOK_S):
            told = provider.told(name)
            with ledger.reader() as reader:
                return _compared(provider, reader, name, deployed(reader, name), told)
    except LockTimeout:
        return first


def _compared(
    provider: Provider, ledger: Asked, name: str, last: Deployment | None, told: Told | None
) -> LiveEndpoint:
    served = None if told is None else told.tree_digest
    shown = told or Told("")
    expected = None if last is None else last.tree_digest
    ended = withdrawn(ledger, name) if last is None else None
    return LiveEndpoint(
        endpoint=name,
        url=provider.answering(name).client_url,
        served_digest=served,
        expected_digest=expected,
        agrees=served == expected,
        model=last.model if last else shown.model,
        version=last.version if last else shown.version,
        checkpoint=last.checkpoint if last else shown.checkpoint,
        since=None if last is None else last.since,
        reason=_reason(served, expected, None if ended is None else ended.valid_from),
        notes=notes(ledger, name),
    )


def _reason(served: str | None, expected: str | None, deleted_at: str | None) -> str:
    if served == expected:
        nothing = "nothing was deployed yet" if deleted_at is None else "it was deleted"
        return nothing if expected is None else "server and ledger agree"
    if served is None:
        return "the ledger has a deployment, the server has no such model: deploy it again"
    told = "a model that tells no digest" if served == "" else f"digest {served}"
    if expected is None and deleted_at is not None:
        return f"the server serves {told}, the endpoint was deleted: find out who loaded it"
    if expected is None:
        return f"the server serves {told}, the ledger knows no deployment: find out who loaded it"
    return f"the server serves {told}, the ledger has {expected}: find out who changed it"


_COLUMNS = (
    ("endpoint", "string"),
    ("agrees", "bool"),
    ("version", "string"),
    ("served_digest", "string"),
    ("expected_digest", "string"),
    ("since", "string"),
    ("reason", "string"),
    ("notes", "string"),
    ("url", "string"),
)


def endpoint_table(observed: list[LiveEndpoint]) -> dg.TableMetadataValue:
    """Return one row per endpoint; the schema is given, since there may be no row."""
    rows = [one.as_json() | {"notes": "; ".join(one.notes)} for one in observed]
    records = [
        dg.TableRecord({name: "" if row[name] is None else row[name] for name, _ in _COLUMNS})
        for row in rows
    ]
    return dg.MetadataValue.table(
        records, dg.TableSchema([dg.TableColumn(name, kind) for name, kind in _COLUMNS])
    )


def data_version(observed: list[LiveEndpoint]) -> dg.DataVersion:
    """Return the version of what is served: it changes when a served digest does."""
    served = {one.endpoint: one.served_digest for one in observed}
    return dg.DataVersion(hashlib.sha256(json.dumps(served, sort_keys=True).encode()).hexdigest())


DESCRIPTION = (
    "What the model servers serve at this moment, told by themselves: for each endpoint the tree "
    "digest of the bytes that were loaded, beside the digest that the ledger expects. A model "
    "that was swapped behind our back shows here as a difference. A server that is down makes no "
    "observation: nothing is known then."
)


def observation_metadata(observed: list[LiveEndpoint]) -> dict[str, Any]:
    """Return what an observation shows a person."""
    differing = [one.endpoint for one in observed if not one.agrees]
    return {
        "endpoints": endpoint_table(observed),
        "count": dg.MetadataValue.int(len(observed)),
        "agrees": dg.MetadataValue.bool(not differing),
        "differing": dg.MetadataValue.text(", ".join(differing) or "none"),
    }


def _observe(
    provider: dg.ResourceParam[Provider], ledger: dg.ResourceParam[Ledger]
) -> Iterator[dg.ObserveResult]:
    try:
        observed = observe_live(provider, ledger)
        evidence = provider.evidence()
    except UNAVAILABLE as error:
        raise dg.Failure(f"cannot tell what is served: {error}") from error
    yield dg.ObserveResult(
        asset_key=keys.LIVE_ENDPOINTS,
        data_version=data_version(observed),
        metadata=observation_metadata(observed) | evidence,
    )


with warnings.catch_warnings():
    # The plain decorator for one asset knows neither owners nor kinds.
    warnings.simplefilter("ignore", dg.BetaWarning)
    live_endpoints: dg.AssetsDefinition = dg.multi_observable_source_asset(
        name="serving__live_endpoints",
        specs=[
            dg.AssetSpec(
                keys.LIVE_ENDPOINTS,
                group_name="serving",
                kinds={"mlserver", "openinference"},
                owners=[keys.OWNER],
                description=DESCRIPTION,
            )
        ],
    )(_observe)


@dg.asset_check(
    asset=keys.LIVE_ENDPOINTS,
    name="agree_with_ledger",
    description="Every endpoint serves exactly the digest of its last deployment in the ledger.",
)
def agree_with_ledger(
    provider: dg.ResourceParam[Provider], ledger: dg.ResourceParam[Ledger]
) -> dg.AssetCheckResult:
    """Ask server and ledger now, and compare."""
    try:
        observed = observe_live(provider, ledger)
    except UNAVAILABLE as error:
        raise dg.Failure(f"cannot tell what is served: {error}") from error
    differing = [one for one in observed if not one.agrees]
    return dg.AssetCheckResult(
        passed=not differing,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(f"{one.endpoint}: {one.reason}" for one in differing) or None,
        metadata=observation_metadata(observed),
    )
