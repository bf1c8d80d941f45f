"""What an API server's refusals mean: whether they may pass, and who can do something about it."""

import pytest

from resources.kubernetes_errors import KubernetesRefused, KubernetesUnavailable, error_of

DENIED = 'admission webhook "inferenceservice.kserve-webhook-server.defaulter" denied the request: '
READ = 'Get "https://10.96.0.1:443/api/v1/namespaces/kserve/configmaps/inferenceservice-config": '


@pytest.mark.parametrize(
    "reason",
    [
        "dial tcp 10.96.0.1:443: connect: connection refused",
        "read tcp 10.0.0.1:4->10.96.0.1:443: read: connection reset by peer",
        "EOF",
    ],
)
def test_a_webhook_that_reaches_nobody_may_work_later(reason: str) -> None:
    error = error_of(403, {"message": DENIED + READ + reason}, "apply", "the administrator")
    assert isinstance(error, KubernetesUnavailable)
    assert "a webhook of the cluster is failing" in str(error)


def test_what_a_webhook_does_not_allow_is_no_want_of_rights() -> None:
    told = {"message": DENIED + "the InferenceService is invalid"}
    error = error_of(403, told, "apply", "the administrator")
    assert isinstance(error, KubernetesRefused)
    assert "a webhook of the cluster does not allow it" in str(error)
    assert "lacks that right" not in str(error)


def test_a_right_that_is_lacking_is_the_owners_to_give() -> None:
    error = error_of(403, {"message": "pods is forbidden"}, "list", "the reader")
    assert isinstance(error, KubernetesRefused)
    assert "the reader lacks that right" in str(error)
