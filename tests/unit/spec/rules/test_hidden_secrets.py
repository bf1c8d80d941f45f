"""No finding of any rule shows a secret, wherever it stands in the file."""

from platform_assets.spec.model.estate import Estate
from platform_assets.spec.rules.all_rules import RULES
from platform_assets.spec.rules.security import literal_secret
from tests.unit.spec.rules.sound import GROUNDS, estate, found, line

VALUE = "correct-horse-battery-staple"
SECRETS = {
    "clusters/cloud/mlops/mlflow/database/password": VALUE,
    "clusters/cloud/mlops/mlflow/artifact_store/credentials": VALUE,
    "clusters/cloud/mlops/minio/credentials/root_password": VALUE,
    "clusters/cloud/mlops/postgresql/database/password": VALUE,
    "clusters/cloud/monitoring/grafana/admin_password": VALUE,
    "clusters/cloud/monitoring/alerting": {"receivers": [{"smtp": {"auth_password": VALUE}}]},
    "clusters/cloud/kubernetes/storage/classes/1/parameters/password": VALUE,
    "clusters/hpc/slurm/database/password": VALUE,
    "clusters/hpc/slurm/accounting": {"storage_pass": VALUE},
    "clusters/hpc/controller/munge": {"password": {"current": VALUE}},
    "clusters/hpc/compute_nodes/0/munge": {"munge_key": VALUE},
}


def test_every_literal_is_found() -> None:
    paths = {"/".join(map(str, finding.path)) for finding in found(literal_secret, SECRETS)}
    inner = {
        "clusters/cloud/monitoring/alerting": "/receivers/0/smtp/auth_password",
        "clusters/hpc/slurm/accounting": "/storage_pass",
        "clusters/hpc/controller/munge": "/password/current",
        "clusters/hpc/compute_nodes/0/munge": "/munge_key",
    }
    assert paths == {path + inner.get(path, "") for path in SECRETS}


def test_no_rule_shows_its_value() -> None:
    declared: Estate = estate(SECRETS)
    told = [line(finding) for rule in RULES for finding in rule(declared, GROUNDS)]
    assert len(told) >= len(SECRETS)
    assert VALUE not in "".join(told)


def test_labels_that_sound_like_secrets_are_none() -> None:
    changes = {"clusters/cloud/workers/0/node_labels": {"ssh-key": "none", "token": "x"}}
    assert found(literal_secret, changes) == []


def test_a_reference_among_free_keys_is_none() -> None:
    reference = {"storage_pass": {"secret": {"env": "SLURM_DB_PASSWORD"}}}
    assert found(literal_secret, {"clusters/hpc/slurm/accounting": reference}) == []
