"""Versions in a real MLflow: one per model and content, and none that contradicts its tags."""

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from platform_assets.lineage import ids
from platform_assets.models.published_copy import record_arrival
from platform_assets.models.registered_version import (
    Arrival,
    NotPublished,
    VersionContradicts,
    deliver_version,
    ensure_version,
)
from tests.integration.delivery.test_published_copy import unique_checkpoint
from tests.integration.lineage.conftest import (  # noqa: F401 - fixtures
    database,
    ledger,
    ledger_server,
)

DEADLINE_S = 120


@pytest.fixture
def arrival():
    digest = secrets.token_hex(32)
    return Arrival(
        checkpoint="digits.one.0123456789ab",
        model=f"test-{secrets.token_hex(4)}",
        run="one",
        tree_digest=digest,
        format="mlflow",
        marker_sha256="1" * 64,
        sealed_at="2026-11-21T12:00:00.000000Z",
        mlflow_run_id=None,
    )


def source(arrival):
    return f"s3://models/models/{arrival.model}/sha256-{arrival.tree_digest}/"


def test_a_version_carries_its_lineage_from_its_first_moment(mlflow, arrival):
    made = ensure_version(mlflow, arrival, source(arrival), "dagster-run-1")
    assert made.created
    version = mlflow.get_version(arrival.model, made.version)
    assert version.source == source(arrival)
    assert version.tags[ids.TREE_DIGEST] == arrival.tree_digest
    assert version.tags[ids.CHECKPOINT] == arrival.checkpoint
    assert version.tags[ids.DAGSTER_RUN] == "dagster-run-1"
    assert made.url == f"{mlflow.url}/#/models/{arrival.model}/versions/{made.version}"


def test_equal_content_is_one_version_whatever_repeats(mlflow, arrival):
    first = ensure_version(mlflow, arrival, source(arrival), "run-1")
    again = replace(arrival, checkpoint="digits.two.ba9876543210", run="two")
    second = ensure_version(mlflow, again, source(arrival), "run-2")
    assert not second.created
    assert second.version == first.version
    assert second.checkpoint == arrival.checkpoint
    assert len(mlflow.versions(arrival.model)) == 1


def test_other_content_is_another_version(mlflow, arrival):
    other = replace(arrival, tree_digest=secrets.token_hex(32))
    ensure_version(mlflow, arrival, source(arrival), None)
    ensure_version(mlflow, other, source(other), None)
    assert [version.version for version in mlflow.versions(arrival.model)] == ["1", "2"]


def test_a_version_is_linked_to_the_training_run_that_mlflow_knows(mlflow, arrival):
    experiment = mlflow.ensure_experiment("training")
    run_id = mlflow._tracking.create_run(experiment, "trainer", 0, [], "a run").info.run_id
    known = replace(arrival, mlflow_run_id=run_id)
    version = ensure_version(mlflow, known, source(known), None)
    assert version.training_run is not None
    assert mlflow.get_version(known.model, version.version).run_id == run_id


def test_a_training_run_of_another_mlflow_stays_a_tag(mlflow, arrival):
    foreign = replace(arrival, mlflow_run_id="f" * 32)
    version = ensure_version(mlflow, foreign, source(foreign), None)
    assert version.training_run is None
    found = mlflow.get_version(foreign.model, version.version)
    assert (found.run_id, found.tags[ids.TRAINING_RUN]) == (None, "f" * 32)


def test_a_version_that_contradicts_its_digest_is_refused(mlflow, arrival):
    mlflow.ensure_registered_model(arrival.model)
    mlflow.create_version(
        arrival.model, "s3://elsewhere/models/", tags={ids.TREE_DIGEST: arrival.tree_digest}
    )
    with pytest.raises(VersionContradicts, match=r"source: expected 's3://models/.*elsewhere"):
        ensure_version(mlflow, arrival, source(arrival), None)
    assert len(mlflow.versions(arrival.model)) == 1


def test_what_was_never_copied_is_not_registered(object_store, mlflow, ledger, tmp_path):  # noqa: F811
    with pytest.raises(NotPublished, match="expected a fact checkpoint/1 in the ledger"):
        deliver_version("digits.one.0123456789ab", object_store, mlflow, ledger, None)
    checkpoint = unique_checkpoint(tmp_path)
    record_arrival(checkpoint, ledger)
    with pytest.raises(NotPublished, match="expected the manifest of a committed copy"):
        deliver_version(checkpoint.key, object_store, mlflow, ledger, None)


def test_two_registrations_at_once_make_one_version_and_one_fact(
    object_store,
    mlflow,
    ledger,  # noqa: F811
    tmp_path,
):
    from platform_assets.models.published_copy import deliver_copy

    checkpoint = unique_checkpoint(tmp_path, model=f"test-{secrets.token_hex(4)}")
    deliver_copy(checkpoint, object_store, ledger, None, print)
    start = threading.Barrier(2)

    def register(run):
        start.wait(DEADLINE_S)
        return deliver_version(checkpoint.key, object_store, mlflow, ledger, run)

    with ThreadPoolExecutor(2) as pool:
        versions = list(pool.map(register, ["run-a", "run-b"]))
    assert sorted(version.created for version in versions) == [False, True]
    assert len(mlflow.versions(checkpoint.model)) == 1
    assert len(ledger.facts(kind="version/1", subject=f"{checkpoint.model}/1")) == 1
