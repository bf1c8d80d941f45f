"""The real model server: which bytes it serves, what it refuses, what cannot stop it."""

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from platform_assets.lineage.manifest import FileEntry, Manifest
from platform_assets.spec.applied import AppliedEstate
from tests.integration.guards.programs import Server, applied_in, free_port, running
from tests.sample_checkpoints import mlflow_checkpoint

SECRET = "the-secret-of-somebody"


def fetched_copy(served: Path, name: str, seed: int = 0) -> tuple[Path, str]:
    directory = mlflow_checkpoint(served, name, f"seed-{seed}", seed=seed, seal=False)
    entries = [
        FileEntry(
            str(file.relative_to(directory)),
            file.stat().st_size,
            hashlib.sha256(file.read_bytes()).hexdigest(),
        )
        for file in sorted(directory.rglob("*"))
        if file.is_file()
    ]
    manifest = Manifest(tuple(entries))
    (directory / "manifest.json").write_bytes(manifest.to_bytes())
    return directory, manifest.tree_digest


def settle(applied: AppliedEstate, name: str, directory: Path, **extra: str) -> None:
    folder = applied.model_repository / name
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "name": name,
        "implementation": "platform_assets.serving.verified_runtime.VerifiedMlflowRuntime",
        "parameters": {"uri": str(directory), "extra": extra},
    }
    (folder / "model-settings.json").write_text(json.dumps(settings))


def load(server: Server, name: str) -> httpx.Response:
    return httpx.post(f"{server.url}/v2/repository/models/{name}/load", timeout=60)


def metadata(server: Server, name: str) -> dict[str, Any]:
    reply = httpx.get(f"{server.url}/v2/models/{name}", timeout=60)
    reply.raise_for_status()
    return dict(reply.json())


def infer(server: Server, name: str, client: Any = httpx) -> httpx.Response:
    request = {
        "inputs": [{"name": "input-0", "shape": [1, 64], "datatype": "FP64", "data": [0.0] * 64}]
    }
    reply: httpx.Response = client.post(
        f"{server.url}/v2/models/{name}/infer", json=request, timeout=60
    )
    return reply


@pytest.fixture
def applied(tmp_path: Path) -> AppliedEstate:
    return applied_in(tmp_path)


@pytest.fixture
def server(applied: AppliedEstate) -> Iterator[Server]:
    port = free_port()
    command = ["-m", "ai_how.model_server", "--http-port", str(port)]
    environment = {
        "AI_HOW_STATE": str(applied.state),
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "MLSERVER_HOST": "0.0.0.0",
    }
    log = applied.state / "model-server.log"
    with running(command, environment, log, port, "/v2/health/ready") as server:
        yield server


def test_an_empty_server_starts_guards_itself_and_stops(server: Server) -> None:
    assert httpx.post(f"{server.url}/v2/repository/index", json={}, timeout=30).json() == []
    for headers in ({"host": "evil.example"}, {"origin": "http://evil.example"}):
        url = f"{server.url}/v2/repository/index"
        assert httpx.post(url, json={}, headers=headers, timeout=30).status_code == 403
    environment = Path(f"/proc/{server.process.pid}/environ").read_bytes()
    assert SECRET.encode() not in environment
    assert b"MLSERVER_HOST" not in environment
    assert server.stop() == 0
    assert "Traceback" not in server.log


def test_it_serves_verified_bytes_and_says_which(applied: AppliedEstate, server: Server) -> None:
    directory, digest = fetched_copy(applied.served, "digits")
    ids = {"ai-how.model": "digits", "ai-how.version": "3", "ai-how.tree-digest": digest}
    settle(applied, "digits", directory, **ids)
    assert load(server, "digits").status_code == 200
    shown = metadata(server, "digits")
    assert shown["parameters"].items() >= ids.items()
    assert not shown.get("versions")
    reply = infer(server, "digits")
    assert reply.status_code == 200, reply.text
    assert reply.json()["outputs"][0]["shape"][0] == 1


def test_a_flipped_byte_is_refused_by_name_and_the_old_model_stays(
    applied: AppliedEstate, server: Server
) -> None:
    directory, digest = fetched_copy(applied.served, "digits")
    settle(applied, "digits", directory)
    assert load(server, "digits").status_code == 200
    wrong = applied.served / "digits" / "wrong"
    shutil.copytree(directory, wrong)
    weights = next(wrong.rglob("*.skops"))
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    settle(applied, "digits", wrong)
    refusal = load(server, "digits")
    assert refusal.status_code == 422
    assert str(weights) in refusal.json()["error"]
    assert metadata(server, "digits")["parameters"]["ai-how.tree-digest"] == digest
    assert infer(server, "digits").status_code == 200


def test_another_copy_than_the_settings_name_is_refused(
    applied: AppliedEstate, server: Server
) -> None:
    directory, _ = fetched_copy(applied.served, "digits")
    settle(applied, "digits", directory, **{"ai-how.tree-digest": "0" * 64})
    refusal = load(server, "digits")
    assert refusal.status_code == 422
    assert "tree digest" in refusal.json()["error"]
    assert httpx.get(f"{server.url}/v2/models/digits", timeout=30).status_code == 404


def test_a_reload_is_gapless_and_shows_the_new_digest(
    applied: AppliedEstate, server: Server
) -> None:
    first, first_digest = fetched_copy(applied.served, "digits", seed=0)
    second, second_digest = fetched_copy(applied.served, "digits", seed=1)
    assert first_digest != second_digest
    settle(applied, "digits", first)
    assert load(server, "digits").status_code == 200
    done = threading.Event()
    answers: list[tuple[int, str]] = []

    def ask() -> None:
        with httpx.Client() as client:
            while not done.is_set():
                reply = infer(server, "digits", client)
                answers.append((reply.status_code, reply.text))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for directory, digest in [(second, second_digest), (first, first_digest)] * 3:
            settle(applied, "digits", directory)
            assert load(server, "digits").status_code == 200
            assert metadata(server, "digits")["parameters"]["ai-how.tree-digest"] == digest
    finally:
        done.set()
        asking.join(60)
    assert answers
    assert [answer for answer in answers if answer[0] != 200] == []


def test_a_broken_model_does_not_keep_the_others_from_being_served(applied: AppliedEstate) -> None:
    directory, digest = fetched_copy(applied.served, "digits")
    settle(applied, "digits", directory)
    settle(applied, "gone", applied.served / "nowhere")
    settle(applied, "unknown", directory)
    file = applied.model_repository / "unknown" / "model-settings.json"
    file.write_text(file.read_text().replace("verified_runtime", "no_such_module"))
    (applied.model_repository / "torn").mkdir()
    (applied.model_repository / "torn" / "model-settings.json").write_text("{")
    port, metrics = free_port(), free_port()
    command = ["-m", "ai_how.model_server", "--http-port", str(port), "--metrics-port"]
    environment = {"AI_HOW_STATE": str(applied.state)}
    log = applied.state / "model-server.log"
    with running([*command, str(metrics)], environment, log, port, "/v2/health/ready") as server:
        assert infer(server, "digits").status_code == 200
        assert metadata(server, "digits")["parameters"]["ai-how.tree-digest"] == digest
        assert httpx.get(f"{server.url}/v2/models/gone", timeout=30).status_code == 404
        assert str(applied.served / "nowhere") in server.log
        shown = f"http://127.0.0.1:{metrics}/metrics"
        assert httpx.get(shown, timeout=30).status_code == 200
        assert httpx.get(shown, headers={"host": "evil.example"}, timeout=30).status_code == 403
        assert server.stop() == 0
