"""The MLflow model version of a published copy: one per model and tree digest, whatever repeats.

The version is found again by its tag, never by its number or time. Tags are given at creation (set
later they are slow, and a kill in between would leave a version without them). Aliases are moved by
people and by `platform_assets/serving`, never here.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from platform_assets import keys
from platform_assets.lineage import facts, ids
from platform_assets.lineage.ledger import Ledger
from platform_assets.lineage.manifest import (
    MANIFEST_NAME,
    Manifest,
    ManifestRefused,
    copy_prefix,
)
from platform_assets.models.partition import LOCK_TIMEOUT_S, RETRY, only_transient_errors_retry
from platform_assets.models.published_copy import MAX_MANIFEST_BYTES
from platform_assets.partitions import CHECKPOINTS
from platform_assets.spec.applied import AppliedEstate
from platform_assets.spec.errors import AiHowError
from platform_assets.spec.serving import read_serving
from resources.mlflow import Mlflow, MlflowNotFound, ModelVersion, TrackedRun
from resources.object_store import ObjectNotFound, ObjectStore


class VersionContradicts(AiHowError):
    """The registry has a version with our tree digest that says something else of it."""


class NotPublished(AiHowError):
    """There is no committed copy to register."""


@dataclass(frozen=True)
class RegisteredVersion:
    """A version of the registry whose bytes are those of `tree_digest`."""

    model: str
    version: str
    tree_digest: str
    source: str
    checkpoint: str  # the one it was created for; later equal ones share it
    training_run: TrackedRun | None
    created: bool
    url: str


@dataclass(frozen=True)
class Arrival:
    """What the ledger knows of a checkpoint whose copy is to be registered."""

    checkpoint: str
    model: str
    run: str
    tree_digest: str
    format: str
    marker_sha256: str
    sealed_at: str
    mlflow_run_id: str | None


def recorded_arrival(ledger: Ledger, key: str) -> Arrival:
    """Return what was recorded of checkpoint `key` when it was copied.

    Raises:
        NotPublished: nothing was.
    """
    fact = ledger.latest(facts.CHECKPOINT, key)
    if fact is None:
        message = (
            f"checkpoint {key}: expected a fact {facts.CHECKPOINT} in the ledger, found none; "
            f"materialize {keys.PUBLISHED_COPY.to_user_string()} for it first"
        )
        raise NotPublished(message)
    body = fact.body
    return Arrival(
        checkpoint=key,
        model=body["model"],
        run=body["run"],
        tree_digest=body["tree_digest"],
        format=body["format"],
        marker_sha256=body["marker_sha256"],
        sealed_at=body["sealed_at"],
        mlflow_run_id=body.get("training", {}).get("mlflow_run_id"),
    )


def committed_manifest(store: ObjectStore, model: str, tree_digest: str) -> Manifest:
    """Return the manifest of a committed copy.

    Raises:
        NotPublished: there is none, or it is not the one with this digest.
    """
    key = copy_prefix(model, tree_digest) + MANIFEST_NAME
    try:
        data = store.get(key, MAX_MANIFEST_BYTES)
        if hashlib.sha256(data).hexdigest() != tree_digest:
            # It may have changed on the way: what the store holds, a second read tells.
            data = store.get(key, MAX_MANIFEST_BYTES)
        manifest = Manifest.from_bytes(data)
    except ManifestRefused as refusal:
        message = (
            f"s3://{store.bucket}/{key}: {refusal}; someone changed the object store: find out who"
        )
        raise NotPublished(message) from refusal
    except ObjectNotFound as error:
        message = (
            f"s3://{store.bucket}/{key}: expected the manifest of a committed copy, found nothing; "
            f"materialize {keys.PUBLISHED_COPY.to_user_string()} again"
        )
        raise NotPublished(message) from error
    if manifest.tree_digest != tree_digest:
        message = (
            f"s3://{store.bucket}/{key}: expected digest {tree_digest}, found "
            f"{manifest.tree_digest}; someone changed the object store: find out who"
        )
        raise NotPublished(message)
    return manifest


def ensure_version(
    mlflow: Mlflow, arrival: Arrival, source: str, dagster_run: str | None
) -> RegisteredVersion:
    """Return the one version of these bytes, creating it where there is none.

    Idempotent. The caller holds the lock on model and tree digest.

    Raises:
        VersionContradicts: a version with this tree digest has another source or model.
        MlflowError: the registry refused or failed.
    """
    run = _training_run(mlflow, arrival.mlflow_run_id)
    found = mlflow.find_versions(arrival.model, ids.TREE_DIGEST, arrival.tree_digest)
    for version in found:
        _check_agrees(version, arrival, source)
    version = found[0] if found else _create(mlflow, arrival, source, run, dagster_run)
    return RegisteredVersion(
        model=arrival.model,
        version=version.version,
        tree_digest=arrival.tree_digest,
        source=source,
        checkpoint=version.tags[ids.CHECKPOINT],
        training_run=run,
        created=not found,
        url=mlflow.version_url(arrival.model, version.version),
    )


def _create(
    mlflow: Mlflow,
    arrival: Arrival,
    source: str,
    run: TrackedRun | None,
    dagster_run: str | None,
) -> ModelVersion:
    """Create the version; only the first of a model finds no registered model to be put under."""

    def create() -> ModelVersion:
        return mlflow.create_version(
            arrival.model,
            source,
            run_id=run.run_id if run else None,
            tags=_tags(arrival, source, dagster_run),
            description=f"Checkpoint {arrival.checkpoint}, tree sha256:{arrival.tree_digest}",
        )

    try:
        return create()
    except MlflowNotFound:
        mlflow.ensure_registered_model(arrival.model, tags={ids.MODEL: arrival.model})
        return create()


def _tags(arrival: Arrival, source: str, dagster_run: str | None) -> dict[str, str]:
    tags = {
        ids.TREE_DIGEST: arrival.tree_digest,
        ids.MODEL: arrival.model,
        ids.CHECKPOINT: arrival.checkpoint,
        ids.RUN: arrival.run,
        ids.FORMAT: arrival.format,
        ids.MARKER_SHA256: arrival.marker_sha256,
        ids.SEALED_AT: arrival.sealed_at,
        ids.SOURCE: source,
        ids.TRAINING_RUN: arrival.mlflow_run_id,
        ids.DAGSTER_RUN: dagster_run,
    }
    return {name: value for name, value in tags.items() if value is not None}


def _check_agrees(version: ModelVersion, arrival: Arrival, source: str) -> None:
    expected: Mapping[str, str] = {
        ids.MODEL: arrival.model,
        ids.FORMAT: arrival.format,
        ids.SOURCE: source,
    }
    wrong = {
        name: (value, version.tags.get(name))
        for name, value in expected.items()
        if version.tags.get(name) != value
    }
    if ids.CHECKPOINT not in version.tags:
        wrong[ids.CHECKPOINT] = ("a checkpoint's key", None)
    if version.source != source:
        wrong["source"] = (source, version.source)
    if wrong:
        told = ", ".join(
            f"{name}: expected {want!r}, found {found!r}" for name, (want, found) in wrong.items()
        )
        message = (
            f"MLflow version {version.model}/{version.version} carries tree digest "
            f"{arrival.tree_digest} but contradicts it: {told}; someone changed the registry: mend "
            "its tags, or delete the version to have it registered anew"
        )
        raise VersionContradicts(message)


def _training_run(mlflow: Mlflow, run_id: str | None) -> TrackedRun | None:
    """Return the run that the marker names, if this MLflow knows it."""
    if run_id is None:
        return None
    try:
        return mlflow.get_run(run_id)
    except MlflowNotFound:
        return None


def deliver_version(
    key: str, store: ObjectStore, mlflow: Mlflow, ledger: Ledger, dagster_run: str | None
) -> RegisteredVersion:
    """Register the copy of checkpoint `key` under the lock on its identity; record the version."""
    arrival = recorded_arrival(ledger, key)
    committed_manifest(store, arrival.model, arrival.tree_digest)
    source = f"s3://{store.bucket}/{copy_prefix(arrival.model, arrival.tree_digest)}"
    with ledger.lock(f"version/{arrival.model}/{arrival.tree_digest}", LOCK_TIMEOUT_S):
        version = ensure_version(mlflow, arrival, source, dagster_run)
        facts.record_version(
            ledger,
            model=version.model,
            version=version.version,
            tree_digest=version.tree_digest,
            source=version.source,
            checkpoint=version.checkpoint,
            training_run=version.training_run.run_id if version.training_run else None,
            dagster_run=dagster_run,
        )
    return version


@dg.asset(
    key=keys.REGISTERED_VERSION,
    deps=[keys.PUBLISHED_COPY],
    partitions_def=CHECKPOINTS,
    group_name="models",
    kinds={"mlflow"},
    owners=[keys.OWNER],
    retry_policy=RETRY,
    code_version="1",
)
def registered_version(
    context: dg.AssetExecutionContext,
    estate: dg.ResourceParam[AppliedEstate],
    object_store: dg.ResourceParam[ObjectStore],
    mlflow: dg.ResourceParam[Mlflow],
    ledger: dg.ResourceParam[Ledger],
) -> dg.MaterializeResult[None]:
    """A version of the model in MLflow's registry, whose source is the published copy.

    There is one version per model and content: a second checkpoint with equal bytes finds the
    version of the first. Its tags name tree digest, checkpoint, marker and runs, and it is linked
    to the training run where MLflow knows that run.
    """
    with only_transient_errors_retry():
        version = deliver_version(
            context.partition_key, object_store, mlflow, ledger, context.run_id
        )
        served = read_serving(estate.serving_file).for_model(version.model)
    metadata: dict[str, dg.MetadataValue | str | bool] = {
        "dagster/uri": version.source,
        ids.TREE_DIGEST: version.tree_digest,
        ids.MODEL: version.model,
        ids.VERSION: version.version,
        ids.CHECKPOINT: version.checkpoint,
        "mlflow_version": dg.MetadataValue.url(version.url),
        "created": version.created,
        "endpoint": served.endpoint
        if served
        else "none: the model has no entry in the serving file",
    }
    if version.training_run:
        metadata["mlflow_run"] = dg.MetadataValue.url(mlflow.run_url(version.training_run))
        metadata[ids.TRAINING_RUN] = version.training_run.run_id
    return dg.MaterializeResult(data_version=dg.DataVersion(version.tree_digest), metadata=metadata)
