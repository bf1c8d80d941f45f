"""A model published by the platform, served by a real KServe: applied by hand, as its users do."""

import json
import time
from collections.abc import Iterator

import pytest
from sklearn.datasets import load_digits

from platform_assets.lineage.manifest import Manifest
from tests.integration.serving.object_store import published
from tests.lab.inference_services import (
    delete,
    ensure_account,
    inference_service,
    is_ready,
    predicted,
    storage_status,
    wait_until,
)
from tests.lab.kserve import apply
from tests.lab.kserve_lab import KserveLab
from tests.sample_checkpoints import mlflow_checkpoint


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    directory = mlflow_checkpoint(tmp_path_factory.mktemp("root"), "digits", "run", seal=False)
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def copy(kserve_lab: KserveLab, files: dict[str, bytes]) -> tuple[str, Manifest]:
    ensure_account(kserve_lab)
    return published(kserve_lab.publisher, "digits", files)


@pytest.fixture
def name(kserve_lab: KserveLab, request: pytest.FixtureRequest) -> Iterator[str]:
    name = request.node.name.removeprefix("test_").replace("_", "-")[:24].strip("-")
    yield name
    delete(kserve_lab, name)


def test_verified_pod_answers(kserve_lab: KserveLab, copy: tuple[str, Manifest], name: str) -> None:
    prefix, manifest = copy
    started = time.monotonic()
    apply(kserve_lab.lab, [inference_service(name, f"s3://models/{prefix}")])
    applied = time.monotonic()
    _, [pod] = wait_until(kserve_lab, name, lambda found, _: is_ready(found))
    ready = time.monotonic()
    images, labels = load_digits(return_X_y=True)
    answer = predicted(kserve_lab, f"{name}-v1-predictor", name, images[:5].tolist())
    print(
        f"\napply {applied - started:.1f} s, apply returned to Ready {ready - applied:.1f} s, "
        f"first answer {time.monotonic() - ready:.1f} s"
    )
    assert answer == labels[:5].tolist()
    said = json.loads(storage_status(pod)["message"])
    print(said)
    assert said["tree_digest"] == manifest.tree_digest
    assert said["files"] == len(manifest.files)
    assert said["bytes"] == sum(entry.size for entry in manifest.files)
    [server] = pod["status"]["containerStatuses"]
    assert server["imageID"].endswith(kserve_lab.model_server.pinned.partition("@")[2])


def test_flipped_byte_keeps_pod_away(
    kserve_lab: KserveLab, files: dict[str, bytes], name: str
) -> None:
    other = {**files, "requirements.txt": files["requirements.txt"] + b"# another tree\n"}
    prefix, _ = published(kserve_lab.publisher, "digits", other)
    flipped = bytearray(other["model.skops"])
    flipped[len(flipped) // 2] ^= 1
    kserve_lab.publisher.put(f"{prefix}model.skops", bytes(flipped))
    apply(kserve_lab.lab, [inference_service(name, f"s3://models/{prefix}")])
    found, [pod] = wait_until(
        kserve_lab,
        name,
        lambda found, pods: (
            bool(pods and storage_status(pods[0]))
            and "lastFailureInfo" in found.get("status", {}).get("modelStatus", {})
        ),
    )
    failed = storage_status(pod)
    print(failed["message"])
    print(found["status"]["modelStatus"])
    assert failed["exitCode"] != 0
    assert "model.skops" in failed["message"]
    assert not is_ready(found)
    assert pod["status"]["containerStatuses"][0]["ready"] is False
    assert "model.skops" in found["status"]["modelStatus"]["lastFailureInfo"]["message"]
