"""A sealed checkpoint is carried to a serving endpoint by the running platform, exactly once."""

import json
import re
import threading
import time

import httpx
import psutil
import pytest
import sqlalchemy as sa

from ai_how.build import connections
from ai_how.runs import Dagster
from platform_assets.serving.delivery_job import JOB_NAME, delivery_tags
from tests.sample_checkpoints import mlflow_checkpoint

DEADLINE_S = 240


def wait_for(what, question, deadline_s=DEADLINE_S):
    end = time.monotonic() + deadline_s
    while not (answer := question()):
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        time.sleep(0.5)
    return answer


def deployments(ledger, run):
    return [
        fact
        for fact in ledger.facts(kind="deployment/1")
        if fact.body["checkpoint"].startswith(f"digits.{run}.")
    ]


@pytest.fixture(scope="module")
def delivered(platform):
    """One checkpoint that the sensor found and the platform delivered by itself."""
    mlflow_checkpoint(platform.checkpoint_root, "digits", "first", seed=1)
    ledger = connections(platform.applied).ledger
    return wait_for("first deployment", lambda: deployments(ledger, "first"))[0]


def test_the_endpoint_answers_after_its_checkpoint_was_sealed(platform, delivered):
    url = f"{platform.applied.addresses.model_server_url}/v2/models/digits"
    metadata = httpx.get(url, timeout=30).raise_for_status().json()
    assert delivered.body["tree_digest"] in json.dumps(metadata)


def test_lineage_leads_from_the_endpoint_to_the_training_run(platform, delivered):
    answer = platform.run("lineage", "endpoint", "digits", "--json")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert delivered.body["tree_digest"] in answer.stdout
    assert delivered.body["checkpoint"] in answer.stdout
    json.loads(answer.stdout)


def test_endpoint_list_agrees_with_the_server(platform, delivered):
    answer = platform.run("endpoint", "list", "--json")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert delivered.body["tree_digest"] in answer.stdout


def test_equal_content_sealed_twice_makes_one_version_and_no_new_deployment(platform, delivered):
    ledger = connections(platform.applied).ledger
    mlflow_checkpoint(platform.checkpoint_root, "digits", "again", seed=1)
    wait_for(
        "the second checkpoint's fact",
        lambda: [
            fact
            for fact in ledger.facts(kind="checkpoint/1")
            if fact.subject.startswith("digits.again.")
        ],
    )
    wait_for("no run is open", lambda: not open_runs(platform))
    digest = delivered.body["tree_digest"]
    of_digest = [f for f in ledger.facts(kind="version/1") if f.body["tree_digest"] == digest]
    assert len({fact.subject for fact in of_digest}) == 1
    assert deployments(ledger, "again") == []


def open_runs(platform):
    query = """{runsOrError(filter: {statuses: [QUEUED, NOT_STARTED, STARTING, STARTED]})
        {... on Runs {results {runId}}}}"""
    answer = httpx.post(
        f"{platform.applied.addresses.dagster_url}/graphql", json={"query": query}, timeout=30
    )
    return answer.raise_for_status().json()["data"]["runsOrError"]["results"]


def test_two_runs_launched_at_once_make_one_of_everything(platform, delivered):
    ledger = connections(platform.applied).ledger
    before = {
        kind: len(ledger.facts(kind=kind)) for kind in ("copy/1", "version/1", "deployment/1")
    }
    key = delivered.body["checkpoint"]
    dagster = Dagster(platform.applied.addresses.dagster_url)
    # Without the tag `endpoint`, as a person in the UI launches them: nothing queues one of them.
    tags = delivery_tags(key, 2, None) | {"dagster/partition": key}
    runs = []
    launches = [
        threading.Thread(target=lambda: runs.append(dagster.launch(JOB_NAME, tags)))
        for _ in range(2)
    ]
    for launch in launches:
        launch.start()
    for launch in launches:
        launch.join(DEADLINE_S)
    assert len(set(runs)) == 2
    wait_for("both runs ended", lambda: not open_runs(platform))
    after = {kind: len(ledger.facts(kind=kind)) for kind in before}
    assert after == before


def secret_files(platform):
    files = [f for f in platform.applied.secrets.rglob("*") if f.is_file()]
    assert [f for f in files if f.stat().st_mode & 0o077] == []
    return files


def secrets_in(file):
    text = file.read_text()
    if file.name.startswith("s3-"):
        return [json.loads(text)["secret_key"]]
    if file.suffix == ".pgpass":
        return [text.strip().rsplit(":", 1)[1]]
    if file.suffix == ".ini":
        return [re.search(r"password\s*=\s*(\S+)", text)[1]]
    return re.findall(r'^key = "([0-9a-f]{32,})"', text, re.MULTILINE)


def test_a_planted_secret_appears_nowhere(platform, delivered):
    planted = [secret for file in secret_files(platform) for secret in secrets_in(file)]
    assert len(planted) >= 9
    assert all(len(secret) >= 16 for secret in planted)

    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        assert not [s for s in planted if s in line], process
    logs = platform.state / "logs"
    for file in [*logs.rglob("*"), *(platform.state / "dagster").rglob("*")]:
        if file.is_file():
            content = file.read_bytes()
            assert not [s for s in planted if s.encode() in content], file
    for role in ("dagster", "mlflow"):
        for table, text in database_text(platform.applied.database_url(role, role)):
            assert not [s for s in planted if s in text], f"{role}.{table}"
    for fact in connections(platform.applied).ledger.facts():
        assert not [s for s in planted if s in json.dumps(fact.body)], fact


def database_text(url):
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        for table in sa.inspect(connection).get_table_names():
            rows = connection.execute(sa.text(f'SELECT t::text FROM "{table}" t')).scalars()
            yield table, "\n".join(rows)


def test_a_refused_checkpoint_shows_why_and_is_never_taken(platform, delivered):
    directory = mlflow_checkpoint(
        platform.checkpoint_root, "digits", "tampered", seed=2, seal=False
    )
    (directory / "_COMPLETE.json").write_text("{not json")
    answer = platform.run("checkpoint", "list", "--json")
    (row,) = [r for r in json.loads(answer.stdout) if r["run"] == "tampered"]
    assert row["state"] == "refused"
    assert "_COMPLETE.json" in row["reason"]
    assert deployments(connections(platform.applied).ledger, "tampered") == []
