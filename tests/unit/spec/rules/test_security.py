"""Rules about secrets and logins: each offence with what a person reads."""

from typing import Any

import pytest

from platform_assets.spec.rules import security as rules
from platform_assets.spec.rules.grounds import Rule
from tests.unit.spec.rules.sound import said

OFFENCES: list[tuple[Rule, dict[str, Any], list[str]]] = [
    (
        rules.literal_secret,
        {
            "clusters/cloud/mlops/mlflow/database/password": "hunter2",
            "clusters/cloud/mlops/minio/credentials/root_password": "minio123",
            "clusters/hpc/slurm/accounting": {"storage": {"storage_pass": "hunter2", "host": "x"}},
        },
        [
            (
                "[warning] clusters.hpc.slurm.accounting.storage.storage_pass: storage_pass "
                "stands in the file itself -> write {secret: {env: "
                "ACCOUNTING_STORAGE_STORAGE_PASS}} or {secret: {file: PATH}}"
            ),
            (
                "[warning] clusters.cloud.mlops.mlflow.database.password: password stands in "
                "the file itself -> write {secret: {env: MLFLOW_DATABASE_PASSWORD}} or "
                "{secret: {file: PATH}}"
            ),
            (
                "[warning] clusters.cloud.mlops.minio.credentials.root_password: root_password "
                "stands in the file itself -> write {secret: {env: "
                "MINIO_CREDENTIALS_ROOT_PASSWORD}} or {secret: {file: PATH}}"
            ),
        ],
    ),
    (
        rules.literal_secret,
        {"clusters/cloud/mlops/mlflow/database/password": "hunter2", "profile": "production"},
        [
            (
                "clusters.cloud.mlops.mlflow.database.password: password stands in the file "
                "itself -> write {secret: {env: MLFLOW_DATABASE_PASSWORD}} or {secret: {file: "
                "PATH}}"
            ),
        ],
    ),
    (
        rules.password_authentication,
        {"clusters/cloud/ssh": {"password_authentication": True}, "profile": "production"},
        [
            (
                "clusters.cloud.ssh.password_authentication: SSH takes passwords, and profile "
                "is production -> set it to false; keys are always taken"
            ),
        ],
    ),
    (
        rules.locked_out,
        {"clusters/cloud/ssh": {"user": "debian"}},
        [
            (
                "security.allowed_ssh_users: 'debian', the user of clusters.cloud.ssh, is not "
                "among admin: the machines would lock Ansible out -> add 'debian', or change "
                "clusters.cloud.ssh.user"
            ),
        ],
    ),
    (
        rules.unguarded_production,
        {"security/firewall": False, "profile": "production"},
        [
            (
                "[warning] security.firewall: firewall is false, and profile is production -> "
                "set it to true"
            ),
        ],
    ),
]


@pytest.mark.parametrize(("rule", "changes", "expected"), OFFENCES)
def test_an_offence_is_told(rule: Rule, changes: dict[str, Any], expected: list[str]) -> None:
    assert said(rule, changes) == expected


def test_each_rule_has_an_offence() -> None:
    assert {rule for rule, _, _ in OFFENCES} == set(rules.SECURITY_RULES)


@pytest.mark.parametrize("key", ["firewall", "network_policies"])
def test_while_developing_guards_may_be_off(key: str) -> None:
    off: dict[str, Any] = {f"security/{key}": False}
    assert said(rules.unguarded_production, off) == []
    assert len(said(rules.unguarded_production, off | {"profile": "production"})) == 1


@pytest.mark.parametrize("cluster", ["hpc", "cloud"])
def test_ssh_of_either_cluster_is_looked_at(cluster: str) -> None:
    (found,) = said(rules.locked_out, {f"clusters/{cluster}/ssh": {"user": "debian"}})
    assert f"the user of clusters.{cluster}.ssh" in found
