#!/usr/bin/env python3
"""Seal a checkpoint: write the marker `_COMPLETE.json` that says it is complete, and what it holds.

One file, standard library only, Python 3.8 or newer: copy it to a compute node and call it when
training has ended, from the job itself or from a SLURM epilog. It writes schema checkpoint/1 (see
docs/checkpoints.md). Nothing here decides whether a checkpoint is taken; that is judged where it
arrives. What is unknown is left out, never invented.

    python3 seal.py /checkpoints/<model>/<run> --seed 7 --metric accuracy=0.97
"""

import argparse
import datetime
import hashlib
import json
import math
import os
import re
import stat
import subprocess
import sys
import unicodedata
from fnmatch import fnmatchcase
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

SCHEMA = "checkpoint/1"
MARKER = "_COMPLETE.json"
SIGNATURE = "_SIGNATURE.json"
UNLISTED = (MARKER, SIGNATURE)
TEMPORARY = MARKER + ".tmp"
FORMATS = ("mlflow", "huggingface")
MAX_PATH_BYTES = 512
CHUNK = 1 << 20
GIT_TIMEOUT_S = 20

# The rule of checkpoint/1: what training leaves beside the model and no server needs. The first
# list holds directories at any depth, the second file names at any depth.
NOT_SERVING_DIRECTORIES = (
    ".*", "__pycache__", "adapter", "checkpoint-*", "global_step*", "lightning_logs", "logs",
    "mlruns", "optimizer_*", "pytorch_model_fsdp_*", "runs", "telemetry", "tensorboard", "wandb",
)  # fmt: skip
NOT_SERVING_FILES = (
    ".*", "*.jsonl", "*.log", "*.tmp", "*_results.json", "events.out.tfevents.*", "latest",
    "metrics*.json", "optimizer*.bin", "optimizer*.pt", "optimizer*.pth", "rng_state*.pt",
    "rng_state*.pth", "scaler*.pt", "scheduler*.bin", "scheduler*.pt", "slurm-*.err",
    "slurm-*.out", "trainer_state.json", "training_args.bin", "training_args.json",
    "zero_to_fp32.py",
)  # fmt: skip

TRAINING_KEYS = {  # type: Dict[str, type]
    "started": str, "ended": str, "job_id": str, "user": str, "host": str, "nodes": list,
    "gpus": list, "code": dict, "command": list, "container_digest": str,
    "configuration_digest": str, "hyper_parameters": dict, "seed": int, "datasets": list,
    "parents": list, "metrics": dict, "mlflow_run_id": str,
}  # fmt: skip
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[-+]\d\d:\d\d)\Z")
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?\Z")
_MAX_NAME = 24


class SealRefused(Exception):
    """The directory cannot be sealed as it is; the message says what is in the way."""


class Sealed(NamedTuple):
    """What sealing did."""

    directory: str
    marker_sha256: str
    key: str
    changed: bool
    marker: Dict[str, Any]


class Seen(NamedTuple):
    """What identifies the content of a file without reading it."""

    inode: int
    size: int
    mtime_ns: int


def is_serving(path: str) -> bool:
    """Return whether the file belongs to the model as it is served: the rule of checkpoint/1."""
    parts = path.split("/")
    for part in parts[:-1]:
        if any(fnmatchcase(part, pattern) for pattern in NOT_SERVING_DIRECTORIES):
            return False
    return not any(fnmatchcase(parts[-1], pattern) for pattern in NOT_SERVING_FILES)


def path_objection(path: str) -> Optional[str]:
    """Return what speaks against a path in a marker, or None."""
    try:
        encoded = path.encode("utf-8")
    except UnicodeEncodeError:
        return "it is not UTF-8"
    if len(encoded) > MAX_PATH_BYTES:
        return "it has {} bytes, more than {}".format(len(encoded), MAX_PATH_BYTES)
    if "\\" in path:
        return "it holds a backslash"
    if any(unicodedata.category(character) == "Cc" for character in path):
        return "it holds a control character"
    if unicodedata.normalize("NFC", path) != path:
        return "it is not NFC-normalised"
    if path.startswith("/"):
        return "it is absolute"
    parts = path.split("/")
    if "" in parts:
        return "it has an empty part"
    if "." in parts or ".." in parts:
        return "it has a part `.` or `..`"
    return None


def seal(
    directory: str,
    format: Optional[str] = None,  # noqa: A002 - the marker's word
    training: Optional[Dict[str, Any]] = None,
    now: Optional[datetime.datetime] = None,
) -> Sealed:
    """Hash every file of `directory` once and write its marker, or leave an equal one as it is.

    Sealing anew makes a new checkpoint only when a file, the format or something said in
    `training` changed. `training` goes over what the environment tells (SLURM).
    """
    directory = os.path.abspath(directory)
    model, run = _names(directory)
    given = _checked_training(training or {})
    before = _files(directory)
    chosen = format or _format(directory, before)
    if chosen not in FORMATS:
        raise SealRefused("format {!r}: expected one of {}".format(chosen, ", ".join(FORMATS)))
    digests = {path: _digest(directory, path, before[path]) for path in before}
    if _files(directory) != before:
        raise SealRefused(
            "{}: a file came, went or changed while it was hashed; seal when training has "
            "ended".format(directory)
        )
    listed = [
        {"path": path, "size": before[path].size, "sha256": digests[path],
         "serving": is_serving(path)}
        for path in sorted(before, key=lambda path: path.encode("utf-8"))
    ]  # fmt: skip
    said = {"schema": SCHEMA, "model": model, "run": run, "format": chosen, "files": listed}
    old = _old_marker(directory)
    if old is not None and all(old.get(key) == value for key, value in said.items()):
        known = dict(old.get("training") or {})
        known.update(given)
        if known == old.get("training", {}):
            return _unchanged(directory, old)
    else:
        known = slurm_facts(os.environ)
        known.update(given)
    moment = now or datetime.datetime.now(datetime.timezone.utc)
    marker = dict(said, sealed_at=rfc3339(moment), training=known)
    data = (json.dumps(marker, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode("utf-8")
    _write(directory, data)
    return _sealed(directory, data, marker, changed=True)


def rfc3339(moment: datetime.datetime) -> str:
    """Return the moment as `YYYY-MM-DDThh:mm:ss.ffffffZ`."""
    return moment.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def slurm_facts(environment: Any) -> Dict[str, Any]:  # noqa: ANN401 - os.environ or a dict
    """Return what SLURM says of the job that this runs in; nothing outside a job."""
    job = environment.get("SLURM_JOB_ID")
    if not job:
        return {}
    facts = {"job_id": job}  # type: Dict[str, Any]
    if environment.get("SLURM_JOB_USER"):
        facts["user"] = environment["SLURM_JOB_USER"]
    if environment.get("SLURMD_NODENAME"):
        facts["host"] = environment["SLURMD_NODENAME"]
    nodes = _node_names(environment.get("SLURM_JOB_NODELIST", ""))
    if nodes:
        facts["nodes"] = nodes
    gpus = environment.get("SLURM_JOB_GPUS") or environment.get("CUDA_VISIBLE_DEVICES") or ""
    if gpus:
        facts["gpus"] = [gpu for gpu in gpus.split(",") if gpu]
    start = environment.get("SLURM_JOB_START_TIME", "")
    if start.isdigit():
        facts["started"] = rfc3339(
            datetime.datetime.fromtimestamp(int(start), datetime.timezone.utc)
        )
    return facts


def git_facts(directory: str) -> Dict[str, Any]:
    """Return commit and whether the work tree of `directory` is dirty; nothing where unknown."""
    commit = _git(directory, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return {}
    code = {"commit": commit}  # type: Dict[str, Any]
    changes = _git(directory, "status", "--porcelain")
    if changes is not None:
        code["dirty"] = bool(changes)
    return code


def _git(directory: str, *arguments: str) -> Optional[str]:
    command = ["git", "-C", directory, *list(arguments)]
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None


def _node_names(text: str) -> List[str]:
    """Expand SLURM's `node[01-03,7],gpu1`; a form with several brackets stays as it is."""
    names = []  # type: List[str]
    for item in re.findall(r"[^,\[]+(?:\[[^\]]*\])?[^,\[]*", text):
        match = re.match(r"([^\[]+)\[([-0-9,]+)\]\Z", item)
        if match is None:
            names.append(item)
            continue
        for piece in match.group(2).split(","):
            first, dash, last = piece.partition("-")
            if not dash:
                names.append(match.group(1) + piece)
            elif first.isdigit() and last.isdigit():
                numbers = range(int(first), int(last) + 1)
                names.extend(match.group(1) + str(n).zfill(len(first)) for n in numbers)
    return names


def _names(directory: str) -> Tuple[str, str]:
    run, model = os.path.basename(directory), os.path.basename(os.path.dirname(directory))
    for kind, name in (("model", model), ("run", run)):
        if len(name) > _MAX_NAME or not _NAME.match(name):
            raise SealRefused(
                "{}: {} name {!r}: expected <checkpoint root>/<model>/<run>, each 1 to {} "
                "lower-case letters, digits and '-', beginning with a letter and not ending with "
                "'-'; rename it".format(directory, kind, name, _MAX_NAME)
            )
    return model, run


def _files(directory: str) -> Dict[str, Seen]:
    if os.path.islink(directory) or not os.path.isdir(directory):
        raise SealRefused("{}: expected a directory".format(directory))
    found = {}  # type: Dict[str, Seen]
    _walk(directory, "", found)
    if not found:
        raise SealRefused("{}: the directory holds no file to seal".format(directory))
    return found


def _walk(directory: str, prefix: str, found: Dict[str, Seen]) -> None:
    with os.scandir(os.path.join(directory, prefix)) as entries:
        for entry in entries:
            path = prefix + entry.name
            if path in UNLISTED or path == TEMPORARY:
                continue
            objection = path_objection(path)
            if objection:
                raise SealRefused(
                    "{}: path {} is refused: {}; rename it".format(
                        directory, ascii(path), objection
                    )
                )
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                _walk(directory, path + "/", found)
            elif stat.S_ISREG(status.st_mode):
                found[path] = Seen(status.st_ino, status.st_size, status.st_mtime_ns)
            else:
                kind = "a symlink" if stat.S_ISLNK(status.st_mode) else "neither file nor directory"
                raise SealRefused(
                    "{}: {} is {}; a checkpoint holds only files and directories: put the file "
                    "itself there, or remove it".format(directory, path, kind)
                )


def _format(directory: str, files: Dict[str, Seen]) -> str:
    if "MLmodel" in files:
        return "mlflow"
    if "config.json" in files or "adapter_config.json" in files:
        return "huggingface"
    raise SealRefused(
        "{}: expected an MLflow model (file MLmodel) or a Hugging Face model (file config.json), "
        "found neither; name it with --format".format(directory)
    )


def _digest(directory: str, path: str, seen: Seen) -> str:
    digest = hashlib.sha256()
    # Never waits on a pipe and never follows a symlink that took the file's place meanwhile.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(os.path.join(directory, path), flags)
    with os.fdopen(descriptor, "rb") as file:
        read = 0
        for block in iter(lambda: file.read(CHUNK), b""):
            digest.update(block)
            read += len(block)
        status = os.fstat(file.fileno())
    if Seen(status.st_ino, status.st_size, status.st_mtime_ns) != seen or read != seen.size:
        raise SealRefused(
            "{}: {} changed while it was hashed; seal when training has ended".format(
                directory, path
            )
        )
    return digest.hexdigest()


def _old_marker(directory: str) -> Optional[Dict[str, Any]]:
    target = os.path.join(directory, MARKER)
    if os.path.lexists(target) and (os.path.islink(target) or not os.path.isfile(target)):
        raise SealRefused("{}: {} is not a file; remove it".format(directory, MARKER))
    try:
        with open(target, "rb") as file:
            found = json.loads(file.read().decode("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _unchanged(directory: str, marker: Dict[str, Any]) -> Sealed:
    """Keep the bytes, so the key stays; files that were only touched are not newer than it."""
    target = os.path.join(directory, MARKER)
    with open(target, "rb") as file:
        data = file.read()
    newest = max(seen.mtime_ns for seen in _files(directory).values())
    if newest > os.stat(target).st_mtime_ns:
        os.utime(target)
    return _sealed(directory, data, marker, changed=False)


def _sealed(directory: str, data: bytes, marker: Dict[str, Any], *, changed: bool) -> Sealed:
    digest = hashlib.sha256(data).hexdigest()
    key = "{}.{}.{}".format(marker["model"], marker["run"], digest[:12])
    return Sealed(directory, digest, key, changed, marker)


def _write(directory: str, data: bytes) -> None:
    temporary = os.path.join(directory, TEMPORARY)
    if os.path.lexists(temporary):  # left behind by a seal that was killed
        os.unlink(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, os.path.join(directory, MARKER))
    except OSError:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    holder = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(holder)
    finally:
        os.close(holder)


def _checked_training(training: Dict[str, Any]) -> Dict[str, Any]:
    unknown = sorted(set(training) - set(TRAINING_KEYS))
    if unknown:
        raise SealRefused(
            "provenance: unknown key {!r}; expected {}".format(unknown[0], ", ".join(TRAINING_KEYS))
        )
    for key, value in training.items():
        expected = TRAINING_KEYS[key]
        given = list(value) if isinstance(value, tuple) else value
        if value is not None and not isinstance(given, expected):
            raise SealRefused(
                "provenance: {}: expected {}, found {!r}".format(key, expected.__name__, value)
            )
        if key in ("started", "ended") and value is not None and not _TIME.match(str(value)):
            raise SealRefused(
                "provenance: {}: expected a time of RFC 3339 with its offset, as "
                "2026-01-31T12:00:00Z, found {!r}".format(key, value)
            )
    for name, value in (training.get("metrics") or {}).items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
            raise SealRefused("provenance: metric {}: expected a number".format(name))
    try:
        text = json.dumps(training, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SealRefused("provenance: expected values of JSON: {}".format(error)) from error
    cleaned = json.loads(text)  # as it will be read back: lists, not tuples
    return {key: value for key, value in cleaned.items() if value is not None}


def _pair(text: str) -> Tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise argparse.ArgumentTypeError("expected NAME=VALUE, found {!r}".format(text))
    return name, value


def _value(text: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    try:
        return json.loads(text)
    except ValueError:
        return text


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise SealRefused("metric: expected a number, found {!r}".format(text)) from error


def _origin(text: str) -> Dict[str, str]:
    origin = dict(_pair(piece) for piece in text.split(","))
    if "name" not in origin or set(origin) - {"name", "digest", "licence", "uri"}:
        raise argparse.ArgumentTypeError(
            "expected name=NAME[,digest=sha256:HEX][,licence=ID][,uri=URI], found {!r}".format(text)
        )
    return origin


class _Parser(argparse.ArgumentParser):
    """Wrong usage ends with 64, as everywhere in `ai-how`."""

    def error(self, message: str) -> Any:  # noqa: ANN401 - it never returns
        self.print_usage(sys.stderr)
        self.exit(64, "{}: {}\n".format(self.prog, message))


def _parser(program: Optional[str]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=program,
        description="Seal the checkpoint in DIR (<checkpoint root>/<model>/<run>): hash every "
        "file, write _COMPLETE.json. Sealed and unchanged: nothing is written.",
        epilog="Exit codes: 0 sealed, 1 refused, 2 cannot tell, 64 wrong usage.",
    )
    add = parser.add_argument
    add("directory", metavar="DIR")
    add("--format", choices=FORMATS, help="default: told from the files")
    add("--provenance", metavar="FILE", help="JSON with any key of `training` of checkpoint/1")
    add("--started", metavar="TIME", help="RFC 3339")
    add("--ended", metavar="TIME", help="RFC 3339")
    add("--seed", type=int)
    add("--metric", type=_pair, action="append", default=[], metavar="NAME=NUMBER")
    add("--parameter", type=_pair, action="append", default=[], metavar="NAME=VALUE")
    add("--dataset", type=_origin, action="append", metavar="name=N,digest=D,licence=L,uri=U")
    add("--parent", type=_origin, action="append", metavar="name=N,digest=D,licence=L,uri=U")
    add("--mlflow-run-id", metavar="ID")
    add("--container-digest", metavar="sha256:HEX")
    add("--configuration", metavar="FILE", help="its SHA-256 is recorded")
    add("--code", metavar="DIR", help="the git work tree that trained: commit, and whether dirty")
    add("--json", action="store_true", help="print what was done as JSON")
    return parser


def _told(options: argparse.Namespace) -> Dict[str, Any]:
    told = {}  # type: Dict[str, Any]
    if options.provenance:
        with open(options.provenance, "rb") as file:
            try:
                told = json.loads(file.read().decode("utf-8"))
            except ValueError as error:
                raise SealRefused(
                    "{}: expected JSON: {}".format(options.provenance, error)
                ) from error
        if not isinstance(told, dict):
            raise SealRefused("{}: expected a JSON object".format(options.provenance))
    said = {
        "started": options.started, "ended": options.ended, "seed": options.seed,
        "datasets": options.dataset, "parents": options.parent,
        "mlflow_run_id": options.mlflow_run_id, "container_digest": options.container_digest,
        "metrics": {name: _number(text) for name, text in options.metric} or None,
        "hyper_parameters": {name: _value(text) for name, text in options.parameter} or None,
        "code": (git_facts(options.code) or None) if options.code else None,
    }  # fmt: skip
    if options.configuration:
        with open(options.configuration, "rb") as file:
            said["configuration_digest"] = "sha256:" + hashlib.sha256(file.read()).hexdigest()
    told.update({key: value for key, value in said.items() if value is not None})
    return told


def main(arguments: Optional[Sequence[str]] = None, program: Optional[str] = None) -> int:
    """Seal as the command line says and return the exit code."""
    options = _parser(program).parse_args(arguments)
    try:
        done = seal(options.directory, options.format, _told(options))
    except SealRefused as refusal:
        print("seal: {}".format(refusal), file=sys.stderr)
        return 1
    except OSError as error:
        print("seal: {}: {}".format(error.filename or options.directory, error.strerror or error),
              file=sys.stderr)  # fmt: skip
        return 2
    if options.json:
        print(json.dumps({
            "directory": done.directory, "key": done.key, "marker_sha256": done.marker_sha256,
            "changed": done.changed, "files": len(done.marker["files"]),
        }))  # fmt: skip
        return 0
    size = sum(file["size"] for file in done.marker["files"])
    print("{} {}: {} files, {} bytes, {} of them serving".format(
        "sealed" if done.changed else "already sealed, unchanged", done.key,
        len(done.marker["files"]), size, sum(f["serving"] for f in done.marker["files"]),
    ))  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
