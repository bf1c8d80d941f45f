"""Rules about buckets and backups: each offence with what a person reads."""

from typing import Any

import pytest

from platform_assets.spec.rules import object_stores as rules
from platform_assets.spec.rules.grounds import Rule
from tests.unit.spec.rules.sound import GONE, said

OFFENCES: list[tuple[Rule, dict[str, Any], list[str]]] = [
    (
        rules.bucket_name,
        {
            "clusters/cloud/mlops/minio/buckets/1/name": "My_Models",
            "clusters/cloud/mlops/mlflow/artifact_store/bucket": "ml",
        },
        [
            (
                "clusters.cloud.mlops.minio.buckets[1].name: 'My_Models' cannot name a bucket: "
                "expected lower-case letters, digits, '.' and '-', beginning and ending with a "
                "letter or digit -> rename it, as in mlflow-artifacts"
            ),
            (
                "clusters.cloud.mlops.mlflow.artifact_store.bucket: 'ml' cannot name a bucket: "
                "expected 3 to 63 characters -> rename it, as in mlflow-artifacts"
            ),
        ],
    ),
    (
        rules.bucket_name,
        {"clusters/cloud/mlops/minio/buckets/1/name": "a..b", "backup/bucket": "192.168.1.1"},
        [
            (
                "clusters.cloud.mlops.minio.buckets[1].name: 'a..b' cannot name a bucket: "
                "expected no two dots side by side -> rename it, as in mlflow-artifacts"
            ),
            (
                "backup.bucket: '192.168.1.1' cannot name a bucket: expected no IP address -> "
                "rename it, as in mlflow-artifacts"
            ),
        ],
    ),
    (
        rules.bucket_name,
        {"clusters/cloud/mlops/minio/buckets/1/name": "xn--models"},
        [
            (
                "clusters.cloud.mlops.minio.buckets[1].name: 'xn--models' cannot name a "
                "bucket: expected none of S3's own beginnings and endings (xn--, sthree-, "
                "amzn-s3-demo-, -s3alias, --ol-s3, .mrap, --x-s3, --table-s3) -> rename it, as "
                "in mlflow-artifacts"
            ),
        ],
    ),
    (
        rules.duplicate_bucket,
        {"clusters/cloud/mlops/minio/buckets/1/name": "backups"},
        [
            (
                "clusters.cloud.mlops.minio.buckets[2].name: bucket 'backups' is declared "
                "twice -> remove one of them"
            ),
        ],
    ),
    (
        rules.mlflow_bucket,
        {"clusters/cloud/mlops/mlflow/artifact_store/bucket": "mlflow"},
        [
            (
                "clusters.cloud.mlops.mlflow.artifact_store.bucket: 'mlflow' is not among the "
                "buckets of clusters.cloud.mlops.minio: mlflow-artifacts, models, backups -> "
                "add it to clusters.cloud.mlops.minio.buckets, or choose one of them"
            ),
        ],
    ),
    (
        rules.backup_bucket,
        {"backup/bucket": GONE},
        [
            "backup: backup is enabled without a bucket -> add backup.bucket",
        ],
    ),
    (
        rules.backup_bucket,
        {"backup/bucket": "elsewhere"},
        [
            (
                "backup.bucket: 'elsewhere' is not among the declared buckets: "
                "mlflow-artifacts, models, backups -> add it to the buckets of the object "
                "store, or choose one of them"
            ),
        ],
    ),
    (
        rules.backup_schedule,
        {"backup/schedule": "daily"},
        [
            (
                "backup.schedule: 'daily': expected five fields, found 1 -> write minute, "
                "hour, day, month and weekday, as in `0 3 * * *` for each day at 3"
            ),
        ],
    ),
    (
        rules.backup_schedule,
        {"backup/schedule": "0 25 * * *"},
        [
            (
                "backup.schedule: '0 25 * * *' is no cron expression: Bad hour -> write "
                "minute, hour, day, month and weekday, as in `0 3 * * *` for each day at 3"
            ),
        ],
    ),
    (
        rules.backup_schedule,
        {"backup/schedule": "0 0 3 * * *"},
        [
            (
                "backup.schedule: '0 0 3 * * *': expected five fields, found 6 -> write "
                "minute, hour, day, month and weekday, as in `0 3 * * *` for each day at 3"
            ),
        ],
    ),
]


@pytest.mark.parametrize(("rule", "changes", "expected"), OFFENCES)
def test_an_offence_is_told(rule: Rule, changes: dict[str, Any], expected: list[str]) -> None:
    assert said(rule, changes) == expected


def test_each_rule_has_an_offence() -> None:
    assert {rule for rule, _, _ in OFFENCES} == set(rules.OBJECT_STORE_RULES)


@pytest.mark.parametrize(
    ("length", "sound"), [(2, False), (3, True), (4, True), (62, True), (63, True), (64, False)]
)
def test_how_long_the_name_of_a_bucket_may_be(length: int, sound: bool) -> None:
    assert (rules.wrong_bucket_name("b" * length) is None) is sound


def test_buckets_of_a_store_that_is_off_are_not_looked_at() -> None:
    off = {"enabled": False, "buckets": [{"name": "My_Models"}]}
    assert said(rules.bucket_name, {"clusters/cloud/mlops/minio": off}) == []


def test_the_bucket_of_a_registry_that_is_off_need_not_be_declared() -> None:
    off = {"enabled": False, "artifact_store": {"type": "minio", "bucket": "elsewhere"}}
    for mlflow in (off, {"enabled": False}, {}):
        assert said(rules.mlflow_bucket, {"clusters/cloud/mlops/mlflow": mlflow}) == []
    on = off | {"enabled": True}
    assert len(said(rules.mlflow_bucket, {"clusters/cloud/mlops/mlflow": on})) == 1


def test_a_schedule_that_never_comes_true_is_told() -> None:
    (found,) = said(rules.backup_schedule, {"backup/schedule": "0 0 */30 2 1#5"})
    assert "'0 0 */30 2 1#5' never comes true within fifty years" in found
