"""How fast the storage container is beside KServe's own storage initializer, in one run.

Two copies (one file of 2 GiB; 2,000 files of 64 KiB; `--scale` makes them smaller) lie in one
SeaweedFS. Each client is a process of its own, from its start to its end, called as KServe calls
it: SOURCE DESTINATION, keys in the environment; the order changes from round to round. Ours
verifies every byte; the other compares nothing. It is installed into an environment of its own
(`uv`, once), under the same Python. CPU is the client's with its children; the server takes its
share of the same machine.

    .venv/bin/python -m benchmarks.storage_container --scale 0.1 --rounds 1
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.publish import BUCKET, KEYS, MIB, Server, make_files, server, write_manifest
from platform_assets.lineage.manifest import Manifest, copy_prefix
from resources.object_store import ObjectStore

RIVAL = "kserve-storage==0.21.0"
OURS, THEIRS = "ours", "kserve-storage"
PROJECT = Path(__file__).parents[1] / "images/storage-container"
PART = 32 * MIB
AIMS = {"big": 1.5, "small": 2.5}
# What KServe's image runs (python/storage-initializer/scripts/initializer-entrypoint), in short.
ENTRYPOINT = """
import os, sys
from kserve_storage import Storage
os.makedirs(sys.argv[2], exist_ok=True)
Storage.download_files(sys.argv[1:2], sys.argv[2:3])
"""


@dataclass(frozen=True)
class Measured:
    """One life of a client."""

    seconds: float
    cpu_seconds: float


def rival_python() -> Path:
    """Install the other client into an environment of its own; return its Python."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = cache / "ai-how/benchmarks" / RIVAL.replace("==", "-")
    python = home / "bin/python"
    if not (home / ".complete").exists():
        subprocess.run(["uv", "venv", "-q", "--clear", "-p", sys.executable, str(home)], check=True)
        install = ["uv", "pip", "install", "-q", "--compile-bytecode", "--python", str(python)]
        subprocess.run([*install, RIVAL], check=True)
        (home / ".complete").touch()
    return python


def publish(store: ObjectStore, model: str, directory: Path, home: Path) -> tuple[str, Manifest]:
    """Put the files of `directory` where a copy belongs."""
    write_manifest(directory, home / f"{model}.json")
    manifest = Manifest.from_bytes((home / f"{model}.json").read_bytes())
    prefix = copy_prefix(model, manifest.tree_digest)
    for entry in manifest.files:
        file, key = directory / entry.path, prefix + entry.path
        if entry.size <= PART:
            store.put(key, file.read_bytes())
            continue
        upload = store.create_multipart(key)
        with file.open("rb") as opened:
            pieces = enumerate(iter(lambda: opened.read(PART), b""), 1)
            parts = [store.upload_part(key, upload, number, piece) for number, piece in pieces]
        store.complete_multipart(key, upload, parts)
    store.put(prefix + "manifest.json", manifest.to_bytes())
    return f"s3://{BUCKET}/{prefix}", manifest


def environment(found: Server, home: Path) -> dict[str, str]:
    """Return what KServe sets from an annotated Secret."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "AWS_ACCESS_KEY_ID": KEYS["access_key"],
        "AWS_SECRET_ACCESS_KEY": KEYS["secret_key"],
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": found.url,
        "S3_ENDPOINT": found.url.removeprefix("http://"),
        "S3_USE_HTTPS": "0",
        "TERMINATION_LOG": str(home / "termination-log"),
        "PYTHONPATH": str(PROJECT),
    }


def life(client: str, rival: Path, source: str, found: Server, home: Path) -> Measured:
    """Run a client to its end, into a new directory that is gone afterwards."""
    destination = home / "mnt" / client
    program = [sys.executable, "-m", "storage_container"]
    command = program if client == OURS else [str(rival), "-c", ENTRYPOINT]
    with (home / f"{client}.log").open("wb") as log:
        begun = time.perf_counter()
        process = subprocess.Popen(
            [*command, source, str(destination)],
            env=environment(found, home),
            stdout=log,
            stderr=log,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{client} failed: {(home / f'{client}.log').read_text()[-2000:]}")
    shutil.rmtree(destination)  # before its pages are written to disk
    return Measured(seconds, usage.ru_utime + usage.ru_stime)


Results = dict[tuple[str, str], list[Measured]]


def play(home: Path, options: argparse.Namespace, say: Callable[[str], None]) -> Results:
    """Measure both clients on both copies, `rounds` times."""
    (home / "keys.json").write_text(json.dumps(KEYS))
    rival = rival_python()
    results: Results = {}
    shapes = {
        "big": (1, int(2048 * options.scale) * MIB),
        "small": (max(int(2000 * options.scale), 1), 64 * 1024),
    }
    with server("seaweedfs", home) as found:
        store = ObjectStore(found.url, BUCKET, home / "keys.json")
        for shape in options.shapes.split(","):
            make_files(home / shape, *shapes[shape])
            source, _ = publish(store, shape, home / shape, home)
            shutil.rmtree(home / shape)
            for turn in range(options.rounds):
                for client in (OURS, THEIRS)[:: 1 if turn % 2 == 0 else -1]:
                    measured = life(client, rival, source, found, home)
                    results.setdefault((shape, client), []).append(measured)
                    cpu = f"{measured.cpu_seconds:.2f} s CPU"
                    say(f"{shape}, round {turn + 1}: {client}: {measured.seconds:.2f} s, {cpu}")
    return results


def report(results: Results) -> Iterator[str]:
    """Give the table of medians and how the aims stand."""
    yield "| copy | client | wall s (least-most) | CPU s |"
    yield "|---|---|---|---|"
    for (shape, client), lives in sorted(results.items()):
        walls = [one.seconds for one in lives]
        cpu = statistics.median(one.cpu_seconds for one in lives)
        spread = f"{min(walls):.2f}-{max(walls):.2f}"
        yield f"| {shape} | {client} | {statistics.median(walls):.2f} ({spread}) | {cpu:.2f} |"
    yield ""
    for shape, aim in AIMS.items():
        if (shape, OURS) not in results:
            continue
        ours, theirs = (
            statistics.median(one.seconds for one in results[shape, client])
            for client in (OURS, THEIRS)
        )
        verdict = "met" if theirs / ours >= aim else "MISSED"
        yield f"{shape}: {theirs / ours:.2f} times as fast; aim {aim}: {verdict}"


def main() -> None:
    """Measure, and print table and aims."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scale", type=float, default=1.0, help="1: 2 GiB, 2,000 x 64 KiB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shapes", default="big,small")
    options = parser.parse_args()
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} CPUs, scale {options.scale}, {RIVAL}")
    with tempfile.TemporaryDirectory(prefix="ai-how-storage-container-") as folder:
        results = play(Path(folder), options, lambda words: print(words, file=sys.stderr))
    for line in report(results):
        print(line)


if __name__ == "__main__":
    main()
