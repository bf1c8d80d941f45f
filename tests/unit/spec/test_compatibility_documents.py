"""The versions that the first design of the platform named, and why each of them is refused."""

from datetime import date
from pathlib import Path

from platform_assets.spec.compatibility import DEFAULT_FILE, Pin, load_compatibility
from platform_assets.spec.compatibility_rules import check_compatibility
from platform_assets.spec.findings import Severity

ROOT = Path(__file__).parents[3]
TABLE = load_compatibility((ROOT / DEFAULT_FILE).read_text(encoding="utf-8"), DEFAULT_FILE)
TODAY = date(2026, 11, 21)
FIRST = {
    "os": "Debian 13",
    "kubespray": "v2.29.0",
    "kubernetes": "v1.28.0",
    "containerd": "1.7.23",
    "calico": "v3.30.3",
    "cert_manager": "1.13.0",
    "knative": "1.11.0",
    "kserve": "0.11.2",
    "gpu_operator": "v23.9.0",
    "nvidia_driver": "535.129.03",
    "postgresql": "15.4",
    "minio": "RELEASE.2023-12-02T10-51-33Z",
    "mlflow": "2.9.2",
}


def messages(**changed: str) -> list[tuple[str, str, str]]:
    pins = {name: Pin(text, ("versions", name)) for name, text in (FIRST | changed).items()}
    return [
        (finding.severity.value, str(finding.path[1]), finding.message.partition(" [")[0])
        for finding in check_compatibility(pins, TABLE, TODAY)
    ]


def test_each_is_refused_with_its_reason() -> None:
    assert messages() == EXPECTED


def test_the_other_spellings_are_refused_too() -> None:
    found = messages(
        kubernetes="1.28",
        calico="3.27",
        kserve="0.11",
        postgresql="15.5",
        minio="RELEASE.2024-10-02T17-50-41Z",
    )
    assert (
        "error",
        "kubernetes",
        (
            "Kubespray 2.29.0 (versions.kubespray) works with Kubernetes 1.31.0 - 1.31.13, "
            "1.32.0 - 1.32.9, 1.33.0 - 1.33.5, found 1.28"
        ),
    ) in found
    assert (
        "error",
        "calico",
        (
            "Kubespray 2.29.0 (versions.kubespray) works with Calico 3.28.0 - 3.28.5, "
            "3.29.0 - 3.29.6, 3.30.0 - 3.30.3, found 3.27"
        ),
    ) in found
    about = {name for severity, name, _ in found if severity != Severity.NOTE.value}
    assert about == {*FIRST} - {"os", "kubespray"}


def test_every_finding_has_a_remedy_and_an_error_a_source() -> None:
    pins = {name: Pin(text, ("versions", name)) for name, text in FIRST.items()}
    for finding in check_compatibility(pins, TABLE, TODAY):
        assert finding.remedy
        assert finding.severity is Severity.NOTE or finding.message.endswith("]")


EXPECTED = [
    (
        "note",
        "kubernetes",
        (
            "Kubernetes 'v1.28.0' goes to Ansible as '1.28.0': Kubespray 2.29.0 takes versions "
            "without `v`, and fails on the other form"
        ),
    ),
    (
        "error",
        "kubernetes",
        (
            "Kubespray 2.29.0 (versions.kubespray) works with Kubernetes 1.31.0 - 1.31.13, "
            "1.32.0 - 1.32.9, 1.33.0 - 1.33.5, found 1.28.0"
        ),
    ),
    (
        "warning",
        "kubernetes",
        ("Kubernetes 1.28.0 reached its end of life on 2024-10-28"),
    ),
    (
        "warning",
        "containerd",
        ("containerd 1.7.23 reached its end of life on 2026-09-01"),
    ),
    (
        "note",
        "calico",
        (
            "Calico 'v3.30.3' goes to Ansible as '3.30.3': Kubespray 2.29.0 takes versions "
            "without `v`, and fails on the other form"
        ),
    ),
    (
        "warning",
        "calico",
        ("Calico 3.30.3 reached its end of life on 2026-04-30"),
    ),
    (
        "error",
        "cert_manager",
        (
            "cert-manager 1.13.0 works with Kubernetes 1.21 - 1.27, found Kubernetes 1.28.0 "
            "(versions.kubernetes)"
        ),
    ),
    (
        "warning",
        "cert_manager",
        ("cert-manager 1.13.0 reached its end of life on 2024-06-05"),
    ),
    (
        "warning",
        "knative",
        ("Knative Serving 1.11.0 reached its end of life on 2024-01-30"),
    ),
    (
        "error",
        "kserve",
        (
            "KServe 0.11.2 works with Kubernetes 1.22 - 1.27, found Kubernetes 1.28.0 "
            "(versions.kubernetes); Kubernetes 1.28 is first listed for KServe 0.12"
        ),
    ),
    (
        "warning",
        "kserve",
        ("KServe 0.11.2 reached its end of life on 2024-06-03"),
    ),
    (
        "warning",
        "kserve",
        (
            "KServe 0.11.2: KServe 0.11 has no runtime for Hugging Face models or vLLM, so it "
            "cannot serve a language model by itself"
        ),
    ),
    (
        "warning",
        "gpu_operator",
        (
            "NVIDIA GPU Operator 23.9.0 is tested with ubuntu 20.04, ubuntu 22.04, rhel 8, "
            "found debian 13 (versions.os); there is no driver image for another system, the "
            "operator cannot install the driver there"
        ),
    ),
    (
        "warning",
        "gpu_operator",
        ("NVIDIA GPU Operator 23.9.0 reached its end of life on 2024-10-31"),
    ),
    (
        "warning",
        "nvidia_driver",
        ("NVIDIA driver 535.129.03 reached its end of life on 2026-06-01"),
    ),
    (
        "warning",
        "postgresql",
        ("PostgreSQL 15.4: security fixes up to 15.19 are missing"),
    ),
    (
        "warning",
        "minio",
        (
            "MinIO RELEASE.2023-12-02T10-51-33Z reached its end of life on 2026-04-25: its "
            "repository is archived, nobody mends it, and its download site withdrew the old "
            "builds"
        ),
    ),
    (
        "error",
        "minio",
        (
            "MinIO RELEASE.2023-12-02T10-51-33Z: it has no CRC64NVME and no checksum over a "
            "whole multipart object, which uploads are verified by"
        ),
    ),
    (
        "warning",
        "minio",
        (
            "MinIO RELEASE.2023-12-02T10-51-33Z: conditional multipart uploads are not judged "
            "correctly, two writers may both win"
        ),
    ),
    (
        "error",
        "mlflow",
        (
            "MLflow 2.9.2: its official image holds no psycopg2, so the server ends at its "
            "start beside PostgreSQL"
        ),
    ),
    (
        "error",
        "mlflow",
        ("MLflow 2.9.2: its official image holds no boto3, so no artifact can be kept in S3"),
    ),
]
