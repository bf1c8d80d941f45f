"""Rules about MLflow and the monitoring: each offence with what a person reads."""

from typing import Any

import pytest

from platform_assets.spec.rules import services as rules
from platform_assets.spec.rules.grounds import Rule
from tests.unit.spec.rules.sound import GONE, said

OFFENCES: list[tuple[Rule, dict[str, Any], list[str]]] = [
    (
        rules.mlflow_database,
        {"clusters/cloud/mlops/mlflow/database/host": "postgresql-service"},
        [
            (
                "clusters.cloud.mlops.mlflow.database.host: 'postgresql-service' names no "
                "declared Service: that of postgresql is 'postgresql' -> write 'postgresql', "
                "or set clusters.cloud.mlops.postgresql.service.name to 'postgresql-service'"
            ),
        ],
    ),
    (
        rules.mlflow_database,
        {"clusters/cloud/mlops/mlflow/database/port": 5433},
        [
            (
                "clusters.cloud.mlops.mlflow.database.port: port 5433 is not that of "
                "'postgresql', which is 5432 -> write 5432"
            ),
        ],
    ),
    (
        rules.mlflow_database,
        {"clusters/cloud/mlops/postgresql": GONE},
        [
            (
                "clusters.cloud.mlops.mlflow.database.host: 'postgresql' names a Service of "
                "the cluster, but clusters.cloud.mlops.postgresql is not declared or not "
                "enabled -> declare clusters.cloud.mlops.postgresql, or name a server outside "
                "by its full host name"
            ),
        ],
    ),
    (
        rules.mlflow_database_differs,
        {
            "clusters/cloud/mlops/mlflow/database/database": "runs",
            "clusters/cloud/mlops/mlflow/database/username": "me",
        },
        [
            (
                "clusters.cloud.mlops.mlflow.database.database: MLflow asks for database "
                "'runs', but clusters.cloud.mlops.postgresql.database.database is 'mlflow' -> "
                "write the same at both places"
            ),
            (
                "clusters.cloud.mlops.mlflow.database.username: MLflow asks for username 'me', "
                "but clusters.cloud.mlops.postgresql.database.username is 'mlflow' -> write "
                "the same at both places"
            ),
        ],
    ),
    (
        rules.mlflow_store,
        {"clusters/cloud/mlops/mlflow/artifact_store/endpoint": "minio-service:9000"},
        [
            (
                "clusters.cloud.mlops.mlflow.artifact_store.endpoint: 'minio-service' names no "
                "declared Service: that of minio is 'minio' -> write 'minio', or set "
                "clusters.cloud.mlops.minio.service.name to 'minio-service'"
            ),
        ],
    ),
    (
        rules.mlflow_store,
        {"clusters/cloud/mlops/mlflow/artifact_store/endpoint": "minio:9001"},
        [
            (
                "clusters.cloud.mlops.mlflow.artifact_store.endpoint: port 9001 is not that of "
                "'minio', which is 9000 -> write 9000"
            ),
        ],
    ),
    (
        rules.mlflow_store,
        {"clusters/cloud/mlops/mlflow/artifact_store/endpoint": "minio:90000"},
        [
            (
                "clusters.cloud.mlops.mlflow.artifact_store.endpoint: 'minio:90000' is no host "
                "and port -> write it as in minio:9000"
            ),
        ],
    ),
    (
        rules.mlflow_store,
        {
            "clusters/cloud/mlops/mlflow/artifact_store/type": "seaweedfs",
            "clusters/cloud/mlops/mlflow/artifact_store/endpoint": "seaweedfs:8333",
        },
        [
            (
                "clusters.cloud.mlops.mlflow.artifact_store.endpoint: 'seaweedfs' names a "
                "Service of the cluster, but clusters.cloud.mlops.seaweedfs is not declared or "
                "not enabled -> declare clusters.cloud.mlops.seaweedfs, or name a server "
                "outside by its full host name"
            ),
        ],
    ),
    (
        rules.mlflow_store,
        {"clusters/cloud/mlops/mlflow/artifact_store/type": "gcs"},
        [
            (
                "clusters.cloud.mlops.mlflow.artifact_store.type: 'gcs' is not supported as an "
                "artifact store -> choose one of minio, seaweedfs, s3"
            ),
        ],
    ),
    (
        rules.mlflow_replicas,
        {"clusters/cloud/mlops/mlflow/replicas": 2, "clusters/cloud/mlops/mlflow/database": GONE},
        [
            (
                "clusters.cloud.mlops.mlflow.replicas: 2 replicas without a database: each "
                "would keep runs of its own -> declare mlflow.database, or one replica"
            ),
        ],
    ),
    (
        rules.mlflow_image_differs,
        {
            "clusters/cloud/mlops/mlflow/version": "v2.9.0",
            "clusters/cloud/mlops/mlflow/image": "localhost:5000/mlflow/mlflow:v2.9.2-full",
        },
        [
            (
                "clusters.cloud.mlops.mlflow.version: version is v2.9.0, but the image is "
                "localhost:5000/mlflow/mlflow:v2.9.2-full -> write the same version at both "
                "places"
            ),
        ],
    ),
    (
        rules.retention,
        {"clusters/cloud/monitoring/prometheus/storage": {"size": "20Gi", "retention": "30d"}},
        [
            (
                "[warning] clusters.cloud.monitoring.prometheus.storage.retention: 30d of 1536 "
                "MiB a day are 45.0 GiB, the volume has 20Gi -> keep at most 13d, or set size "
                "to 45Gi or more"
            ),
        ],
    ),
    (
        rules.same_port_twice,
        {"clusters/cloud/mlops/minio/service/console_port": 9000},
        [
            (
                "clusters.cloud.mlops.minio.service.console_port: port 9000 is that of the "
                "API, too -> give the console another port, as in 9001"
            ),
        ],
    ),
    (
        rules.unsupported_provider,
        {"clusters/cloud/monitoring/logging/provider": "elasticsearch"},
        [
            (
                "clusters.cloud.monitoring.logging.provider: 'elasticsearch' is not supported "
                "-> set it to loki, or set logging.enabled to false"
            ),
        ],
    ),
    (
        rules.datasource_without_source,
        {"clusters/cloud/monitoring/prometheus/enabled": False},
        [
            (
                "[warning] clusters.cloud.monitoring.grafana.datasources[0]: 'Prometheus' "
                "reads from prometheus, which does not run on the cluster -> enable "
                "monitoring.prometheus, or remove the data source"
            ),
        ],
    ),
    (
        rules.unknown_service,
        {
            "clusters/cloud/monitoring/grafana/enabled": False,
            "clusters/cloud/workers/0/services": ["grafana", "jupyter"],
        },
        [
            (
                "[warning] clusters.cloud.workers[0].services[0]: 'grafana' is to run on "
                "cpu-worker-1, but is not declared or enabled -> services that run: mlflow, "
                "minio, postgresql, prometheus, loki, logging, kserve"
            ),
            (
                "[warning] clusters.cloud.workers[0].services[1]: 'jupyter' is to run on "
                "cpu-worker-1, but is not declared or enabled -> services that run: mlflow, "
                "minio, postgresql, prometheus, loki, logging, kserve"
            ),
        ],
    ),
]


@pytest.mark.parametrize(("rule", "changes", "expected"), OFFENCES)
def test_an_offence_is_told(rule: Rule, changes: dict[str, Any], expected: list[str]) -> None:
    assert said(rule, changes) == expected


def test_each_rule_has_an_offence() -> None:
    assert {rule for rule, _, _ in OFFENCES} == set(rules.SERVICE_RULES)


def test_the_ports_of_either_store_are_looked_at() -> None:
    changes: dict[str, Any] = {
        "clusters/cloud/mlops/minio/enabled": False,
        "clusters/cloud/mlops/seaweedfs": {"service": {"api_port": 9, "console_port": 9}},
    }
    (found,) = said(rules.same_port_twice, changes)
    assert found.startswith("clusters.cloud.mlops.seaweedfs.service.console_port: port 9 is")


def test_services_of_machines_outside_the_cloud_are_not_judged() -> None:
    assert said(rules.unknown_service, {"clusters/hpc/compute_nodes/0/services": ["sshd"]}) == []


@pytest.mark.parametrize(("port", "told"), [(8332, 1), (8333, 0), (8334, 1)])
def test_seaweedfs_answers_at_its_own_port(port: int, told: int) -> None:
    store = {"type": "seaweedfs", "bucket": "b", "endpoint": f"seaweedfs:{port}"}
    changes: dict[str, Any] = {
        "clusters/cloud/mlops/seaweedfs": {},
        "clusters/cloud/mlops/mlflow/artifact_store": store,
    }
    assert len(said(rules.mlflow_store, changes)) == told


def test_a_store_outside_may_be_called_as_it_likes() -> None:
    store = {"type": "s3", "bucket": "b", "endpoint": "minio-service:9000"}
    assert said(rules.mlflow_store, {"clusters/cloud/mlops/mlflow/artifact_store": store}) == []


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://prometheus:9090", 1),
        ("http://prometheus.monitoring.svc:9090", 1),
        ("http://prometheus.example.org", 0),
    ],
)
def test_only_data_sources_on_the_cluster_are_judged(url: str, told: int) -> None:
    changes: dict[str, Any] = {
        "clusters/cloud/monitoring/prometheus/enabled": False,
        "clusters/cloud/monitoring/grafana/datasources/0/url": url,
    }
    assert len(said(rules.datasource_without_source, changes)) == told


def test_a_data_source_of_logs_that_are_not_kept_is_told() -> None:
    source = {"name": "Logs", "type": "Loki", "url": "http://loki:3100"}
    changes: dict[str, Any] = {
        "clusters/cloud/monitoring/grafana/datasources/0": source,
        "clusters/cloud/monitoring/logging": GONE,
    }
    (found,) = said(rules.datasource_without_source, changes)
    assert found.endswith("-> enable monitoring.logging, or remove the data source")


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("wrong", 1),
        ("wrong.mlops", 1),
        ("wrong.mlops.svc", 1),
        ("wrong.mlops.svc.cluster.local", 1),
        ("wrong.elsewhere.svc", 0),
        ("db.example.org", 0),
        ("postgresql.mlops.svc.cluster.local", 0),
    ],
)
def test_which_host_of_a_database_is_a_service_of_ours(host: str, told: int) -> None:
    changes = {"clusters/cloud/mlops/mlflow/database/host": host}
    assert len(said(rules.mlflow_database, changes)) == told


@pytest.mark.parametrize("off", [{"enabled": False}, GONE])
def test_a_database_of_mlflow_that_does_not_run_is_not_judged(off: Any) -> None:
    changes: dict[str, Any] = {"clusters/cloud/mlops/postgresql": GONE}
    changes["clusters/cloud/mlops/mlflow" + ("" if off is GONE else "/enabled")] = (
        GONE if off is GONE else False
    )
    for rule in rules.SERVICE_RULES[:2]:
        assert said(rule, changes) == []


@pytest.mark.parametrize(("port", "told"), [(8999, 1), (9000, 0), (9001, 1)])
def test_the_port_is_that_of_the_service(port: int, told: int) -> None:
    changes = {"clusters/cloud/mlops/mlflow/artifact_store/endpoint": f"minio:{port}"}
    assert len(said(rules.mlflow_store, changes)) == told


def test_a_database_that_is_off_answers_nobody() -> None:
    (found,) = said(rules.mlflow_database, {"clusters/cloud/mlops/postgresql/enabled": False})
    assert "clusters.cloud.mlops.postgresql is not declared or not enabled" in found


def test_a_database_that_is_off_contradicts_nothing() -> None:
    changes: dict[str, Any] = {"clusters/cloud/mlops/postgresql/database/database": "other"}
    assert len(said(rules.mlflow_database_differs, changes)) == 1
    changes["clusters/cloud/mlops/postgresql/enabled"] = False
    assert said(rules.mlflow_database_differs, changes) == []


@pytest.mark.parametrize("version", ["3.17.0", "v3.17.0"])
def test_the_letter_before_a_version_makes_no_other_image(version: str) -> None:
    changes = {"clusters/cloud/mlops/mlflow/version": version}
    assert said(rules.mlflow_image_differs, changes) == []


def test_a_database_somewhere_else_makes_replicas_one_registry() -> None:
    changes: dict[str, Any] = {"clusters/cloud/mlops/mlflow/replicas": 2}
    assert said(rules.mlflow_replicas, changes) == []
    changes["clusters/cloud/mlops/mlflow/database/host"] = GONE
    assert said(rules.mlflow_database, changes) == []
