"""Kubeconfigs of service accounts, for tests that look at a cluster with somebody else's rights."""

from collections.abc import Mapping
from pathlib import Path

import yaml

from resources.kubernetes import Kubernetes
from tests.lab.lab import Lab


def kubeconfig_of(lab: Lab, account: Mapping[str, str], directory: Path) -> Path:
    """Make the service account, and return a kubeconfig that speaks as it."""
    made = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": dict(account)}
    Kubernetes(lab.kubeconfig).apply(made)
    path = f"/api/v1/namespaces/{account['namespace']}/serviceaccounts/{account['name']}/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = lab.api.create(path, request)["status"]["token"]
    declared = yaml.safe_load(lab.kubeconfig.read_text())
    declared["users"][0]["user"] = {"token": token}
    kubeconfig = directory / "kubeconfig"
    kubeconfig.touch(0o600)
    kubeconfig.write_text(yaml.safe_dump(declared))
    return kubeconfig
