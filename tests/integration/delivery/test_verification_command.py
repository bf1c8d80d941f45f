"""The running platform verifies what it serves, and removes only what nobody wants."""

import json
import time

import httpx
import pytest

from ai_how.build import connections
from ai_how.runs import Dagster
from platform_assets.audits.live_verification import JOB_NAME
from platform_assets.lineage import facts
from platform_assets.lineage.verdict import Hop
from platform_assets.lineage.verification import VERIFICATION
from tests.integration.conftest import SERVING
from tests.sample_checkpoints import mlflow_checkpoint

DEADLINE_S = 240
AUDITED = "  audited:\n    endpoint: audited\n    promotion: automatic\n"


def wait_for(what, question):
    end = time.monotonic() + DEADLINE_S
    while not (answer := question()):
        assert time.monotonic() < end, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.5)
    return answer


def deployed(platform, run):
    """Return the deployment of `run`, if that is the last one."""
    fact = connections(platform.applied).ledger.latest(facts.DEPLOYMENT, "audited")
    return fact if fact and f".{run}." in fact.body["checkpoint"] else None


@pytest.fixture(scope="module")
def live(platform):
    """A model of our own that is live; other tests use the platform as well."""
    before = platform.serving_file.read_text()
    platform.serving_file.write_text(SERVING + AUDITED)
    mlflow_checkpoint(platform.checkpoint_root, "audited", "first", seed=11)
    yield wait_for("the deployment", lambda: deployed(platform, "first"))
    platform.serving_file.write_text(before)


def test_verify_agrees_then_names_what_was_changed(platform, live):
    answer = platform.run("lineage", "endpoint", "audited", "--verify", "--json")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    told = json.loads(answer.stdout)
    assert told["verdict"] == "agree"
    assert [hop["hop"] for hop in told["hops"]] == [hop.value for hop in Hop]

    store = connections(platform.applied).object_store
    prefix = f"models/audited/sha256-{live.body['tree_digest']}/"
    before = store.get(prefix + "MLmodel", 2**20)
    store.put(prefix + "MLmodel", before.replace(b"skops", b"skopS", 1))
    try:
        answer = platform.run("lineage", "endpoint", "audited", "--verify")
    finally:
        store.put(prefix + "MLmodel", before)
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert "differs: object store: MLmodel: expected SHA-256" in answer.stdout

    answer = platform.run("lineage", "endpoint", "nothing", "--verify")
    assert answer.returncode == 2
    assert "no deployment" in answer.stdout


def test_the_job_of_the_schedule_runs_on_the_platform_and_records_each_hop(platform, live):
    applied = platform.applied
    dagster = Dagster(applied.addresses.dagster_url)
    run = dagster.wait(dagster.launch(JOB_NAME, {}), lambda _run: None)
    assert run.status == "SUCCESS", dagster.failures(run.run_id)
    ledger = connections(applied).ledger
    recorded = [f for f in ledger.facts(VERIFICATION) if f.body["endpoint"] == "audited"]
    by_hop = {fact.body["hop"]: fact.body["verdict"] for fact in recorded}
    assert by_hop == {hop.value: "agree" for hop in Hop}
    query = """{schedulesOrError(repositorySelector: {repositoryName: "__repository__",
        repositoryLocationName: "platform"}) {... on Schedules {results {
        name scheduleState {status}}}}}"""
    url = f"{applied.addresses.dagster_url}/graphql"
    found = httpx.post(url, json={"query": query}, timeout=60).raise_for_status().json()
    schedules = found["data"]["schedulesOrError"]["results"]
    assert schedules == [{"name": "hourly_verification", "scheduleState": {"status": "RUNNING"}}]


def test_retention_removes_an_old_version_and_only_with_the_name(platform, live):
    ledger = connections(platform.applied).ledger
    store = connections(platform.applied).reader_store
    mlflow_checkpoint(platform.checkpoint_root, "audited", "second", seed=12)
    wait_for("the successor's deployment", lambda: deployed(platform, "second"))
    rule = "    keep: {versions: 1, days: 0}\n"
    platform.serving_file.write_text(SERVING + AUDITED + rule)
    try:
        listed = platform.run("retention", "list", "--json")
        assert listed.returncode == 0, listed.stdout + listed.stderr
        (going,) = json.loads(listed.stdout)["removals"]
        assert (going["model"], going["versions"]) == ("audited", [live.body["version"]])
        refused = platform.run("retention", "apply", "--confirm", "another")
        assert refused.returncode == 2
        assert "--confirm test" in refused.stderr
        done = platform.run("retention", "apply", "--confirm", "test")
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        platform.serving_file.write_text(SERVING + AUDITED)
    assert f"removed version audited/{live.body['version']}" in done.stdout
    prefix = f"models/audited/sha256-{live.body['tree_digest']}/"
    assert list(store.list(prefix)) == []
    assert ledger.verify_chain().facts > 0
    answer = platform.run("lineage", "endpoint", "audited", "--verify")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert (platform.checkpoint_root / "audited" / "first" / "_COMPLETE.json").exists()
