"""A client that never pauses, and checkpoints that cost no training of their own."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from sklearn.datasets import load_digits

from platform_assets.models.seal import seal as seal_directory
from platform_assets.serving.provider import Answering
from tests.lab.serving.conftest import Platform
from tests.sample_checkpoints import mlflow_checkpoint

ROWS = 2
BETWEEN_S = 0.05


def digits_request() -> dict[str, Any]:
    """Return a request for the first digits."""
    images, _ = load_digits(return_X_y=True)
    inputs = {
        "name": "input-0",
        "shape": [ROWS, 64],
        "datatype": "FP64",
        "data": images[:ROWS].flatten().tolist(),
    }
    return {"inputs": [inputs]}


def another(root: Path, model: str, run: str, seed: int = 0) -> Path:
    """The same trained model with other bytes: its run stands in one file."""
    directory = mlflow_checkpoint(root, model, run, seed=seed, seal=False)
    with (directory / "requirements.txt").open("a") as file:
        file.write(f"# {run}\n")
    seal_directory(str(directory), training={"seed": seed, "metrics": {"accuracy": 0.96}})
    return directory


class Client:
    """Asks an endpoint again and again; notes every answer that is not a right one."""

    def __init__(self, platform: Platform, endpoint: str) -> None:
        self._http = platform.kubernetes.http()
        self._asked: Answering = platform.serving.provider.answering(endpoint)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self.answers = 0
        self.failures: list[str] = []

    def __enter__(self) -> "Client":
        self._thread.start()
        deadline = time.monotonic() + 30
        while not self.answers and not self.failures and time.monotonic() < deadline:
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(60)
        print(f"client: {self.answers} answers, {len(self.failures)} failures")

    def _ask(self) -> None:
        request = digits_request()
        while not self._done.wait(BETWEEN_S):
            try:
                answer = self._http.post(self._asked.infer_url, json=request)
            except httpx.TransportError as error:
                self.failures.append(f"{time.monotonic():.2f} {error!r}")
                continue
            if answer.is_success and answer.json()["outputs"][0]["data"] == [0, 1]:
                self.answers += 1
            else:
                told = f"{answer.status_code} {answer.text[:200]}"
                self.failures.append(f"{time.monotonic():.2f} {told}")


@contextmanager
def uninterrupted(platform: Platform, endpoint: str) -> Iterator[Client]:
    """Let a client ask while something happens; every answer must be the right one."""
    with Client(platform, endpoint) as client:
        yield client
    assert client.failures == [], client.failures[:5]
    assert client.answers > 1


@contextmanager
def within(limit_s: float) -> Iterator[None]:
    """Bound how long a person waits until told."""
    begun = time.monotonic()
    yield
    took = time.monotonic() - begun
    print(f"took {took:.1f} s")
    assert took < limit_s
