"""An estate written anew in the canonical form."""

from pathlib import Path

import pytest
import yaml

from platform_assets.spec.canonical import canonical
from platform_assets.spec.difference import differences
from platform_assets.spec.literal_secrets import literal_secrets
from platform_assets.spec.loading.load import load
from platform_assets.spec.migration import migrated
from platform_assets.spec.model.estate import Estate

PROJECT = Path(__file__).parents[3]
FILES = sorted(
    [*(PROJECT / "config/templates").glob("*"), *(PROJECT / "tests/fixtures/estates").glob("*")]
)


def loaded(content: bytes) -> Estate:
    found = load(content, "x.yaml", {})
    assert found.estate is not None
    return found.estate


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_is_migrated_means_the_same(file: Path) -> None:
    before = loaded(file.read_bytes())
    made = migrated(before)
    after = loaded(yaml.safe_dump(made.declared).encode())
    changed = {one.path for one in differences(before, after)}
    assert changed == set(made.variables.values())
    assert migrated(after).declared == made.declared


def test_each_literal_secret_gets_a_variable_of_its_own() -> None:
    password = "{database: {password: literal}}"
    text = f"""\
metadata: {{name: x}}
clusters:
  hpc: {{slurm: {{accounting: {{'1': {{db: {{password: a}}}}, db: {{1: {{password: b}}}},
    storage-pass: c}}}}}}
  cloud: {{mlops: {{mlflow: {password}, postgresql: {password}}}}}
"""
    made = migrated(loaded(text.encode()))
    assert {name: path[-3:] for name, path in made.variables.items()} == {
        "CLUSTERS_HPC_SLURM_ACCOUNTING_1_DB_PASSWORD": ("1", "db", "password"),
        "DB_1_PASSWORD": ("db", "1", "password"),
        "SLURM_ACCOUNTING_STORAGE_PASS": ("slurm", "accounting", "storage-pass"),
        "MLFLOW_DATABASE_PASSWORD": ("mlflow", "database", "password"),
        "POSTGRESQL_DATABASE_PASSWORD": ("postgresql", "database", "password"),
    }
    assert "literal" not in str(made.declared)


def test_labels_that_sound_like_secrets_are_shown() -> None:
    machine = "{cpu_cores: 4, memory_gb: 8, disk_gb: 50, node_labels: {token: shown}}"
    estate = loaded(f"name: x\nclusters: {{cloud: {{workers: [{machine}]}}}}\n".encode())
    (worker,) = canonical(estate)["clusters"]["cloud"]["workers"]
    assert worker["node_labels"] == {"token": "shown"}
    assert differences(estate, loaded(yaml.safe_dump(migrated(estate).declared).encode())) == []


def test_references_among_settings_that_are_taken_as_they_are_stay_references() -> None:
    kept = {"secret": {"env": "X"}}
    text = """\
metadata: {name: x}
clusters:
  hpc:
    slurm:
      accounting:
        password: {secret: {env: X}}
        db_password: "${X}"
        token: [a, {secret: {env: X}}]
"""
    estate = loaded(text.encode())
    made = migrated(estate)
    assert canonical(estate)["clusters"]["hpc"]["slurm"]["accounting"]["password"] == kept
    assert made.declared["clusters"]["hpc"]["slurm"]["accounting"] == {
        "password": kept,
        "db_password": kept,
        "token": [{"secret": {"env": "ACCOUNTING_TOKEN_0"}}, kept],
    }
    assert [path[-2:] for path, _ in literal_secrets(estate)] == [("token", 0)]
    again = loaded(text.replace("env: X", "env: Y").encode())
    assert {one.path[-1] for one in differences(estate, again)} == {"env", "token"}
