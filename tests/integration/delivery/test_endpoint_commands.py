"""People's commands to an endpoint, and an alias that a person moves, on the running platform."""

import json
import time

import pytest

from ai_how.build import connections
from platform_assets.lineage.deployments import deployed
from tests.integration.conftest import SERVING
from tests.sample_checkpoints import mlflow_checkpoint

DEADLINE_S = 240
BY_ALIAS = "  letters:\n    endpoint: letters\n    promotion: {alias: champion}\n"


def wait_for(what, question):
    end = time.monotonic() + DEADLINE_S
    while not (answer := question()):
        assert time.monotonic() < end, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.5)
    return answer


@pytest.fixture(scope="module")
def by_alias(platform):
    """The platform with a model that its alias promotes, two versions of it waiting for that."""
    platform.serving_file.write_text(SERVING + BY_ALIAS)
    ledger = connections(platform.applied).ledger
    for number in (1, 2):
        mlflow_checkpoint(platform.checkpoint_root, "letters", f"run-{number}", seed=90 + number)
        wait_for(
            f"{number} versions wait",
            lambda number=number: len(ledger.facts("waiting/1", "letters")) == number,
        )
    yield platform
    platform.serving_file.write_text(SERVING)


def live_version(platform):
    live = deployed(connections(platform.applied).ledger, "letters")
    return live and live.version


def listed(platform):
    answer = platform.run("endpoint", "list", "--json")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    (found,) = [one for one in json.loads(answer.stdout) if one["endpoint"] == "letters"]
    return found


@pytest.mark.slow
def test_a_person_moves_the_alias_rolls_back_pauses_and_deletes(by_alias):
    mlflow = connections(by_alias.applied).mlflow
    assert live_version(by_alias) is None
    for version in ("1", "2"):
        mlflow.set_alias("letters", "champion", version)
        wait_for(
            f"version {version} serves", lambda version=version: live_version(by_alias) == version
        )
    refused = by_alias.run("endpoint", "rollback", "letters", "--to", "7", "--reason", "slow")
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert "version 7 of model letters: expected a version in MLflow, found none" in refused.stdout

    back = by_alias.run("endpoint", "rollback", "letters", "--reason", "slow", "--by", "ada")
    assert back.returncode == 0, back.stdout + back.stderr
    assert "endpoint letters serves version 1, instead of version 2: slow" in back.stdout
    paused = by_alias.run("endpoint", "pause", "letters", "--reason", "audit", "--by", "ada")
    assert paused.returncode == 0, paused.stdout + paused.stderr
    found = listed(by_alias)
    assert found["version"] == "1"
    assert any("rolled back from version 2" in note for note in found["notes"])
    assert any(note.startswith("paused since") and "audit" in note for note in found["notes"])

    deleted = by_alias.run("endpoint", "delete", "letters", "--confirm", "letters")
    assert deleted.returncode == 0, deleted.stdout + deleted.stderr
    assert live_version(by_alias) is None
    assert listed(by_alias)["served_digest"] is None
