"""Rules about models that are served on Kubernetes: each offence with what a person reads."""

from typing import Any

import pytest

from platform_assets.spec.rules import serving, serving_placement
from platform_assets.spec.rules.all_rules import RULES
from platform_assets.spec.rules.grounds import Rule
from tests.unit.spec.rules.sound import GONE, GROUNDS, estate, line, said

KSERVE = "clusters/cloud/mlops/serving/kserve"
AT = "clusters.cloud.mlops.serving.kserve"
DIGEST = "@sha256:" + "0" * 64
SERVED: dict[str, Any] = {
    "placement/serving": "kubernetes",
    "clusters/cloud/kubernetes/kubeconfig": ".lab/kubeconfig",
    f"{KSERVE}/images/manager": "docker.io/kserve/kserve-controller:v0.20.0" + DIGEST,
    f"{KSERVE}/manifests": "kserve",
    f"{KSERVE}/images/storage_container": "registry.example.org/storage-container" + DIGEST,
    f"{KSERVE}/object_store/url": "http://10.213.0.1:8333",
}


def served(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the keys that serve models on Kubernetes, changed; `GONE` leaves one of them out."""
    whole = SERVED | (changes or {})
    return {key: value for key, value in whole.items() if value is not GONE or key not in SERVED}


ALONE = {
    "metadata/name": "alone",
    "clusters": {
        "cloud": {
            "kubernetes": {"kubeconfig": "~/.kube/config"},
            "mlops": {
                "serving": {
                    "kserve": {
                        "managed": False,
                        "images": {"storage_container": "registry.example.org/sc" + DIGEST},
                        "object_store": {"url": "https://s3.example.org"},
                        "inference_services": {"namespace": "models"},
                    }
                }
            },
        }
    },
    "placement/serving": "kubernetes",
    "images": {},
    "backup": {},
}

OFFENCES: list[tuple[Rule, dict[str, Any], list[str]]] = [
    (
        serving_placement.managed_without_source,
        served({f"{KSERVE}/manifests": GONE, f"{KSERVE}/images/manager": GONE}),
        [
            f"{AT}.{key}: kserve is managed, and kserve.{key} is not set -> name a checkout of "
            "github.com/kserve/kserve and the manager's image with its digest, or set managed to "
            "false where the cluster's owner provides KServe"
            for key in ("manifests", "images.manager")
        ],
    ),
    (
        serving_placement.serving_without_kserve,
        served({f"{KSERVE}/enabled": False}),
        [
            (
                f"placement.serving: models are to be served on kubernetes, but {AT} is not "
                "declared or not enabled -> declare it (managed: false where the cluster's owner "
                "provides it), or set placement.serving to host"
            )
        ],
    ),
    (
        serving_placement.serving_without_cluster,
        served(
            {"clusters/cloud/kubernetes/kubeconfig": GONE, "clusters/cloud/control_plane": GONE}
        ),
        [
            (
                "placement.serving: models are to be served on kubernetes, but no cluster is "
                "known: neither clusters.cloud.kubernetes.kubeconfig nor machines of a control "
                "plane are declared -> set clusters.cloud.kubernetes.kubeconfig to the file of an "
                "existing cluster, or declare its machines"
            )
        ],
    ),
    (
        serving_placement.storage_container_missing,
        served({f"{KSERVE}/images/storage_container": GONE}),
        [
            (
                f"{AT}.images: images.storage_container is not set: no pod could tell which bytes "
                "it serves -> push images/storage-container to a registry that the nodes reach, "
                "and name it with its digest"
            )
        ],
    ),
    (
        serving_placement.image_without_digest,
        served(
            {
                f"{KSERVE}/images/manager": "kserve:v0.20.0",
                f"{KSERVE}/images/storage_container": "sc:latest",
            }
        ),
        [
            (
                f"[warning] {AT}.images.manager: 'kserve:v0.20.0' names no digest: what its tag "
                "means may change -> write it as in kserve:v0.20.0@sha256:<64 hex digits>"
            ),
            (
                f"[warning] {AT}.images.storage_container: 'sc:latest' names no digest: what its "
                "tag means may change -> write it as in sc:latest@sha256:<64 hex digits>"
            ),
        ],
    ),
    (
        serving_placement.pods_without_object_store,
        served({f"{KSERVE}/object_store/url": GONE}),
        [
            (
                f"{AT}: kserve.object_store is not declared: pods would not know where models lie "
                "-> declare its url as pods reach it, as in {url: http://192.168.200.1:8333}"
            )
        ],
    ),
    (
        serving_placement.object_store_of_pods,
        served({f"{KSERVE}/object_store/url": "http://127.0.0.1:8333"}),
        [
            (
                f"{AT}.object_store.url: 127.0.0.1 is, for a pod, the pod itself: it never reaches "
                "the object store there -> write an address that pods reach, as in "
                "http://192.168.200.1:8333, and let it answer there"
            )
        ],
    ),
    (
        serving_placement.object_store_of_pods,
        served({f"{KSERVE}/object_store/url": "10.0.0.1:8333"}),
        [
            (
                f"{AT}.object_store.url: '10.0.0.1:8333' is no URL of an S3 server -> write "
                "scheme, host and port, as in http://192.168.200.1:8333"
            )
        ],
    ),
    (
        serving_placement.object_store_of_pods,
        served({f"{KSERVE}/object_store": {"url": "http://s3/models", "secret": "Key"}}),
        [
            (
                f"{AT}.object_store.url: 'http://s3/models' has more than scheme, host and port -> "
                "write only these, as in http://192.168.200.1:8333; the key stands in the Secret"
            ),
            (
                f"{AT}.object_store.secret: 'Key' is no name of a Secret -> expected at most 253 "
                "lower-case letters, digits and '-', beginning and ending with a letter or digit, "
                "in parts divided by '.'"
            ),
        ],
    ),
]


@pytest.mark.parametrize(("rule", "changes", "expected"), OFFENCES)
def test_an_offence_is_told(rule: Rule, changes: dict[str, Any], expected: list[str]) -> None:
    assert said(rule, changes) == expected


def test_each_rule_has_an_offence() -> None:
    assert {rule for rule, _, _ in OFFENCES} == set(serving_placement.SERVING_PLACEMENT_RULES)


@pytest.mark.parametrize(
    "host", ["localhost", "a.localhost", "127.3.2.1", "[::1]", "0.0.0.0", "LOCALHOST"]
)
def test_whatever_means_the_pod_itself_is_told(host: str) -> None:
    changes = served({f"{KSERVE}/object_store/url": f"http://{host}:8333"})
    [words] = said(serving_placement.object_store_of_pods, changes)
    assert "is, for a pod, the pod itself" in words


@pytest.mark.parametrize("more", ["/models", "?a=b", "#a"])
def test_more_than_scheme_host_and_port_is_told(more: str) -> None:
    url = f"http://s3:8333{more}"
    [words] = said(
        serving_placement.object_store_of_pods, served({f"{KSERVE}/object_store/url": url})
    )
    assert f"{url!r} has more than scheme, host and port" in words
    user = served({f"{KSERVE}/object_store/url": "http://key@s3:8333"})
    assert len(said(serving_placement.object_store_of_pods, user)) == 1


@pytest.mark.parametrize("url", ["http://[", "http://a:port", "ftp://a:1", "http://", "http://a:0"])
def test_what_is_no_url_is_told(url: str) -> None:
    changes = served({f"{KSERVE}/object_store/url": url})
    [words] = said(serving_placement.object_store_of_pods, changes)
    assert "is no URL of an S3 server" in words


@pytest.mark.parametrize(
    "changes",
    [
        served(),
        served({"clusters/cloud/kubernetes/kubeconfig": GONE}),
        served({"clusters/cloud/kubernetes/cert_manager": GONE}),
        served({f"{KSERVE}/managed": False, f"{KSERVE}/images/manager": "kserve:v0.20.0"}),
        served({f"{KSERVE}/object_store": {"url": "https://seaweedfs.mlops.svc", "secret": "s3"}}),
        {"clusters/cloud/kubernetes/cert_manager": GONE, f"{KSERVE}/managed": False},
        ALONE,
    ],
)
def test_it_passes(changes: dict[str, Any]) -> None:
    declared = estate(changes)
    assert [line(finding) for rule in RULES for finding in rule(declared, GROUNDS)] == []


def test_a_managed_kserve_beside_the_host_still_needs_certificates() -> None:
    changes = {"clusters/cloud/kubernetes/cert_manager": GONE}
    assert len(said(serving.cert_manager_missing, changes)) == 1
