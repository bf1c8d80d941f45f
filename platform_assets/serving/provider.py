"""What carries endpoints, as deliveries, people's commands and audits speak of it.

MLServer on this machine is one provider (`mlserver_provider.py`). Which one an estate has, it
declares; whoever uses one asks only for what stands here. Whether something is to be served is
decided in `promotion.py`, what a candidate must pass in `gates.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import dagster as dg

from platform_assets.lineage.verdict import HopResult
from platform_assets.lineage.verification import Expected
from platform_assets.models.verification import Named
from platform_assets.serving.gate_report import GateReport
from platform_assets.spec.serving import ServedModel
from resources.model_server import ModelServer

CANDIDATE: Final = ".candidate"  # no endpoint's name holds a dot


@dataclass(frozen=True)
class Answering:
    """A loaded model: the server that answers for it, and its name there."""

    server: ModelServer
    name: str
    address: str | None = None  # the server's for clients, where it is another than ours

    @property
    def infer_url(self) -> str:
        """Where it answers our inference requests."""
        return self.server.infer_url(self.name)

    @property
    def client_url(self) -> str:
        """Where it answers the inference requests of its clients."""
        known = self.server if self.address is None else ModelServer(self.address)
        return known.infer_url(self.name)


# Tries a loaded candidate, whose files lie in the directory where there is one on this machine.
Gate = Callable[[Answering, Path | None], GateReport]


@dataclass(frozen=True)
class Intended:
    """What an endpoint is to serve; `entry` is the model's in the serving file, if it has one."""

    endpoint: str
    model: str
    version: str
    format: str
    tree_digest: str
    checkpoint: str
    entry: ServedModel | None
    dagster_run: str | None = None


@dataclass(frozen=True)
class Swap:
    """What was done; `changed` is False where exactly this was served already."""

    changed: bool
    previous_digest: str | None
    smoke: str
    candidate_s: float
    swap_s: float
    gates: GateReport | None = None
    fetch_s: float = 0.0


@dataclass(frozen=True)
class Told:
    """What a served model tells of itself; an empty digest where it tells none."""

    tree_digest: str
    model: str | None = None
    version: str | None = None
    checkpoint: str | None = None


class Provider(Protocol):
    """What carries endpoints. The caller of what changes something holds the endpoint's lock."""

    @property
    def address(self) -> str:
        """Where it is, as deployments record it."""

    def answering(self, endpoint: str) -> Answering:
        """Return where an endpoint answers, whether or not it does now."""

    def serving(self) -> dict[str, Told]:
        """Ask for everything that is served now, by name, also what nobody here deployed.

        A candidate is named after its endpoint, with `CANDIDATE` behind it.
        """

    def told(self, name: str) -> Told | None:
        """Ask what is served under a name; None where nothing is."""

    def unintended(self, intended: Intended) -> str | None:
        """Return, in words, where an endpoint that tells the right bytes is not as intended.

        None: it is, so that `ensure_served` would find nothing to do.
        """

    def ensure_served(
        self, intended: Intended, gate: Gate, progress: Callable[[str], None]
    ) -> Swap:
        """Make the endpoint serve exactly this; what was live answers until the swap.

        Idempotent and safe to kill anywhere: the next call concludes. What `gate` raises keeps
        the candidate out, and leaves what was live untouched.
        """

    def withdraw(self, endpoint: str) -> None:
        """Let the endpoint answer no longer, and remove what is kept for it."""

    def evidence(self) -> dict[str, dg.MetadataValue]:
        """Return what else it can show of what serves; nothing where that is all."""

    def named_by_fetched(self, expected: Expected) -> Named | None:
        """Read which bytes the copy beside the server should hold; None without such a copy."""

    def verify_server(self, expected: Expected) -> HopResult:
        """Ask which bytes are served, and as what."""
