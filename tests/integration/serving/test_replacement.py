"""The live version is replaced while a client never pauses; and what a kill or a refusal leaves."""

import hashlib
import json
import random
import shutil
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from platform_assets.lineage import ids
from platform_assets.lineage.manifest import MANIFEST_NAME, FileEntry, Manifest
from platform_assets.serving.mlserver_endpoint import (
    CandidateRefused,
    ensure_served,
    told_digest,
    write_in_one_step,
)
from platform_assets.serving.provider import Intended, Swap
from platform_assets.spec.applied import AppliedEstate
from resources.model_server import ModelServer
from tests.sample_checkpoints import mlflow_checkpoint

RANDOM = random.Random(0)
ROWS = [[float(RANDOM.randint(0, 16)) for _ in range(64)] for _ in range(200)]
REQUEST: dict[str, Any] = {
    "inputs": [
        {
            "name": "input-0",
            "shape": [len(ROWS), 64],
            "datatype": "FP64",
            "data": [value for row in ROWS for value in row],
        }
    ]
}


def with_manifest(directory: Path) -> Manifest:
    files = [f for f in sorted(directory.rglob("*")) if f.is_file() and f.name != MANIFEST_NAME]
    manifest = Manifest(
        tuple(
            FileEntry(
                f.relative_to(directory).as_posix(),
                f.stat().st_size,
                hashlib.sha256(f.read_bytes()).hexdigest(),
            )
            for f in files
        )
    )
    (directory / MANIFEST_NAME).write_bytes(manifest.to_bytes())
    return manifest


def wanted(applied: AppliedEstate, endpoint: str, seed: int) -> Intended:
    """A copy as it lies on disk after it was fetched."""
    made = mlflow_checkpoint(applied.state / "made", endpoint, f"s{seed}", seed=seed, seal=False)
    digest = with_manifest(made).tree_digest
    directory = applied.served / endpoint / digest
    directory.parent.mkdir(parents=True, exist_ok=True)
    made.rename(directory)
    return intended(endpoint, seed, digest)


def intended(endpoint: str, seed: int, digest: str) -> Intended:
    checkpoint = f"{endpoint}.s{seed}.x"
    return Intended(endpoint, endpoint, str(seed), "mlflow", digest, checkpoint, None)


def directory_of(applied: AppliedEstate, one: Intended) -> Path:
    return applied.served / one.endpoint / one.tree_digest


def serve(
    server: ModelServer, applied: AppliedEstate, one: Intended, directory: Path | None = None
) -> Swap:
    repository = applied.model_repository
    return ensure_served(server, repository, one, directory or directory_of(applied, one))


def configured_digest(repository: Path, endpoint: str) -> str:
    """What the server would serve after a restart of its own."""
    settings = json.loads((repository / endpoint / "model-settings.json").read_text())
    return str(settings["parameters"]["extra"][ids.TREE_DIGEST])


class Client:
    """Sends requests without pause and notes every answer."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: list[tuple[int, str]] = []
        self.failures: list[str] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> "Client":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(120)

    def _ask(self) -> None:
        with httpx.Client(timeout=60) as client:
            while not self._done.is_set():
                try:
                    answer = client.post(self.url, json=REQUEST)
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))
                else:
                    self.answers.append((answer.status_code, answer.text))


def prediction(server: ModelServer, endpoint: str) -> list[int]:
    labels: list[int] = server.infer(endpoint, REQUEST)["outputs"][0]["data"]
    return labels


def predicted_here(directory: Path) -> list[int]:
    """What the model answers in this process, without any server."""
    import mlflow.pyfunc
    import numpy as np

    labels: list[int] = mlflow.pyfunc.load_model(str(directory)).predict(np.array(ROWS)).tolist()
    return labels


def test_two_replacements_fail_no_request_and_the_new_version_answers(
    applied: AppliedEstate, server: ModelServer
) -> None:
    versions = [wanted(applied, "replaced", seed) for seed in (1, 2, 3)]
    expected = [predicted_here(directory_of(applied, version)) for version in versions]
    assert len({tuple(labels) for labels in expected}) == len(expected)
    serve(server, applied, versions[0])
    with Client(server.infer_url("replaced")) as client:
        for version in versions[1:]:
            swap = serve(server, applied, version)
            assert swap.changed
            assert swap.smoke == "answered"
            after = len(client.answers)
            assert told_digest(server, "replaced") == version.tree_digest
            assert server.metadata("replaced")["parameters"][ids.VERSION] == version.version
            while len(client.answers) < after + 20 and client._thread.is_alive():
                threading.Event().wait(0.01)
    assert client.failures == []
    assert {status for status, _ in client.answers} == {200}
    answered = [json.loads(text)["outputs"][0]["data"] for _, text in client.answers]
    came = [expected.index(labels) for labels in answered]  # which version gave each answer
    assert came == sorted(came), "an answer of an older version came after one of a newer"
    assert came[-20:] == [2] * 20
    assert set(came) >= {1, 2}
    assert server.unload("replaced.candidate") is False
    assert list(applied.model_repository.glob("*.candidate")) == []


def test_serving_the_same_again_changes_nothing(
    applied: AppliedEstate, server: ModelServer
) -> None:
    version = wanted(applied, "same", 1)
    assert serve(server, applied, version).changed
    again = serve(server, applied, version)
    assert not again.changed
    assert again.previous_digest == version.tree_digest


def test_a_candidate_that_does_not_load_leaves_the_live_one_alone(
    applied: AppliedEstate, server: ModelServer
) -> None:
    live = wanted(applied, "kept", 1)
    serve(server, applied, live)
    broken = wanted(applied, "kept", 2)
    weights = next(directory_of(applied, broken).rglob("*.skops"))
    weights.write_bytes(b"x" + weights.read_bytes()[1:])
    with pytest.raises(CandidateRefused, match="does not load, what was live is untouched") as told:
        serve(server, applied, broken)
    assert str(weights) in str(told.value)
    assert told_digest(server, "kept") == live.tree_digest
    assert configured_digest(applied.model_repository, "kept") == live.tree_digest
    assert prediction(server, "kept") == predicted_here(directory_of(applied, live))
    assert list(applied.model_repository.glob("*.candidate")) == []


def test_a_candidate_that_does_not_answer_is_refused(
    applied: AppliedEstate, server: ModelServer
) -> None:
    """Its bytes are whole and its signature lies: the model wants 64 numbers, it says 63."""
    made = mlflow_checkpoint(applied.state / "made", "lies", "s1", seed=1, seal=False)
    description = made / "MLmodel"
    description.write_text(description.read_text().replace("[-1, 64]", "[-1, 63]"))
    digest = with_manifest(made).tree_digest
    lying = intended("lies", 1, digest)
    with pytest.raises(CandidateRefused, match="loads, but does not answer"):
        serve(server, applied, lying, made)
    assert told_digest(server, "lies") is None
    assert not (applied.model_repository / "lies").exists()


@pytest.mark.parametrize("killed_after", ["candidate settings", "candidate load", "settings"])
def test_an_attempt_after_a_kill_concludes(
    applied: AppliedEstate, server: ModelServer, killed_after: str
) -> None:
    endpoint = f"killed-{killed_after.replace(' ', '-')}"
    old, new = wanted(applied, endpoint, 1), wanted(applied, endpoint, 2)
    serve(server, applied, old)
    settings = applied.model_repository / endpoint / "model-settings.json"
    left = json.loads(settings.read_text())
    left["parameters"]["uri"] = str(directory_of(applied, new))
    left["parameters"]["extra"][ids.TREE_DIGEST] = new.tree_digest
    if killed_after == "settings":
        write_in_one_step(settings, json.dumps(left).encode())
    else:
        left["name"] = f"{endpoint}.candidate"
        file = applied.model_repository / f"{endpoint}.candidate" / "model-settings.json"
        write_in_one_step(file, json.dumps(left).encode())
        if killed_after == "candidate load":
            server.load(f"{endpoint}.candidate")
    assert told_digest(server, endpoint) == old.tree_digest
    serve(server, applied, new)
    assert told_digest(server, endpoint) == new.tree_digest
    assert configured_digest(applied.model_repository, endpoint) == new.tree_digest
    assert told_digest(server, f"{endpoint}.candidate") is None
    assert list(applied.model_repository.glob("*.candidate")) == []
    shutil.rmtree(applied.model_repository / endpoint)
    server.unload(endpoint)
