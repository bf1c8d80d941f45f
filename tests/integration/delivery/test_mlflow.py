"""The connection to a real MLflow server: what it makes once, what it finds, how it fails."""

import secrets
from dataclasses import replace

import pytest

from resources.mlflow import Mlflow, MlflowNotFound, MlflowRefused, MlflowUnavailable


@pytest.fixture
def model():
    return f"test-{secrets.token_hex(4)}"


def test_a_registered_model_is_made_once(mlflow, model):
    assert mlflow.ensure_registered_model(model, tags={"ai-how.model": model})
    assert not mlflow.ensure_registered_model(model)
    assert mlflow.ping() == 1


def test_a_version_is_found_by_the_tag_it_was_created_with(mlflow, model):
    mlflow.ensure_registered_model(model)
    made = mlflow.create_version(model, "s3://models/a/", tags={"ai-how.tree-digest": "a" * 64})
    mlflow.create_version(model, "s3://models/b/", tags={"ai-how.tree-digest": "b" * 64})
    assert mlflow.find_versions(model, "ai-how.tree-digest", "a" * 64) == [made]
    assert (made.version, made.source, made.status) == ("1", "s3://models/a/", "READY")
    assert mlflow.find_versions(model, "ai-how.tree-digest", "c" * 64) == []
    assert [version.version for version in mlflow.versions(model)] == ["1", "2"]
    assert mlflow.get_version(model, "1") == made


def test_an_alias_means_the_version_it_was_set_to_last(mlflow, model):
    mlflow.ensure_registered_model(model)
    for source in ("s3://models/a/", "s3://models/b/"):
        mlflow.create_version(model, source)
    assert mlflow.alias(model, "live-digits") is None
    mlflow.set_alias(model, "live-digits", "1")
    mlflow.set_alias(model, "live-digits", "2")
    mlflow.set_alias(model, "live-digits", "2")
    found = mlflow.alias(model, "live-digits")
    assert found is not None
    assert found.version == "2"


def test_an_experiment_is_made_once(mlflow, model):
    assert mlflow.ensure_experiment(model) == mlflow.ensure_experiment(model)


def test_what_is_not_there_is_told(mlflow, model):
    with pytest.raises(MlflowNotFound):
        mlflow.get_run("0" * 32)
    mlflow.ensure_registered_model(model)
    with pytest.raises(MlflowNotFound):
        mlflow.get_version(model, "7")


def test_a_wrong_login_is_refused_and_never_shown(mlflow, tmp_path):
    login = tmp_path / "login.ini"
    login.write_text(
        "[mlflow]\nmlflow_tracking_username = nobody\nmlflow_tracking_password = planted-secret\n"
    )
    with pytest.raises(MlflowRefused) as refused:
        replace(mlflow, credentials_file=login).ping()
    assert "planted-secret" not in str(refused.value)


def test_a_missing_login_names_its_file(mlflow, tmp_path):
    absent = Mlflow(mlflow.url, tmp_path / "absent.ini")
    with pytest.raises(MlflowRefused, match=r"absent\.ini: expected \[mlflow\]"):
        absent.ping()


def test_a_server_that_is_down_says_so(mlflow):
    down = replace(mlflow, url="http://127.0.0.1:9")
    with pytest.raises(MlflowUnavailable, match="is MLflow running"):
        down.ping()
