"""A real SeaweedFS, and the storage container's program run as the kubelet runs it."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integration.serving.object_store import KEYS, seaweedfs

PROJECT = Path(__file__).parents[3] / "images/storage-container"
DEADLINE_S = 120


@dataclass(frozen=True)
class Ended:
    """One life of the container: how it ended, what it left, what it needed."""

    code: int
    message: str
    log: str
    peak_bytes: int

    @property
    def result(self) -> dict:
        assert self.code == 0, self.message
        return json.loads(self.message)


@dataclass
class Pod:
    """A pod's volume and environment; its init container may be run several times."""

    home: Path
    url: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def models(self) -> Path:
        return self.home / "mnt/models"

    def start(self, source: str, largest_blocks: int = 0, asked: tuple = ()) -> subprocess.Popen:
        self.home.mkdir(exist_ok=True)
        (self.home / "termination-log").write_bytes(b"")
        environment = {
            "AWS_ACCESS_KEY_ID": KEYS["access_key"],
            "AWS_SECRET_ACCESS_KEY": KEYS["secret_key"],
            "AWS_ENDPOINT_URL": self.url,
            "TERMINATION_LOG": str(self.home / "termination-log"),
            "PYTHONPATH": str(PROJECT),
            **self.environment,
        }
        command = [sys.executable, "-m", "storage_container"]
        command += asked or (source, str(self.models))
        if largest_blocks:  # the kernel refuses whatever makes a file larger
            command = ["sh", "-c", 'ulimit -f "$0"; exec "$@"', str(largest_blocks), *command]
        with (self.home / "log").open("wb") as log:
            return subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def ended(self, process: subprocess.Popen) -> Ended:
        peak = 0
        deadline = time.monotonic() + DEADLINE_S
        while process.poll() is None:
            peak = max(peak, peak_bytes(process.pid))
            assert time.monotonic() < deadline, (self.home / "log").read_text()
            time.sleep(0.01)
        message = (self.home / "termination-log").read_text()
        return Ended(process.returncode, message, (self.home / "log").read_text(), peak)

    def run(self, source: str) -> Ended:
        return self.ended(self.start(source))

    def probe(self, place: str) -> Ended:
        return self.ended(self.start("", asked=("--probe", place)))

    def files(self) -> dict[str, bytes]:
        found = (path for path in self.models.rglob("*") if path.is_file())
        return {path.relative_to(self.models).as_posix(): path.read_bytes() for path in found}


def peak_bytes(pid: int) -> int:
    """Return the most memory that a process has had resident."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    peaks = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(peaks[0]) * 1024 if peaks else 0


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs"), volume_mb=1024) as found:
        yield found


@pytest.fixture
def pod(tmp_path, store) -> Pod:
    return Pod(tmp_path / "pod", store.endpoint_url)
