"""Rules about names outside: each offence with what a person reads."""

from typing import Any

import pytest

from platform_assets.spec.rules import ingress as rules
from platform_assets.spec.rules.grounds import Rule
from tests.unit.spec.rules.sound import GONE, GROUNDS, estate, said

OFFENCES: list[tuple[Rule, dict[str, Any], list[str]]] = [
    (
        rules.ingress_host_twice,
        {"clusters/cloud/monitoring/grafana/ingress/host": "MLflow.example.org"},
        [
            (
                "clusters.cloud.monitoring.grafana.ingress.host: MLflow.example.org/ is also "
                "that of clusters.cloud.mlops.mlflow.ingress -> give each service its own host "
                "name"
            ),
        ],
    ),
    (
        rules.ingress_host,
        {"clusters/cloud/monitoring/grafana/ingress/host": "http://grafana:3000"},
        [
            (
                "clusters.cloud.monitoring.grafana.ingress.host: 'http://grafana:3000' is no "
                "host name: expected at most 253 lower-case letters, digits and '-', beginning "
                "and ending with a letter or digit, in parts divided by '.' -> write the name "
                "alone, without scheme, port and path, as in mlflow.example.org"
            ),
        ],
    ),
    (
        rules.ingress_host,
        {"clusters/cloud/monitoring/grafana/ingress/host": GONE},
        [
            (
                "[warning] clusters.cloud.monitoring.grafana.ingress: no host: it would answer "
                "to every name that no other ingress claims -> add host, as in "
                "mlflow.example.org, or set enabled to false"
            ),
        ],
    ),
    (
        rules.ingress_path,
        {"clusters/cloud/monitoring/grafana/ingress/path": "grafana"},
        [
            (
                "clusters.cloud.monitoring.grafana.ingress.path: 'grafana' does not begin with "
                "'/' -> write '/grafana'"
            ),
        ],
    ),
    (
        rules.mdns_host,
        {"clusters/cloud/mlops/mlflow/ingress/host": "mlflow.local"},
        [
            (
                "[note] clusters.cloud.mlops.mlflow.ingress.host: mlflow.local ends in .local: "
                "most systems look that up by multicast DNS -> add it to /etc/hosts where it "
                "is used, or take a name under home.arpa"
            ),
        ],
    ),
    (
        rules.ingress_without_controller,
        {"clusters/cloud/kubernetes/ingress/enabled": False},
        [
            (
                "clusters.cloud.mlops.mlflow.ingress: kubernetes.ingress is not enabled, so "
                "that nothing serves this ingress -> enable kubernetes.ingress, or set enabled "
                "to false here"
            ),
            (
                "clusters.cloud.mlops.minio.ingress: kubernetes.ingress is not enabled, so "
                "that nothing serves this ingress -> enable kubernetes.ingress, or set enabled "
                "to false here"
            ),
            (
                "clusters.cloud.monitoring.grafana.ingress: kubernetes.ingress is not enabled, "
                "so that nothing serves this ingress -> enable kubernetes.ingress, or set "
                "enabled to false here"
            ),
        ],
    ),
]


@pytest.mark.parametrize(("rule", "changes", "expected"), OFFENCES)
def test_an_offence_is_told(rule: Rule, changes: dict[str, Any], expected: list[str]) -> None:
    assert said(rule, changes) == expected


def test_each_rule_has_an_offence() -> None:
    assert {rule for rule, _, _ in OFFENCES} == set(rules.INGRESS_RULES)


@pytest.mark.parametrize("service", ["mlops/mlflow", "monitoring/grafana"])
def test_the_ingress_of_a_service_that_is_off_is_not_looked_at(service: str) -> None:
    ingress = {"enabled": True, "host": "x.local"}
    off = {f"clusters/cloud/{service}": {"enabled": False, "ingress": ingress}}
    assert said(rules.mdns_host, off) == []


def test_the_ending_of_a_name_counts_in_capitals_too() -> None:
    assert len(said(rules.mdns_host, {"clusters/cloud/mlops/mlflow/ingress/host": "A.LOCAL"})) == 1


def test_an_ingress_without_host_is_told_by_one_rule() -> None:
    changes = {"clusters/cloud/mlops/mlflow/ingress/host": GONE}
    told = [rule.__name__ for rule in rules.INGRESS_RULES if list(rule(estate(changes), GROUNDS))]
    assert told == ["ingress_host"]
