"""The real parts of serving, started directly: model server, object store, MLflow, ledger."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from platform_assets.lineage.ledger import Ledger
from platform_assets.models.checkpoint_directory import judge_checkpoint
from platform_assets.models.published_copy import deliver_copy
from platform_assets.models.registered_version import deliver_version
from platform_assets.serving.endpoint import Serving
from platform_assets.serving.mlserver_provider import MlserverProvider
from platform_assets.spec.applied import AppliedEstate
from resources.mlflow import Mlflow
from resources.model_server import ModelServer
from resources.object_store import ObjectStore
from tests.integration.guards.programs import Server, applied_in, free_port, running
from tests.integration.serving.mlflow import real_mlflow
from tests.integration.serving.object_store import seaweedfs
from tests.integration.serving.postgresql import real_ledger
from tests.sample_checkpoints import huggingface_checkpoint, mlflow_checkpoint


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> AppliedEstate:
    return applied_in(tmp_path_factory.mktemp("serving"))


@pytest.fixture(scope="module")
def program(applied: AppliedEstate) -> Iterator[Server]:
    port = free_port()
    command = ["-m", "ai_how.model_server", "--http-port", str(port)]
    environment = {"AI_HOW_STATE": str(applied.state)}
    log = applied.state / "model-server.log"
    with running(command, environment, log, port, "/v2/health/ready") as server:
        yield server


@pytest.fixture(scope="module")
def server(program: Server) -> ModelServer:
    return ModelServer(program.url)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as store:
        yield store


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    with real_mlflow(tmp_path_factory.mktemp("mlflow")) as mlflow:
        yield mlflow


@pytest.fixture(scope="module")
def ledger() -> Iterator[Ledger]:
    with real_ledger() as ledger:
        yield ledger


@dataclass(frozen=True)
class Platform:
    """What a delivery needs, and how a test gets a registered checkpoint."""

    applied: AppliedEstate
    serving: Serving
    program: Server

    def registered(
        self,
        run: str,
        *,
        model: str = "digits",
        seed: int = 0,
        make: Callable[..., Path] = mlflow_checkpoint,
    ) -> str:
        """Train, seal, publish and register a checkpoint; return its key."""
        root = self.applied.checkpoint_root
        seeded: dict[str, Any] = {} if make is huggingface_checkpoint else {"seed": seed}
        directory = make(root, model, run, **seeded)
        judged = judge_checkpoint(directory, root, None, datetime.now(UTC))
        deliver_copy(judged, self.serving.provider.store, self.serving.ledger, None, print)
        deliver_version(
            judged.key, self.serving.provider.store, self.serving.mlflow, self.serving.ledger, None
        )
        return judged.key


@pytest.fixture(scope="module")
def delivering(  # noqa: PLR0917 - every part of a delivery
    applied: AppliedEstate,
    program: Server,
    server: ModelServer,
    store: ObjectStore,
    mlflow: Mlflow,
    ledger: Ledger,
) -> Platform:
    models = {"digits": {"endpoint": "digits"}, "words": {"endpoint": "words"}}
    applied.serving_file.write_text(json.dumps({"models": models}))
    provider = MlserverProvider(server, store, applied.served, applied.model_repository)
    serving = Serving(provider, mlflow, ledger)
    return Platform(applied, serving, program)
