"""Rules about buckets and what uses them: S3's names, MLflow's artifacts, backups."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, time
from ipaddress import IPv4Address

from cronsim import CronSim, CronSimError

from platform_assets.spec.findings import Finding, Path, Severity, dotted
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.model.services import ObjectStoreService
from platform_assets.spec.rules.grounds import Grounds, Rule

MLOPS: Path = ("clusters", "cloud", "mlops")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]*[a-z0-9]")
# What S3 keeps for itself ("Bucket naming rules", Amazon S3 User Guide).
_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def stores(estate: Estate) -> Iterator[tuple[str, Path, ObjectStoreService]]:
    """Yield the S3 servers that run on the cluster."""
    cloud = estate.clusters.cloud
    if cloud is None:
        return
    for name, store in (("minio", cloud.mlops.minio), ("seaweedfs", cloud.mlops.seaweedfs)):
        if store is not None and store.enabled:
            yield name, (*MLOPS, name), store


def wrong_bucket_name(name: str) -> str | None:
    """Return what S3 expects where a bucket's name breaks its rules, else None."""
    if not 3 <= len(name) <= 63:
        return "3 to 63 characters"
    if not _BUCKET.fullmatch(name):
        return (
            "lower-case letters, digits, '.' and '-', beginning and ending with a letter or digit"
        )
    if ".." in name:
        return "no two dots side by side"
    try:
        IPv4Address(name)
    except ValueError:
        pass
    else:
        return "no IP address"
    if name.startswith(_PREFIXES) or name.endswith(_SUFFIXES):
        return f"none of S3's own beginnings and endings ({', '.join(_PREFIXES + _SUFFIXES)})"
    return None


def bucket_name(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A bucket has a name that S3 refuses."""
    named: list[tuple[Path, str]] = [
        ((*path, "buckets", index, "name"), bucket.name)
        for _, path, store in stores(estate)
        for index, bucket in enumerate(store.buckets)
    ]
    cloud = estate.clusters.cloud
    mlflow = cloud.mlops.mlflow if cloud else None
    if mlflow is not None and mlflow.artifact_store is not None and mlflow.artifact_store.bucket:
        named.append(((*MLOPS, "mlflow", "artifact_store", "bucket"), mlflow.artifact_store.bucket))
    if estate.backup.bucket is not None:
        named.append((("backup", "bucket"), estate.backup.bucket))
    for path, name in named:
        expected = wrong_bucket_name(name)
        if expected is not None:
            yield Finding(
                "bucket-name",
                Severity.ERROR,
                path,
                f"{name!r} cannot name a bucket: expected {expected}",
                "rename it, as in mlflow-artifacts",
            )


def duplicate_bucket(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A bucket of one object store is declared twice."""
    for _, path, store in stores(estate):
        seen: set[str] = set()
        for index, bucket in enumerate(store.buckets):
            if bucket.name in seen:
                yield Finding(
                    "duplicate-bucket",
                    Severity.ERROR,
                    (*path, "buckets", index, "name"),
                    f"bucket {bucket.name!r} is declared twice",
                    "remove one of them",
                )
            seen.add(bucket.name)


def mlflow_bucket(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """MLflow's bucket is not among the buckets of its object store: the first upload fails."""
    cloud = estate.clusters.cloud
    mlflow = cloud.mlops.mlflow if cloud else None
    if mlflow is None or not mlflow.enabled or mlflow.artifact_store is None:
        return
    declared = mlflow.artifact_store
    for name, path, store in stores(estate):
        buckets = [bucket.name for bucket in store.buckets]
        if name == declared.type and declared.bucket and declared.bucket not in buckets:
            yield Finding(
                "mlflow-bucket",
                Severity.ERROR,
                (*MLOPS, "mlflow", "artifact_store", "bucket"),
                f"{declared.bucket!r} is not among the buckets of {dotted(path)}: "
                f"{', '.join(buckets) or 'none'}",
                f"add it to {dotted((*path, 'buckets'))}, or choose one of them",
            )


def backup_bucket(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Backups are enabled and have no bucket, or one that the declared object stores lack."""
    if not estate.backup.enabled:
        return
    bucket = estate.backup.bucket
    declared = [each.name for _, _, store in stores(estate) for each in store.buckets]
    if bucket is None:
        message, remedy = "backup is enabled without a bucket", "add backup.bucket"
    elif declared and bucket not in declared:
        message = f"{bucket!r} is not among the declared buckets: {', '.join(declared)}"
        remedy = "add it to the buckets of the object store, or choose one of them"
    else:
        return
    path = ("backup",) if bucket is None else ("backup", "bucket")
    yield Finding("backup-bucket", Severity.ERROR, path, message, remedy)


def backup_schedule(estate: Estate, grounds: Grounds) -> Iterator[Finding]:
    """The backup's schedule is no cron expression of five fields, or one that never comes true."""
    text = estate.backup.schedule
    remedy = "write minute, hour, day, month and weekday, as in `0 3 * * *` for each day at 3"
    if len(text.split()) != 5:
        message = f"{text!r}: expected five fields, found {len(text.split())}"
    else:
        try:
            next(CronSim(text, datetime.combine(grounds.today, time(), UTC)))
        except CronSimError as error:
            message = f"{text!r} is no cron expression: {error}"
        except StopIteration:
            message = f"{text!r} never comes true within fifty years"
        else:
            return
    yield Finding("backup-schedule", Severity.ERROR, ("backup", "schedule"), message, remedy)


OBJECT_STORE_RULES: tuple[Rule, ...] = (
    bucket_name,
    duplicate_bucket,
    mlflow_bucket,
    backup_bucket,
    backup_schedule,
)
