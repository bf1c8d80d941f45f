"""The assets from checkpoint to version, materialized by Dagster over real systems."""

import secrets

import dagster as dg
import pytest

from platform_assets import keys
from platform_assets.lineage import ids
from platform_assets.models.published_copy import published_copy
from platform_assets.models.registered_version import registered_version
from platform_assets.models.trained_checkpoint import trained_checkpoint
from platform_assets.services.mlflow import mlflow_service, mlflow_works
from platform_assets.services.model_server import model_server_service, model_server_works
from platform_assets.services.object_store import object_store_service, object_store_works
from resources.mlflow import Mlflow
from resources.model_server import ModelServer
from resources.object_store import ObjectStore
from tests.applied_estates import applied_estate
from tests.integration.delivery.test_published_copy import flip, unique_checkpoint
from tests.integration.lineage.conftest import (  # noqa: F401 - fixtures
    database,
    ledger,
    ledger_server,
)

MODEL_ASSETS = [trained_checkpoint, published_copy, registered_version]


@pytest.fixture
def resources(tmp_path, object_store, mlflow, ledger):  # noqa: F811
    serving = tmp_path / "serving.yaml"
    serving.write_text("models: {}\n")
    estate = applied_estate(tmp_path, s3_url=object_store.endpoint_url, mlflow_url=mlflow.url)
    return {"estate": estate, "object_store": object_store, "mlflow": mlflow, "ledger": ledger}


@pytest.fixture
def instance():
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture
def checkpoint(resources, instance):
    judged = unique_checkpoint(
        resources["estate"].checkpoint_root, model=f"test-{secrets.token_hex(4)}"
    )
    instance.add_dynamic_partitions("checkpoints", [judged.key])
    return judged


def materialize(instance, resources, checkpoint):
    return dg.materialize(
        MODEL_ASSETS,
        instance=instance,
        resources=resources,
        partition_key=checkpoint.key,
        selection=[keys.PUBLISHED_COPY, keys.REGISTERED_VERSION],
        raise_on_error=False,
    )


def test_a_checkpoint_becomes_a_registered_version(instance, resources, checkpoint):
    result = materialize(instance, resources, checkpoint)
    assert result.success
    digest = checkpoint.manifest.tree_digest
    for key in (keys.PUBLISHED_COPY, keys.REGISTERED_VERSION):
        event = instance.get_latest_materialization_event(key)
        materialization = event.asset_materialization
        assert materialization.metadata[ids.TREE_DIGEST].value == digest
        assert materialization.tags["dagster/data_version"] == digest
    assert "no entry in the serving file" in materialization.metadata["endpoint"].value
    assert materialization.metadata["mlflow_version"].value.endswith("/versions/1")
    kinds = [fact.kind for fact in resources["ledger"].facts()]
    assert [kind for kind in kinds if kind != "ledger/1"] == [
        "checkpoint/1",
        "copy/1",
        "version/1",
    ]


def test_a_repeated_run_changes_nothing(instance, resources, checkpoint):
    assert materialize(instance, resources, checkpoint).success
    before = resources["ledger"].facts()
    assert materialize(instance, resources, checkpoint).success
    event = instance.get_latest_materialization_event(keys.PUBLISHED_COPY)
    assert event.asset_materialization.metadata["already_there"].value is True
    assert resources["ledger"].facts() == before
    assert len(resources["mlflow"].versions(checkpoint.model)) == 1


def test_wrong_bytes_fail_the_run_once_and_for_good(instance, resources, checkpoint):
    flip(checkpoint.directory / "model.safetensors")
    result = materialize(instance, resources, checkpoint)
    assert not result.success
    [failure] = result.get_step_failure_events()
    told = failure.step_failure_data.user_failure_data
    assert "model.safetensors: expected SHA-256" in told.description
    assert told.metadata["transient"].value is False
    assert result.filter_events(lambda event: event.is_step_up_for_retry) == []
    assert resources["ledger"].facts(kind="copy/1") == []


def test_observing_a_checkpoint_judges_it_again(instance, resources, checkpoint):
    definitions = dg.Definitions(assets=MODEL_ASSETS, resources=resources)
    job = definitions.resolve_implicit_global_asset_job_def()

    def observe():
        return job.execute_in_process(
            instance=instance,
            partition_key=checkpoint.key,
            asset_selection=[keys.TRAINED_CHECKPOINT],
            raise_on_error=False,
        ).success

    assert observe()
    [record] = instance.fetch_observations(keys.TRAINED_CHECKPOINT, limit=10).records
    assert record.asset_observation.partition == checkpoint.key
    assert record.asset_observation.tags["dagster/data_version"] == checkpoint.marker_sha256
    (checkpoint.directory / "extra.bin").write_bytes(b"not listed")
    assert not observe()
    assert len(instance.fetch_observations(keys.TRAINED_CHECKPOINT, limit=10).records) == 1


def test_the_services_are_ensured_and_their_checks_pass(instance, resources, model_server):
    services = [object_store_service, mlflow_service, model_server_service]
    checks = [object_store_works, mlflow_works, model_server_works]
    result = dg.materialize(
        [*services, *checks],
        instance=instance,
        resources=resources | {"model_server": model_server},
    )
    assert result.success
    evaluations = result.get_asset_check_evaluations()
    assert len(evaluations) == len(checks)
    assert all(check.passed for check in evaluations)


def test_a_service_that_is_down_fails_its_check_with_the_reason(instance, resources):
    store: ObjectStore = resources["object_store"]
    mlflow: Mlflow = resources["mlflow"]
    down = {
        "object_store": ObjectStore("http://127.0.0.1:9", store.bucket, store.credentials_file),
        "mlflow": Mlflow("http://127.0.0.1:9", mlflow.credentials_file),
        "model_server": ModelServer("http://127.0.0.1:9"),
    }
    for check, words in [
        (object_store_works, "is the object store running"),
        (mlflow_works, "is MLflow running"),
        (model_server_works, "expected it to be ready"),
    ]:
        result = dg.materialize(
            [check],
            instance=instance,
            resources=down,
            selection=dg.AssetSelection.checks(check),
        )
        [evaluation] = result.get_asset_check_evaluations()
        assert not evaluation.passed
        assert words in (evaluation.description or "")
