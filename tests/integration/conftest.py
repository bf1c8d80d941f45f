"""Real parts of the platform for tests that need them, each started once and as late as possible.

Two platforms: `components` starts the parts that are asked for, one after the other, without
Dagster; `platform` is what `ai-how up` makes. Both lie in directories of their own.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ai_how.embedded.layout import Layout
from ai_how.embedded.platform import bring_up
from ai_how.embedded.shutdown import purge, take_down
from platform_assets.spec.applied import AppliedEstate, read_applied
from resources.mlflow import Mlflow
from resources.model_server import ModelServer
from resources.object_store import ObjectStore

COMMAND = [sys.executable, "-c", "from ai_how.cli.main import main; main()"]
COMMAND_S = 420
SERVING = "models:\n  digits:\n    endpoint: digits\n    promotion: automatic\n"


@dataclass(frozen=True)
class Installation:
    """A platform with a home of its own; whether it runs is the test's matter."""

    home: Path

    @property
    def state(self) -> Path:
        return self.home / "state"

    @property
    def layout(self) -> Layout:
        return Layout(self.state)

    @property
    def checkpoint_root(self) -> Path:
        return self.home / "checkpoints"

    @property
    def serving_file(self) -> Path:
        return self.home / "serving.yaml"

    @property
    def estate_file(self) -> Path:
        return self.home / "estate.yaml"

    @property
    def applied(self) -> AppliedEstate:
        return read_applied(self.state)

    @property
    def environment(self) -> dict[str, str]:
        ours = {"AI_HOW_STATE": str(self.state), "AI_HOW_CONFIG": str(self.estate_file)}
        # Wide enough that no path is folded in the middle of an assertion.
        return os.environ | ours | {"COLUMNS": "200", "NO_COLOR": "1"}

    def run(self, *arguments: str, timeout_s: float = COMMAND_S) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*COMMAND, *arguments],
            env=self.environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def declare(self, name: str = "test", serving: str = SERVING) -> None:
        self.serving_file.write_text(serving)
        self.estate_file.write_text(
            f"name: {name}\ncheckpoint_root: {self.checkpoint_root}\nserving: {self.serving_file}\n"
        )


@pytest.fixture(scope="session")
def installation() -> Iterator[Callable[[], Installation]]:
    """Give new installations; at the end all of them are taken down and removed."""
    made: list[tuple[Installation, tempfile.TemporaryDirectory]] = []

    def make() -> Installation:
        # Not pytest's own directory: users other than root must be able to walk through it.
        directory = tempfile.TemporaryDirectory(prefix="ai-how-test-")
        home = Path(directory.name)
        home.chmod(0o755)
        new = Installation(home)
        new.declare()
        new.checkpoint_root.mkdir()
        made.append((new, directory))
        return new

    yield make
    for one, directory in made:
        take_down(one.layout)
        purge(one.layout, "test", "test")
        directory.cleanup()


@pytest.fixture(scope="session")
def components(installation) -> Callable[..., AppliedEstate]:
    """Return a function that sees to it that the named parts run, and gives their estate."""
    one = installation()
    wanted: set[str] = set()

    def ensure(*names: str) -> AppliedEstate:
        if not wanted.issuperset(names):
            wanted.update(names)
            before = os.environ.get("AI_HOW_CONFIG")
            os.environ["AI_HOW_CONFIG"] = str(one.estate_file)
            try:
                bring_up(one.state, lambda _part, _what: None, only=frozenset(wanted))
            finally:
                if before is None:
                    del os.environ["AI_HOW_CONFIG"]
                else:
                    os.environ["AI_HOW_CONFIG"] = before
        return one.applied

    return ensure


@pytest.fixture(scope="session")
def postgresql(components) -> AppliedEstate:
    """PostgreSQL with roles, databases and the ledger's schema: ask `.database_url(role, db)`."""
    return components("postgresql")


@pytest.fixture(scope="session")
def object_store(components) -> ObjectStore:
    """The bucket of models, as the publisher sees it."""
    applied = components("seaweedfs")
    return ObjectStore(applied.addresses.s3_url, "models", applied.secrets / "s3-publisher.json")


@pytest.fixture(scope="session")
def reader_store(components) -> ObjectStore:
    """The bucket of models, as a model server sees it."""
    applied = components("seaweedfs")
    return ObjectStore(applied.addresses.s3_url, "models", applied.secrets / "s3-reader.json")


@pytest.fixture(scope="session")
def mlflow_server(components) -> Mlflow:
    """MLflow with its database and its bucket."""
    applied = components("postgresql", "seaweedfs", "mlflow")
    return Mlflow(applied.addresses.mlflow_url, applied.secrets / "mlflow-credentials.ini")


@pytest.fixture(scope="session")
def model_server(components) -> ModelServer:
    """MLServer with an empty repository: its estate is that of `postgresql` and the others."""
    return ModelServer(components("model-server").addresses.model_server_url)


@pytest.fixture(scope="session")
def platform(installation) -> Installation:
    """The whole platform, as `ai-how up` brings it up."""
    one = installation()
    answer = one.run("up")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return one
