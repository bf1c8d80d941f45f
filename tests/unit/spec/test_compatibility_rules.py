"""Each rule about versions: one failing case with its exact words, one that passes."""

from datetime import date
from pathlib import Path

import pytest

from platform_assets.spec.compatibility import DEFAULT_FILE, Pin, load_compatibility
from platform_assets.spec.compatibility_rules import check_compatibility, nearest_first
from platform_assets.spec.findings import Finding, Severity

ROOT = Path(__file__).parents[3]
TABLE = load_compatibility((ROOT / DEFAULT_FILE).read_text(encoding="utf-8"), DEFAULT_FILE)
TODAY = date(2026, 11, 21)
KUBESPRAY = "[github.com/kubernetes-sigs/kubespray at v2.31.0: {}checksums.yml]".format(
    "roles/kubespray_defaults/vars/main/"
)
SUGGEST = "; `ai-how config suggest` proposes a whole set"


def check(today: date = TODAY, production: bool = False, **versions: str) -> list[Finding]:
    pins = {name: Pin(version, ("versions", name)) for name, version in versions.items()}
    return check_compatibility(pins, TABLE, today, production=production)


def only(rule: str, found: list[Finding]) -> Finding:
    (finding,) = [each for each in found if each.rule == rule]
    return finding


def none(rule: str, found: list[Finding]) -> bool:
    return all(finding.rule != rule for finding in found)


def test_the_recommended_versions_have_no_error_and_one_warning() -> None:
    found = check(production=True, **TABLE.recommended)
    assert [each.severity for each in found if each.severity is not Severity.NOTE] == ["warning"]


def test_what_is_no_version_is_an_error() -> None:
    finding = only("version-malformed", check(kserve="0.11.x", kubernetes="1.35.4"))
    assert finding.severity is Severity.ERROR
    assert finding.path == ("versions", "kserve")
    assert finding.message == (
        "KServe: expected a version such as 1.35.4, v1.35.4 or 1.35, found '0.11.x'"
    )
    assert finding.remedy == "write 0.20.0"
    assert none("version-malformed", check(kserve="0.20.0"))


def test_what_is_newer_than_the_table_is_not_passed_over() -> None:
    finding = only("version-unknown", check(kubespray="v2.32.0"))
    assert finding.severity is Severity.WARNING
    assert finding.message == (
        "Kubespray 2.32.0 is not in the table, so nothing is known about it; known are 2.26.0, "
        "2.26.1, 2.27.0, 2.27.1, 2.28.0, 2.28.1, 2.29.0, 2.29.1, 2.30.0, 2.31.0 (it is newer than "
        "all of them)"
    )
    assert finding.remedy == "take 2.31.0, or add an entry to the table of compatibility"
    assert none("version-unknown", check(kubespray="v2.31.0"))


def test_what_is_older_than_the_table_or_a_pre_release_is_said_too() -> None:
    older = only("version-unknown", check(calico="3.1.0", kubespray="2.31.0"))
    assert older.message == (
        "Calico 3.1.0 is not in the table, so nothing is known about it; known are 3.25, 3.26, "
        "3.27, 3.28, 3.29, 3.30, 3.31, 3.32"
    )
    early = only("version-unknown", check(kserve="0.20.0rc1"))
    assert early.message.startswith("KServe 0.20.0rc1 is a pre-release, so nothing is known")
    system = only("version-unknown", check(os="debian 14"))
    assert system.message.endswith("(it is newer than all of them)")
    assert not only("version-unknown", check(os="arch 1")).message.endswith("of them)")


def test_a_contradiction_is_an_error_at_what_yields() -> None:
    finding = only("versions-contradict", check(kubespray="2.31.0", kubernetes="1.36.4"))
    assert finding.severity is Severity.ERROR
    assert finding.path == ("versions", "kubernetes")
    assert finding.message == (
        "Kubespray 2.31.0 (versions.kubespray) works with Kubernetes 1.33.0 - 1.33.11, "
        f"1.34.0 - 1.34.7, 1.35.0 - 1.35.4, found 1.36.4 {KUBESPRAY}"
    )
    assert finding.remedy == f"take Kubernetes 1.35.4{SUGGEST}"
    assert none("versions-contradict", check(kubespray="2.31.0", kubernetes="1.35.4"))


def test_a_contradiction_with_what_stands_below_names_its_place() -> None:
    own = [
        each
        for each in check(kubespray="2.31.0", kubernetes="1.35.4", cert_manager="1.18.6")
        if each.rule == "versions-contradict"
    ]
    assert [(each.path, each.message, each.remedy) for each in own] == [
        (
            ("versions", "cert_manager"),
            (
                "cert-manager 1.18.6 works with Kubernetes 1.29 - 1.33, found Kubernetes 1.35.4 "
                "(versions.kubernetes) [github.com/cert-manager/website: "
                "content/docs/releases/README.md (seen 2026-08-22)]"
            ),
            "take cert-manager 1.20.3" + SUGGEST,
        )
    ]


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        (
            {"kubespray": "2.28.1", "os": "debian 13"},
            {"kubespray": "2.29.0", "os": "debian 13"},
            (
                "Kubespray 2.28.1 works with debian 11, debian 12, ubuntu 20.04, ubuntu 22.04, "
                "ubuntu 24.04, rhel 8, rhel 9, rocky 8, rocky 9, found debian 13 (versions.os)"
            ),
        ),
        (
            {"kubespray": "2.31.0", "ansible_core": "2.21.5"},
            {"kubespray": "2.31.0", "ansible_core": "2.18.19"},
            "Kubespray 2.31.0 (versions.kubespray) works with ansible-core 2.18, found 2.21.5",
        ),
        (
            {"kubespray": "2.31.0", "containerd": "2.3.4"},
            {"kubespray": "2.31.0", "containerd": "2.0.8"},
            (
                "Kubespray 2.31.0 (versions.kubespray) works with containerd 1.7.0 - 1.7.31, "
                "2.0.0 - 2.0.8, 2.1.0 - 2.1.7, 2.2.0 - 2.2.3, found 2.3.4"
            ),
        ),
        (
            {"kubespray": "2.29.0", "calico": "3.27.3"},
            {"kubespray": "2.29.0", "calico": "v3.30.3"},
            (
                "Kubespray 2.29.0 (versions.kubespray) works with Calico 3.28.0 - 3.28.5, "
                "3.29.0 - 3.29.6, 3.30.0 - 3.30.3, found 3.27.3"
            ),
        ),
        (
            {"kubernetes": "1.36.4", "containerd": "1.7.30", "kubespray": "9.9.9"},
            {"kubernetes": "1.35.4", "containerd": "1.7.30", "kubespray": "9.9.9"},
            (
                "containerd 1.7.30 works with Kubernetes 1.35 or older, found Kubernetes 1.36.4 "
                "(versions.kubernetes); 1.35 is the last release that takes containerd 1.x"
            ),
        ),
        (
            {"kubernetes": "1.31.4", "kserve": "0.20.0", "kubespray": "2.27.0"},
            {"kubernetes": "1.32.5", "kserve": "0.20.0", "kubespray": "2.28.0"},
            "KServe 0.20.0 works with Kubernetes 1.32 or newer, found Kubernetes 1.31.4",
        ),
        (
            {"cert_manager": "1.14.7", "kserve": "0.20.0"},
            {"cert_manager": "1.20.3", "kserve": "0.20.0"},
            (
                "KServe 0.20.0 works with cert-manager 1.15 or newer, found cert-manager 1.14.7 "
                "(versions.cert_manager)"
            ),
        ),
        (
            {"kubernetes": "1.33.5", "knative": "1.23.0", "kubespray": "2.29.0"},
            {"kubernetes": "1.34.3", "knative": "1.23.0", "kubespray": "2.30.0"},
            "Knative Serving 1.23.0 works with Kubernetes 1.34 or newer, found Kubernetes 1.33.5",
        ),
        (
            {"kubernetes": "1.35.4", "gpu_operator": "v25.3.3", "kubespray": "2.31.0"},
            {"kubernetes": "1.35.4", "gpu_operator": "v26.7.0", "kubespray": "2.31.0"},
            "NVIDIA GPU Operator 25.3.3 works with Kubernetes 1.29 - 1.33, found Kubernetes 1.35.4",
        ),
        (
            {"kubernetes": "1.34.3", "ingress_nginx": "1.13.3", "kubespray": "2.30.0"},
            {"kubernetes": "1.33.5", "ingress_nginx": "1.13.3", "kubespray": "2.30.0"},
            "ingress-nginx 1.13.3 works with Kubernetes 1.29 - 1.33, found Kubernetes 1.34.3",
        ),
    ],
)
def test_every_pair_of_the_stack_is_held(
    wrong: dict[str, str], right: dict[str, str], message: str
) -> None:
    assert only("versions-contradict", check(**wrong)).message.startswith(message)
    assert none("versions-contradict", check(**right))


@pytest.mark.parametrize(
    ("wrong", "right", "message", "remedy"),
    [
        (
            {"gpu_operator": "26.7.0", "os": "debian 13"},
            {"gpu_operator": "26.7.0", "os": "ubuntu 24.04"},
            (
                "NVIDIA GPU Operator 26.7.0 is tested with ubuntu 22.04, ubuntu 24.04, "
                "ubuntu 26.04, rhel 8, rhel 9, rhel 10, rocky 8, rocky 9, rocky 10, found "
                "debian 13 (versions.os); there is no driver image for another system, "
                "the operator cannot install the driver there "
                "[github.com/NVIDIA/cloud-native-docs at e8832910: "
                "gpu-operator/platform-support.rst]"
            ),
            "set driver.enabled to false and install the driver on the host",
        ),
        (
            {"gpu_operator": "26.7.0", "nvidia_driver": "580.178.04"},
            {"gpu_operator": "26.7.0", "nvidia_driver": "595.91.07"},
            (
                "NVIDIA GPU Operator 26.7.0 (versions.gpu_operator) is tested with NVIDIA driver "
                "610.57.04, 595.91.07, 580.173.02, 535.309.01, found 580.178.04 "
                "[github.com/NVIDIA/cloud-native-docs at e8832910: "
                "gpu-operator/platform-support.rst]"
            ),
            f"take NVIDIA driver 580.173.02{SUGGEST}",
        ),
        (
            {"kserve": "0.20.0", "knative": "1.23.0"},
            {"kserve": "0.20.0", "knative": "1.21.3"},
            (
                "KServe 0.20.0 is tested with Knative Serving 1.19 - 1.21, found Knative Serving "
                "1.23.0 (versions.knative) [github.com/kserve/website: "
                "versioned_docs/version-0.20/admin-guide]"
            ),
            f"take Knative Serving 1.21.3 (past its end of life){SUGGEST}",
        ),
    ],
)
def test_what_nobody_tested_is_a_warning(
    wrong: dict[str, str], right: dict[str, str], message: str, remedy: str
) -> None:
    finding = only("versions-untested", check(**wrong))
    assert finding.severity is Severity.WARNING
    assert (finding.message, finding.remedy) == (message, remedy)
    assert none("versions-untested", check(**right))


def test_the_end_of_life_is_a_warning_and_an_error_in_production() -> None:
    pins = {"kubespray": "2.31.0", "kubernetes": "1.34.7"}
    finding = only("end-of-life", check(**pins))
    assert finding.severity is Severity.WARNING
    assert finding.message == (
        "Kubernetes 1.34.7 reached its end of life on 2026-10-27 "
        "[https://endoflife.date/kubernetes (seen 2026-08-22)]"
    )
    assert finding.remedy == "take 1.35.4"
    assert only("end-of-life", check(production=True, **pins)).severity is Severity.ERROR
    assert none("end-of-life", check(today=date(2026, 10, 27), **pins))
    assert only("end-of-life", check(today=date(2026, 10, 28), **pins))


def test_the_remedy_of_an_end_says_when_others_must_move() -> None:
    pins = {"kubespray": "2.29.0", "kubernetes": "1.33.5"}
    assert only("end-of-life", check(**pins)).remedy == (
        "take 1.35.4, and with it others: `ai-how config suggest` proposes a whole set"
    )
    far = only("end-of-life", check(today=date(2040, 1, 1), kubernetes="1.36.4", kubespray="9.9"))
    assert far.remedy == "no version in the table is maintained; add a newer entry to it"


def test_the_end_of_a_project_names_what_takes_its_place() -> None:
    finding = only("end-of-life", check(minio="RELEASE.2025-10-15T17-29-55Z"))
    assert finding.message == (
        "MinIO RELEASE.2025-10-15T17-29-55Z reached its end of life on 2026-04-25: its repository "
        "is archived, nobody mends it, and its download site withdrew the old builds "
        "[https://github.com/minio/minio]"
    )
    assert finding.remedy == "use SeaweedFS 4.48, or another S3 that keeps conditional puts"
    assert none("end-of-life", check(seaweedfs="4.48"))


def test_the_addon_that_kubespray_dropped_is_said() -> None:
    pins = {"kubespray": "2.31.0", "ingress_nginx": "1.15.1"}
    finding = only("version-defect", check(**pins))
    assert finding.severity is Severity.WARNING
    assert finding.message.startswith(
        "Kubespray 2.31.0: Kubespray has no ingress-nginx addon from 2.31.0 on, "
        "ingress_nginx_enabled does nothing"
    )
    assert none("version-defect", check(kubespray="2.30.0", ingress_nginx="1.13.3"))
    assert none("version-defect", check(kubespray="2.31.0"))


def test_mlflow_without_drivers_is_an_error_only_beside_what_needs_them() -> None:
    assert none("version-defect", check(mlflow="2.9.2"))
    finding = only("version-defect", check(mlflow="2.9.2", postgresql="17.11"))
    assert finding.severity is Severity.ERROR
    assert finding.message == (
        "MLflow 2.9.2: its official image holds no psycopg2, so the server ends at its start "
        "beside PostgreSQL [github.com/mlflow/mlflow: docker/README.md; "
        "github.com/mlflow/mlflow/issues/9513]"
    )
    later = only("version-defect", check(mlflow="3.17.2", postgresql="17.11"))
    assert later.severity is Severity.NOTE


def test_the_form_that_goes_to_ansible_is_told() -> None:
    finding = only("version-form", check(kubespray="v2.31.0", kubernetes="v1.35.4"))
    assert finding.severity is Severity.NOTE
    assert finding.message == (
        "Kubernetes 'v1.35.4' goes to Ansible as '1.35.4': Kubespray 2.31.0 takes versions "
        "without `v`, and fails on the other form"
    )
    assert finding.remedy == "write '1.35.4'"
    assert none("version-form", check(kubespray="v2.31.0", kubernetes="1.35.4"))
    old = only("version-form", check(kubespray="v2.27.1", kubernetes="1.30.4"))
    assert old.message == (
        "Kubernetes '1.30.4' goes to Ansible as 'v1.30.4': Kubespray 2.27.1 takes versions "
        "with `v`, and fails on the other form"
    )


def test_a_version_without_patch_cannot_be_installed() -> None:
    finding = only("version-form", check(kubespray="v2.31.0", kubernetes="1.35"))
    assert finding.severity is Severity.WARNING
    assert finding.message == (
        "Kubernetes '1.35' names no patch release, and Kubespray installs only releases that it "
        "has a checksum for"
    )
    assert finding.remedy == "write '1.35.4', in quotes"
    assert none("versions-contradict", check(kubespray="v2.31.0", kubernetes="1.35"))


def test_without_kubespray_the_newest_is_meant_and_said() -> None:
    found = check(kubernetes="1.36.4")
    finding = only("kubespray-unnamed", found)
    assert finding.severity is Severity.NOTE
    assert finding.message == (
        "no version of Kubespray is named; the newest in the table, 2.31.0, is meant"
    )
    assert finding.remedy == "name kubespray v2.31.0, so that a newer table changes nothing"
    assert only("versions-contradict", found).message.startswith(
        "Kubespray 2.31.0 works with Kubernetes 1.33.0 - 1.33.11,"
    )
    several = check(kubernetes="1.35.4", containerd="2.2.3", mlflow="3.17.2")
    assert only("kubespray-unnamed", several).path == ("versions", "kubernetes")
    assert none("kubespray-unnamed", check(kubernetes="1.35.4", kubespray="2.31.0"))
    assert none("kubespray-unnamed", check(mlflow="3.17.2"))


def test_nothing_pinned_is_nothing_found() -> None:
    assert check() == []


def test_near_is_the_same_series_then_newer_then_older() -> None:
    near = nearest_first("kubernetes", "1.33.6", TABLE)
    assert near[:6] == ["1.33.13", "1.33.11", "1.33.7", "1.33.5", "1.34.11", "1.34.7"]
    assert nearest_first("os", "debian 12", TABLE)[:3] == ["debian 12", "debian 13", "debian 11"]


def test_only_a_version_after_all_others_is_newer() -> None:
    newer = " (it is newer than all of them)"
    assert newer in only("version-unknown", check(mlflow="99.0.0")).message
    for between in ("3.16.9", "1.0.0"):
        assert newer not in only("version-unknown", check(mlflow=between)).message


def test_a_project_ends_when_its_day_is_over() -> None:
    release = "RELEASE.2025-10-15T17-29-55Z"
    assert none("end-of-life", check(date(2026, 4, 25), minio=release))
    assert only("end-of-life", check(date(2026, 4, 26), minio=release)).path[-1] == "minio"
