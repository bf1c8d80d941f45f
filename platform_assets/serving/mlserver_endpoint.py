"""An endpoint on MLServer, replaced without a gap: the steps of one swap and what survives a kill.

An endpoint is an unversioned model of MLServer: reloading one loads the new bytes first and swaps
after. Before that the same bytes are loaded under a second name, tried, and unloaded in the end; a
model that does not load, answer or pass its gates never gets near the live one. The settings in the
model repository say what the server serves after its own restart; what it serves now only it can
tell. The caller holds the endpoint's lock. Whether to deploy is decided in `promotion.py`, what the
gates are in `gates.py`.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from platform_assets.lineage import ids
from platform_assets.serving.gate_report import GateReport
from platform_assets.serving.provider import CANDIDATE, Intended, Swap
from platform_assets.serving.smoke_request import smoke_request
from platform_assets.spec.errors import AiHowError
from resources.model_server import (
    ModelNotFound,
    ModelServer,
    ModelServerError,
    ModelServerRefused,
)

RUNTIME: Final = "platform_assets.serving.verified_runtime.VerifiedMlflowRuntime"
SETTINGS: Final = "model-settings.json"


class CandidateRefused(AiHowError):
    """The new model does not load or does not answer; what was live is live still."""


class SwapFailed(AiHowError):
    """The server tells another digest than the one that was loaded."""


def told_digest(server: ModelServer, name: str) -> str | None:
    """Ask the server which tree digest model `name` has; None where it serves no such model.

    An empty text means that it serves a model which tells no digest: somebody else's.
    """
    try:
        metadata = server.metadata(name)
    except ModelNotFound:
        return None
    return digest_of(metadata)


def digest_of(metadata: Mapping[str, Any]) -> str:
    """Return the tree digest that a model's metadata tells, or an empty text."""
    return str((metadata.get("parameters") or {}).get(ids.TREE_DIGEST) or "")


def ensure_served(
    server: ModelServer,
    repository: Path,
    intended: Intended,
    directory: Path,
    *,
    progress: Callable[[str], None] = lambda _: None,
    gate: Callable[[str], GateReport] | None = None,
) -> Swap:
    """Make the endpoint serve the copy in `directory`; the live one answers until the swap.

    Idempotent and safe to kill anywhere: the next call concludes. `gate` is called with the name
    of the loaded candidate; what it raises keeps the candidate out.

    Raises:
        CandidateRefused: the model does not load or answer; the endpoint is as it was.
        SwapFailed: after the swap the server told another digest.
        ModelServerError: the server cannot be asked.
    """
    candidate = intended.endpoint + CANDIDATE
    remove_candidate(server, repository, intended.endpoint)
    previous = told_digest(server, intended.endpoint)
    settings = _settings(intended, directory, intended.endpoint)
    file = repository / intended.endpoint / SETTINGS
    if previous == intended.tree_digest and _same_copy(file, settings):
        return Swap(False, previous, "served already", 0.0, 0.0)
    begun = time.monotonic()
    try:
        smoke = _try_candidate(server, repository, intended, directory)
        progress(f"the candidate loaded and told its digest; request: {smoke}")
        report = None if gate is None else gate(candidate)
        tried = time.monotonic()
        _swap(server, file, settings, intended)
    except BaseException:
        with suppress(ModelServerError):  # the first error is the one to show
            server.unload(candidate)
        raise
    server.unload(candidate)
    swap_s = time.monotonic() - tried
    progress(f"{intended.endpoint} serves {intended.tree_digest} after {swap_s:.2f} s")
    return Swap(True, previous, smoke, tried - begun, swap_s, report)


def remove_candidate(server: ModelServer, repository: Path, endpoint: str) -> None:
    """Remove what a killed swap left: first the settings, so that no restart loads them."""
    shutil.rmtree(repository / (endpoint + CANDIDATE), ignore_errors=True)
    server.unload(endpoint + CANDIDATE)


def _settings(intended: Intended, directory: Path, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "implementation": RUNTIME,
        "parameters": {
            "uri": str(directory.absolute()),
            "extra": {
                ids.ENDPOINT: intended.endpoint,
                ids.MODEL: intended.model,
                ids.VERSION: intended.version,
                ids.CHECKPOINT: intended.checkpoint,
                ids.TREE_DIGEST: intended.tree_digest,
            },
        },
    }


def _same_copy(file: Path, settings: Mapping[str, Any]) -> bool:
    """Say whether the settings on disk would load the same bytes in the same way."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        same_digest = (
            found["parameters"]["extra"][ids.TREE_DIGEST]
            == settings["parameters"]["extra"][ids.TREE_DIGEST]
        )
        return bool(
            same_digest
            and found["implementation"] == settings["implementation"]
            and found["parameters"]["uri"] == settings["parameters"]["uri"]
        )
    except (OSError, ValueError, KeyError, TypeError):  # absent, or not written by us
        return False


def _try_candidate(
    server: ModelServer, repository: Path, intended: Intended, directory: Path
) -> str:
    """Load the copy under the candidate's name, compare its digest, ask it once."""
    name = intended.endpoint + CANDIDATE
    file = repository / name / SETTINGS
    write_in_one_step(file, json.dumps(_settings(intended, directory, name), indent=2).encode())
    try:
        server.load(name)
    except ModelServerRefused as refusal:
        message = (
            f"{intended.endpoint}: model {intended.model} version {intended.version} does not "
            f"load, what was live is untouched: {refusal}"
        )
        raise CandidateRefused(message) from refusal
    finally:
        # It is in the server's memory, or nowhere; a restart must not find it.
        shutil.rmtree(file.parent, ignore_errors=True)
    metadata = server.metadata(name)
    if digest_of(metadata) != intended.tree_digest:
        message = (
            f"{intended.endpoint}: the candidate was loaded from {directory}, expected digest "
            f"{intended.tree_digest}, the server tells {digest_of(metadata) or 'none'}; what was "
            "live is untouched; read the model server's log"
        )
        raise CandidateRefused(message)
    return _smoke(server, intended, name, metadata)


def _smoke(server: ModelServer, intended: Intended, name: str, metadata: Mapping[str, Any]) -> str:
    request = smoke_request(metadata)
    if request is None:
        return "not asked: the signature does not tell a harmless input"
    try:
        answer = server.infer(name, request)
    except ModelServerRefused as refusal:
        message = (
            f"{intended.endpoint}: model {intended.model} version {intended.version} loads, but "
            "does not answer a request that fits its signature, what was live is untouched: "
            f"{refusal}"
        )
        raise CandidateRefused(message) from refusal
    if not answer.get("outputs"):
        message = (
            f"{intended.endpoint}: model {intended.model} version {intended.version} answers "
            "without outputs; what was live is untouched; look at the model's predict"
        )
        raise CandidateRefused(message)
    return "answered"


def _swap(server: ModelServer, file: Path, settings: Mapping[str, Any], intended: Intended) -> None:
    """Write the settings and load them; where the server refuses, put the old ones back."""
    before = file.read_bytes() if file.exists() else None
    write_in_one_step(file, json.dumps(settings, indent=2).encode())
    try:
        server.load(intended.endpoint)
    except (ModelServerRefused, ModelNotFound) as refusal:
        if before is None:
            shutil.rmtree(file.parent)
        else:
            write_in_one_step(file, before)
        message = (
            f"{intended.endpoint}: the candidate served, the swap was refused, the settings are as "
            f"before: {refusal}"
        )
        raise CandidateRefused(message) from refusal
    told = told_digest(server, intended.endpoint)
    if told != intended.tree_digest:
        message = (
            f"{intended.endpoint}: expected digest {intended.tree_digest} after the swap, the "
            f"server tells {told or 'none'}; somebody else changes the server or {file}; find out "
            "who"
        )
        raise SwapFailed(message)


def write_in_one_step(file: Path, data: bytes) -> None:
    """Write `file` so that a reader sees the old bytes or the new, also after a power cut."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.writing")
    with temporary.open("wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())
    temporary.replace(file)
    for directory in (file.parent, file.parent.parent):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
