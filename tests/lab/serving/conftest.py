"""A delivery onto KServe, with every real part: registry and ledger here, pods on the lab."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from platform_assets.audits.verification import Places
from platform_assets.models.checkpoint_directory import judge_checkpoint
from platform_assets.models.published_copy import deliver_copy
from platform_assets.models.registered_version import deliver_version
from platform_assets.serving.endpoint import Delivered, Serving, candidate_of, deliver_endpoint
from platform_assets.serving.kserve_provider import KserveProvider
from platform_assets.spec.model.services import Kserve
from resources.kubernetes import Kubernetes
from tests.integration.serving.mlflow import real_mlflow
from tests.integration.serving.postgresql import real_ledger
from tests.lab.inference_services import ACCOUNT, NAMESPACE, ensure_account
from tests.lab.kserve_lab import KserveLab
from tests.lab.kserve_manifests import RUNTIME
from tests.sample_checkpoints import mlflow_checkpoint

ESTATE = "lab"
PODS = {
    "runtime": RUNTIME,
    "resources": {"requests": {"cpu": "100m", "memory": "300Mi"}, "limits": {"memory": "1Gi"}},
}


@dataclass(frozen=True)
class Platform:
    """What a delivery onto the lab needs, and how a test gets a registered checkpoint."""

    kserve_lab: KserveLab
    serving: Serving
    home: Path
    said: list[str] = field(default_factory=list)
    listeners: list[Callable[[str], None]] = field(default_factory=list)

    @property
    def kubernetes(self) -> Kubernetes:
        return self.serving.provider.kubernetes  # type: ignore[attr-defined,no-any-return]

    @property
    def serving_file(self) -> Path:
        return self.home / "serving.yaml"

    @property
    def places(self) -> Places:
        serving = self.serving
        return Places(self.kserve_lab.publisher, serving.mlflow, serving.provider, serving.ledger)

    def declare(self, endpoint: str, **more: Any) -> None:
        """Write the serving file: one model, named like its endpoint."""
        entry = {"endpoint": endpoint, **PODS, **more}
        self.serving_file.write_text(yaml.safe_dump({"models": {endpoint: entry}}))

    def registered(
        self, model: str, run: str, seed: int = 0, make: Callable[..., Path] = mlflow_checkpoint
    ) -> str:
        """Train, seal, publish and register a checkpoint; return its key."""
        directory = make(self.home / "root", model, run, seed=seed)
        judged = judge_checkpoint(directory, self.home / "root", None, datetime.now(UTC))
        store, serving = self.kserve_lab.publisher, self.serving
        deliver_copy(judged, store, serving.ledger, None, print)
        deliver_version(judged.key, store, serving.mlflow, serving.ledger, None)
        return judged.key

    def digest(self, key: str) -> str:
        """Return the tree digest of a registered checkpoint."""
        return candidate_of(key, self.serving.ledger)[0].tree_digest

    def deliver(self, key: str) -> Delivered:
        """Take a registered checkpoint to its endpoint."""

        def progress(words: str) -> None:
            print(words)
            self.said.append(words)
            for listener in self.listeners:
                listener(words)

        return deliver_endpoint(key, self.serving_file, self.serving, "a-run", progress)


@pytest.fixture(scope="session")
def delivering(
    kserve_lab: KserveLab, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    home = tmp_path_factory.mktemp("delivering")
    (home / "mlflow").mkdir()
    ensure_account(kserve_lab)
    kserve = Kserve.model_validate(
        {
            "managed": False,
            "object_store": {"url": kserve_lab.store.url, "secret": ACCOUNT},
            "inference_services": {"namespace": NAMESPACE},
        }
    )
    kubernetes = Kubernetes(kserve_lab.lab.kubeconfig)
    provider = KserveProvider(kubernetes, kserve, ESTATE, kserve_lab.store.bucket)
    with real_mlflow(home / "mlflow") as mlflow, real_ledger() as ledger:
        yield Platform(kserve_lab, Serving(provider, mlflow, ledger), home)


@pytest.fixture
def name(delivering: Platform, request: pytest.FixtureRequest) -> Iterator[str]:
    """Return a name for an endpoint that goes with its test."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:24].strip("-")
    yield name
    delivering.serving.provider.withdraw(name)
