"""What every intervention of a person into an endpoint shares: what it gets, and what it tells."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from platform_assets.lineage.interventions import UNKNOWN
from platform_assets.models.partition import LOCK_TIMEOUT_S
from platform_assets.serving.endpoint import (
    Delivered,
    Serving,
    intended_of,
    live_of,
    serve,
    ungated,
)
from platform_assets.serving.gated_delivery import Gating, candidate_gate
from platform_assets.serving.promotion import Candidate, Decision, Live, Standing
from platform_assets.serving.provider import Gate
from platform_assets.serving.standing import standing_of
from platform_assets.spec.errors import AiHowError
from platform_assets.spec.serving import ServedModel, read_serving


class EndpointUnknown(AiHowError):
    """No endpoint of this name is declared, and none was ever deployed."""


@dataclass(frozen=True)
class Intervention:
    """One request of a person. `request` stays the same when Dagster retries its run."""

    serving: Serving
    serving_file: Path
    request: str
    by: str = UNKNOWN
    dagster_run: str | None = None
    progress: Callable[[str], None] = lambda _: None
    begun: float = field(default_factory=time.monotonic)

    def entry(self, endpoint: str) -> ServedModel | None:
        """Return the entry of the serving file that answers at `endpoint`."""
        return read_serving(self.serving_file).for_endpoint(endpoint)

    def declared(self, endpoint: str) -> ServedModel:
        """Return the entry of `endpoint`.

        Raises:
            EndpointUnknown: the serving file has none.
        """
        config = read_serving(self.serving_file)
        entry = config.for_endpoint(endpoint)
        if entry is None:
            known = ", ".join(sorted(one.endpoint for one in config.models.values())) or "none"
            message = (
                f"endpoint {endpoint!r}: expected one of the serving file ({self.serving_file}), "
                f"which declares: {known}"
            )
            raise EndpointUnknown(message)
        return entry

    @contextmanager
    def alone(self, endpoint: str) -> Iterator[None]:
        """Hold the endpoint's lock, as deliveries do."""
        with self.serving.ledger.lock(f"endpoint/{endpoint}", LOCK_TIMEOUT_S):
            yield

    def live(self, endpoint: str) -> Live | None:
        """Return what is deployed by the ledger, with what the server tells of it."""
        serving = self.serving
        return live_of(endpoint, serving.ledger, serving.provider, self.entry(endpoint))

    def standing(self, endpoint: str, model: str) -> Standing:
        """Return what people decided about the endpoint before."""
        return standing_of(self.serving.ledger, endpoint, model)

    def serve(
        self,
        candidate: Candidate,
        version: str,
        endpoint: str,
        decision: Decision,
        before_recording: Callable[[], object] = lambda: None,
        *,
        served_before: bool = False,
    ) -> Delivered:
        """Put `version` behind the endpoint, its bytes verified again, and record it.

        The gates of the model are asked as at any deployment; not of a version that served there
        before, for a person who rolls back is in a hurry and knows it.
        """
        entry = self.entry(endpoint)
        ours = entry if entry is not None and entry.model == candidate.model else None
        served = serve(
            intended_of(candidate, version, endpoint, ours, self.dagster_run),
            self.serving,
            self._gate(candidate, version, None if served_before else ours),
            self.progress,
            before_recording,
        )
        seconds = time.monotonic() - self.begun
        url = self.serving.provider.answering(endpoint).client_url
        return Delivered(candidate, version, decision, entry, url, *served, seconds)

    def _gate(self, candidate: Candidate, version: str, entry: ServedModel | None) -> Gate:
        if entry is None:
            return ungated("a person put back a version that served here before")
        live = self.live(entry.endpoint)
        folder = self.serving_file.parent
        gating = Gating(entry, folder, candidate, version, live, self.dagster_run)
        return candidate_gate(gating, self.serving.provider, self.serving.ledger, self.progress)


@dataclass(frozen=True)
class Done:
    """What came of it, in one sentence; `delivered` where another version serves now."""

    sentence: str
    delivered: Delivered | None = None
