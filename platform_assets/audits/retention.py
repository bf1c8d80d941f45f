"""Old versions and their copies: what there is, what the rules say of it, and its removal.

The decision is `platform_assets/serving/retention.py`. Removing goes from the outside in: first the
registry's version, then the copy's manifest, so that nothing half removed looks registered or
committed, then the objects, then the facts. Killed anywhere, the next run finds the version still
in the ledger and goes on. Checkpoints at the source, and facts, are never touched.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import dagster as dg

from platform_assets.audits.live_versions import live_content, live_deployments
from platform_assets.keys import CHECKPOINT_TAG
from platform_assets.lineage import facts
from platform_assets.lineage.ledger import Fact, Ledger, LedgerReader, LockTimeout
from platform_assets.lineage.manifest import MANIFEST_NAME, copy_prefix
from platform_assets.lineage.retention import record_copy_removed, record_version_removed
from platform_assets.serving.delivery_job import JOB_NAME as DELIVERY_JOB
from platform_assets.serving.provider import Provider
from platform_assets.serving.retention import (
    Plan,
    Removal,
    StoredVersion,
    Use,
    retention_plan,
)
from platform_assets.spec.serving import read_serving
from resources.mlflow import Mlflow
from resources.object_store import ObjectStore

LOCK_S = 30.0
Busy = Callable[[str, str], str | None]
_NOT_OVER = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True)
class Stock:
    """Where versions and copies are, and who knows which of them are live."""

    store: ObjectStore
    mlflow: Mlflow
    provider: Provider
    ledger: Ledger
    serving_file: Path


@dataclass(frozen=True)
class Applied:
    """What was removed, and what was left for now, with the reason."""

    removed: tuple[Removal, ...]
    left: tuple[tuple[Removal, str], ...]
    objects: int


def stored_versions(ledger: Ledger, mlflow: Mlflow, bucket: str) -> list[StoredVersion]:
    """Return every version that the ledger knows and retention has not ended.

    Also those that somebody else registered with one of our copies as source.
    """
    with ledger.reader() as reader:
        recorded = _held_versions(reader)
        arrived = _arrivals(reader)
    known = {(fact.body["model"], str(fact.body["version"])) for fact in recorded}
    found: list[StoredVersion] = []
    for model in sorted({fact.body["model"] for fact in recorded}):
        registered = {version.version: version for version in mlflow.versions(model)}
        for fact in recorded:
            if fact.body["model"] != model:
                continue
            digest = str(fact.body["tree_digest"])
            since = max(fact.recorded_at, arrived.get((model, digest), ""))
            found.append(
                StoredVersion(
                    model,
                    str(fact.body["version"]),
                    digest,
                    datetime.fromisoformat(since),
                    registered=str(fact.body["version"]) in registered,
                )
            )
        sources = {
            f"s3://{bucket}/{copy_prefix(model, one.tree_digest)}": one.tree_digest
            for one in found
            if one.model == model
        }
        for version in registered.values():
            digest = sources.get(version.source.rstrip("/") + "/", "")
            if digest and (model, version.version) not in known:
                since_any = next(one.since for one in found if one.tree_digest == digest)
                found.append(StoredVersion(model, version.version, digest, since_any, ours=False))
    return found


def _held_versions(reader: LedgerReader) -> list[Fact]:
    latest = {fact.subject: fact for fact in reader.facts(facts.VERSION)}
    ended = {fact.subject: fact.seq for fact in reader.facts(facts.RETENTION)}
    return [fact for fact in latest.values() if fact.seq > ended.get(fact.subject, -1)]


def _arrivals(reader: LedgerReader) -> dict[tuple[str, str], str]:
    """Return when each content of a model last arrived: its latest checkpoint or copy."""
    arrived: dict[tuple[str, str], str] = {}
    for kind in (facts.CHECKPOINT, facts.COPY):
        for fact in reader.facts(kind):
            content = str(fact.body["model"]), str(fact.body["tree_digest"])
            arrived[content] = max(arrived.get(content, ""), fact.recorded_at)
    return arrived


def current_plan(stock: Stock, now: datetime) -> Plan:
    """Return what would go and what stays, as things are now.

    Raises:
        ResourceError, MlflowError, LedgerUnreachable: what is in use cannot be told.
    """
    serving = read_serving(stock.serving_file)
    versions = stored_versions(stock.ledger, stock.mlflow, stock.store.bucket)
    content = live_content(stock.ledger, stock.provider)
    uses = [Use(one.tree_digest, one.model, one.why) for one in content]
    aliases = {model: stock.mlflow.aliases(model) for model in {v.model for v in versions}}
    return retention_plan(versions, serving.kept_of, uses, aliases, now)


def apply_retention(
    stock: Stock,
    busy: Busy,
    dagster_run: str | None,
    now: Callable[[], datetime],
    progress: Callable[[str], None],
) -> Applied:
    """Remove what the rules let go. Idempotent, and safe to kill anywhere.

    `busy` names whatever is just delivering a content of a model. Each removal is decided once more
    under the locks of everything that could want it.
    """
    removed: list[Removal] = []
    left: list[tuple[Removal, str]] = []
    objects = 0
    for removal in current_plan(stock, now()).removals:
        name = f"{removal.model} {', '.join(removal.versions)} ({removal.tree_digest[:12]})"
        try:
            with _undisturbed(stock, removal):
                still = next((r for r in current_plan(stock, now()).removals if r == removal), None)
                reason = "it is in use meanwhile" if still is None else None
                reason = reason or busy(removal.model, removal.tree_digest)
                if reason is None:
                    objects += _remove(stock, removal, dagster_run)
        except LockTimeout as error:
            reason = str(error)
        if reason is None:
            removed.append(removal)
            progress(f"removed {name}: {removal.reason}")
        else:
            left.append((removal, reason))
            progress(f"left {name}: {reason}")
    return Applied(tuple(removed), tuple(left), objects)


@contextmanager
def _undisturbed(stock: Stock, removal: Removal) -> Iterator[None]:
    """Hold the locks of whoever publishes, registers or deploys this content."""
    entry = read_serving(stock.serving_file).for_model(removal.model)
    endpoints = {entry.endpoint} if entry is not None else set()
    endpoints |= {
        endpoint
        for endpoint, fact in live_deployments(stock.ledger).items()
        if fact.body["model"] == removal.model
    }
    names = [f"endpoint/{endpoint}" for endpoint in sorted(endpoints)]
    names.append(f"copy/{removal.tree_digest}")
    names.append(f"version/{removal.model}/{removal.tree_digest}")
    with ExitStack() as locks:
        for name in names:
            locks.enter_context(stock.ledger.lock(name, LOCK_S))
        yield


def _remove(stock: Stock, removal: Removal, dagster_run: str | None) -> int:
    """Remove versions, then the copy if no other version needs it; return how many objects."""
    for version in removal.versions:
        stock.mlflow.delete_version(removal.model, version)
    objects = 0
    if removal.copy:
        prefix = copy_prefix(removal.model, removal.tree_digest)
        objects = remove_copy(stock.store, prefix)
        record_copy_removed(
            stock.ledger,
            model=removal.model,
            tree_digest=removal.tree_digest,
            bucket=stock.store.bucket,
            prefix=prefix,
            objects=objects,
            dagster_run=dagster_run,
        )
    for version in removal.versions:
        record_version_removed(
            stock.ledger,
            model=removal.model,
            version=version,
            tree_digest=removal.tree_digest,
            reason=removal.reason,
            dagster_run=dagster_run,
        )
    return objects


def remove_copy(store: ObjectStore, prefix: str) -> int:
    """Remove a copy, its manifest first; return how many objects there were."""
    keys = [found.key for found in store.list(prefix)]
    manifest = prefix + MANIFEST_NAME
    for key in sorted(keys, key=lambda key: (key != manifest, key)):
        store.delete(key)
    for upload in list(store.open_uploads(prefix)):
        store.abort_multipart(upload.key, upload.upload_id)
    return len(keys)


def deliveries_under_way(instance: dg.DagsterInstance, ledger: Ledger) -> Busy:
    """Return the question whether a run delivers a content of a model just now."""

    def busy(model: str, tree_digest: str) -> str | None:
        filters = dg.RunsFilter(job_name=DELIVERY_JOB, statuses=_NOT_OVER)
        for run in instance.get_runs(filters):
            key = run.tags.get(CHECKPOINT_TAG) or run.tags.get("dagster/partition", "")
            if key.partition(".")[0] != model:
                continue
            arrival = ledger.latest(facts.CHECKPOINT, key)
            if arrival is None or arrival.body["tree_digest"] == tree_digest:
                return f"run {run.run_id} is delivering checkpoint {key}"
        return None

    return busy
