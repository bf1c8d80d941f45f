"""Editing and applying an estate under a running platform: what is read, out of date, refused."""

import json
import stat
import time
from pathlib import Path

import pytest

from ai_how.reload import ensure_loaded
from ai_how.runs import LOCATION, REPOSITORY, Dagster

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on Error { message }
  }
}"""
STALE = """
query Stale($keys: [AssetKeyInput!]) {
  assetNodes(assetKeys: $keys) { assetKey { path } staleStatus }
}"""
CHECK = """
query Check($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) { ... on AssetNode {
    assetChecksOrError { ... on AssetChecks { checks {
      name executionForLatestMaterialization { status evaluation { success description } }
    } } }
  } }
}"""
PATHS = (["infrastructure", "estate"], ["infrastructure", "capacity_plan"])
ESTATE = """
host: {cpu_cores: 32, memory_gb: 128, disk_gb: 2000}
clusters:
  hpc:
    image: build/hpc.qcow2
    slurm_config: {partitions: [batch], default_partition: batch}
    network: {subnet: 192.168.100.0/24, bridge: virbr100}
    controller: {ip: 192.168.100.10, cpu_cores: 2, memory_gb: 4, disk_gb: 40}
    compute_nodes: [{ip: 192.168.100.11, cpu_cores: 4, memory_gb: 8, disk_gb: 40}]
"""


@pytest.fixture(scope="module")
def up(installation):
    one = installation()
    one.declare()
    one.estate_file.write_text(one.estate_file.read_text() + ESTATE)
    answer = one.run("up")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    yield one
    assert one.run("down").returncode == 0


def dagster(up):
    return Dagster(up.applied.addresses.dagster_url)


def materialize(up):
    selection = [{"path": path} for path in PATHS]
    selector = {
        "repositoryLocationName": LOCATION,
        "repositoryName": REPOSITORY,
        "jobName": "__ASSET_JOB",
        "assetSelection": selection,
    }
    params = {"selector": selector, "runConfigData": {}}
    launched = dagster(up).ask(LAUNCH, {"params": params})["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    ended = dagster(up).wait(launched["run"]["runId"], lambda _run: None)
    assert ended.status == "SUCCESS", dagster(up).failures(ended.run_id)


def stale(up):
    nodes = dagster(up).ask(STALE, {"keys": [{"path": path} for path in PATHS]})["assetNodes"]
    return {node["assetKey"]["path"][-1]: node["staleStatus"] for node in nodes}


def edit(up, old, new):
    text = up.estate_file.read_text()
    assert old in text
    up.estate_file.write_text(text.replace(old, new))


def test_only_what_is_made_from_an_edited_part_is_out_of_date(up):
    materialize(up)
    assert stale(up) == {"estate": "FRESH", "capacity_plan": "FRESH"}
    before = up.run("status", "--json").stdout
    edit(up, "virbr100", "virbr101")
    applied = up.run("config", "apply")
    assert applied.returncode == 0, applied.stderr
    assert not ensure_loaded(dagster(up), up.applied)
    assert stale(up) == {"estate": "STALE", "capacity_plan": "FRESH"}
    materialize(up)
    edit(up, "memory_gb: 8", "memory_gb: 16")
    assert up.run("config", "apply").returncode == 0
    assert stale(up) == {"estate": "STALE", "capacity_plan": "STALE"}
    pids = [[part["pid"] for part in json.loads(text)["parts"]]
            for text in (before, up.run("status", "--json").stdout)]  # fmt: skip
    assert pids[0] == pids[1]


def test_what_is_refused_changes_nothing_and_fails_the_check(up):
    materialize(up)
    applied = (up.state / "estate.yaml").read_bytes()
    edit(up, "192.168.100.11", "192.168.100.10")
    refused = up.run("config", "apply", "--json")
    assert refused.returncode == 1
    rules = [found["rule"] for found in json.loads(refused.stdout)["findings"]]
    assert "duplicate-ip" in rules
    assert (up.state / "estate.yaml").read_bytes() == applied
    # Nobody asks for the check: a sensor sees that the file was edited.
    deadline = time.monotonic() + 120
    while (found := judged(up)) is None and time.monotonic() < deadline:
        time.sleep(1)
    assert found is not None
    assert not found["success"]
    assert found["description"].startswith("errors: 1, ")
    edit(up, "compute_nodes: [{ip: 192.168.100.10", "compute_nodes: [{ip: 192.168.100.11")


def judged(up):
    node = dagster(up).ask(CHECK, {"key": {"path": PATHS[0]}})["assetNodeOrError"]
    (check,) = node["assetChecksOrError"]["checks"]
    execution = check["executionForLatestMaterialization"]
    evaluation = execution and execution["evaluation"]
    return evaluation if evaluation and not evaluation["success"] else None


def test_another_file_is_applied_by_its_name_and_stays_applied(up, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(up.estate_file.read_text().replace("virbr101", "virbr102"))
    assert up.run("config", "apply", str(other)).returncode == 0
    assert up.applied.source == other
    assert up.applied.estate.clusters.hpc.network.bridge == "virbr102"


def test_a_literal_secret_goes_into_a_file_that_only_we_read(up):
    edit(up, "slurm_config: {", "slurm_config: {database: {password: canary-9}, ")
    answer = up.run("config", "apply")
    assert answer.returncode == 0, answer.stderr
    assert "canary-9" not in (up.state / "estate.yaml").read_text() + answer.stderr + answer.stdout
    password = up.applied.declared["clusters"]["hpc"]["slurm"]["database"]["password"]
    file = Path(password["secret"]["file"])
    assert file.read_text() == "canary-9"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
