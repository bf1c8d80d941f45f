import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from platform_assets.lineage.facts import (
    record_checkpoint,
    record_copy,
    record_deployment,
    record_version,
)
from platform_assets.spec.applied import write_applied
from tests.applied_estates import applied_estate

ROOT = Path(__file__).parents[3]
DIGEST = "a" * 64
KEY = "digits.run-1.0123456789ab"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def ai_how(database, tmp_path):
    """The command line, told of the ledger's database and of nothing else that answers."""
    (tmp_path / "secrets").symlink_to(database.secrets)
    write_applied(
        applied_estate(
            tmp_path, postgresql_socket_dir=database.socket_dir, postgresql_port=database.port
        )
    )

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-c", "from ai_how.cli.main import main; main()", *arguments],
            env={**os.environ, "AI_HOW_STATE": str(tmp_path)},
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def record_chain(ledger):
    model = {"model": "digits", "tree_digest": DIGEST}
    record_checkpoint(
        ledger,
        **model,
        key=KEY,
        run="run-1",
        path="/checkpoints/digits/run-1",
        marker_sha256="b" * 64,
        format="mlflow",
        sealed_at=datetime(2026, 1, 1, tzinfo=UTC),
        files=2,
        bytes=10,
        training={"mlflow_run_id": "c" * 32},
    )
    made = {**model, "checkpoint": KEY, "dagster_run": "r"}
    prefix = f"models/digits/sha256-{DIGEST}/"
    record_copy(ledger, **made, bucket="models", prefix=prefix, files=2, bytes=10)
    record_version(
        ledger, **made, version="1", source=f"s3://models/{prefix}", training_run="c" * 32
    )
    record_deployment(ledger, **made, endpoint="digits", version="1", server=NOWHERE)


def test_the_chain_is_printed_and_answered_as_json(ledger, ai_how):
    record_chain(ledger)
    shown = ai_how("lineage", "endpoint", "digits")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count(DIGEST) == 4
    assert max(map(len, shown.stdout.splitlines())) <= 100
    answered = ai_how("lineage", "endpoint", "digits", "--json")
    assert answered.returncode == 0, answered.stderr
    answer = json.loads(answered.stdout)
    assert (answer["schema"], answer["agreement"]) == ("endpoint-lineage/1", "agree")


def test_an_endpoint_that_was_never_deployed_exits_2(ledger, ai_how):
    shown = ai_how("lineage", "endpoint", "digits")
    assert shown.returncode == 2
    assert "no fact says" in " ".join(shown.stdout.split())


def test_a_moment_that_is_none_is_wrong_usage(ledger, ai_how):
    shown = ai_how("lineage", "endpoint", "digits", "--at", "yesterday")
    assert shown.returncode == 64
    assert "2026-01-31T12:00:00Z" in shown.stderr


def test_an_intact_ledger_is_said_with_its_head_and_a_broken_one_exits_1(database, ledger, ai_how):
    record_chain(ledger)
    intact = ai_how("lineage", "ledger", "--json")
    assert intact.returncode == 0, intact.stderr
    assert json.loads(intact.stdout)["head"] == ledger.facts()[-1].hash
    database.execute(
        "postgres",
        "SET session_replication_role = replica",
        "UPDATE facts SET subject = 'other' WHERE seq = 2",
    )
    broken = ai_how("lineage", "ledger")
    assert broken.returncode == 1, broken.stderr
    assert "fact 2: its column subject differs" in broken.stdout


def test_a_database_without_a_ledger_exits_2_and_says_what_to_do(ai_how):
    shown = ai_how("lineage", "ledger")
    assert shown.returncode == 2
    assert "ai-how up" in shown.stderr
