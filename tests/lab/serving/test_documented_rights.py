"""The rights that docs/serving.md asks of a cluster's owner are enough for a whole delivery."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from platform_assets.audits.verification import verify_endpoint
from platform_assets.lineage.verdict import Verdict
from platform_assets.models.verification_reading import Reading
from resources.kubernetes import Kubernetes
from tests.lab.accounts import kubeconfig_of
from tests.lab.inference_services import NAMESPACE
from tests.lab.serving.conftest import Platform

PAGE = Path(__file__).parents[3] / "docs/serving.md"
ACCOUNT = {"name": "ai-how-documented", "namespace": NAMESPACE}
RBAC = "rbac.authorization.k8s.io"


def documented_roles() -> list[dict]:
    """Return Role and ClusterRole of the page, for the lab's namespace."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (text,) = [one for one in blocks if one.startswith(f"apiVersion: {RBAC}")]
    roles = list(yaml.safe_load_all(text))
    for role in roles:
        role["metadata"]["name"] = ACCOUNT["name"]
        if role["kind"] == "Role":
            role["metadata"]["namespace"] = NAMESPACE
    return roles


@pytest.fixture
def limited(delivering: Platform, tmp_path: Path) -> Platform:
    """The platform with the rights of the page and no others."""
    owner = delivering.kubernetes
    kubeconfig = kubeconfig_of(delivering.kserve_lab.lab, ACCOUNT, tmp_path)
    for role in documented_roles():
        owner.apply(role)
        owner.apply(
            {
                "apiVersion": f"{RBAC}/v1",
                "kind": f"{role['kind']}Binding",
                "metadata": role["metadata"],
                "roleRef": {
                    "apiGroup": RBAC,
                    "kind": role["kind"],
                    "name": role["metadata"]["name"],
                },
                "subjects": [{"kind": "ServiceAccount", **ACCOUNT}],
            }
        )
    provider = replace(delivering.serving.provider, kubernetes=Kubernetes(kubeconfig))
    return replace(delivering, serving=replace(delivering.serving, provider=provider))


def test_the_documented_rights_suffice(limited: Platform, name: str) -> None:
    limited.declare(name, gpus=1)
    for run, seed in (("one", 1), ("two", 2)):
        delivered = limited.deliver(limited.registered(name, run, seed=seed))
        assert delivered.decision.outcome == "deployed"
    verification = verify_endpoint(limited.places, name, Reading())
    assert verification.verdict is Verdict.AGREE, verification
    provider = limited.serving.provider
    assert provider.serving()[name].tree_digest == delivered.candidate.tree_digest
    assert provider.evidence()["pods"].records
    provider.withdraw(name)
    assert provider.told(name) is None
