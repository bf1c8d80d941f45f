"""Endpoints on one MLServer of this machine: copies are fetched to its disk and loaded from there.

The steps of a swap stand in `mlserver_endpoint.py`, the copy on disk in `fetched_copy.py`.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg

from platform_assets.lineage import ids
from platform_assets.lineage.manifest import copy_prefix
from platform_assets.lineage.verdict import HopResult
from platform_assets.lineage.verification import Expected
from platform_assets.models.verification import Named
from platform_assets.serving.fetched_copy import fetch_copy, remove_copies_but
from platform_assets.serving.mlserver_endpoint import (
    digest_of,
    ensure_served,
    remove_candidate,
)
from platform_assets.serving.provider import Answering, Gate, Intended, Swap, Told
from platform_assets.serving.verification import named_by_fetched, verify_server
from resources.model_server import ModelNotFound, ModelServer
from resources.object_store import ObjectStore


@dataclass(frozen=True)
class MlserverProvider:
    """One server, the store that it is fed from, and its two directories on this machine."""

    server: ModelServer
    store: ObjectStore
    served: Path
    repository: Path

    @property
    def address(self) -> str:
        """The server's URL."""
        return self.server.url

    def answering(self, endpoint: str) -> Answering:
        """Every endpoint is a model of the one server."""
        return Answering(self.server, endpoint)

    def serving(self) -> dict[str, Told]:
        """Ask every model that is loaded.

        Raises:
            ModelServerUnavailable: the server cannot be asked; nothing is known then.
        """
        loaded = (str(one["name"]) for one in self.server.index() if one.get("state") == "READY")
        told = ((name, self.told(name)) for name in loaded)
        return {name: one for name, one in told if one is not None}

    def told(self, name: str) -> Told | None:
        """Return what the runtime that verified the bytes tells of them."""
        try:
            metadata = self.server.metadata(name)
        except ModelNotFound:
            return None
        shown = metadata.get("parameters") or {}
        ids_shown = (shown.get(one) for one in (ids.MODEL, ids.VERSION, ids.CHECKPOINT))
        return Told(digest_of(metadata), *(None if one is None else str(one) for one in ids_shown))

    def unintended(self, intended: Intended) -> None:
        """The bytes that the server tells are all that there is to an endpoint."""

    def ensure_served(
        self, intended: Intended, gate: Gate, progress: Callable[[str], None]
    ) -> Swap:
        """Fetch, verify, load beside the live one, gate, swap; then remove older copies.

        Raises:
            WrongCopy, NoRoom, ObjectStoreError: there is nothing to load.
            CandidateRefused, SwapFailed, ModelServerError: see `mlserver_endpoint.ensure_served`.
        """
        into = self.served / intended.endpoint
        prefix = copy_prefix(intended.model, intended.tree_digest)
        copy = fetch_copy(self.store, prefix, intended.tree_digest, into, progress)
        swap = ensure_served(
            self.server,
            self.repository,
            intended,
            copy.directory,
            progress=progress,
            gate=lambda name: gate(Answering(self.server, name), copy.directory),
        )
        if swap.changed:
            keep = {intended.tree_digest, swap.previous_digest or intended.tree_digest}
            for name in remove_copies_but(into, keep):
                progress(f"removed the older copy {name}")
        return replace(swap, fetch_s=copy.seconds)

    def withdraw(self, endpoint: str) -> None:
        """Unload the endpoint and remove its settings and copies."""
        # The settings first: a server that restarts in between must not load them.
        _remove(self.repository / endpoint)
        remove_candidate(self.server, self.repository, endpoint)
        self.server.unload(endpoint)
        _remove(self.served / endpoint)

    def evidence(self) -> dict[str, dg.MetadataValue]:
        """The server tells no more."""
        return {}

    def named_by_fetched(self, expected: Expected) -> Named:
        """Read the manifest of the copy on disk and the settings that name it."""
        return named_by_fetched(self.served, self.repository, expected)

    def verify_server(self, expected: Expected) -> HopResult:
        """Ask the server."""
        return verify_server(self.server, expected)


def _remove(directory: Path) -> None:
    if directory.is_dir():
        shutil.rmtree(directory)
