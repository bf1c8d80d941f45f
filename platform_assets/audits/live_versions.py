"""Which versions are live: what the ledger deployed last, and what the model server itself tells.

Verification asks for the deployments, retention for everything that is live in either's eyes.
"""

from dataclasses import dataclass

from platform_assets.lineage.facts import DEPLOYMENT
from platform_assets.lineage.ledger import Fact, Ledger
from platform_assets.serving.mlserver_endpoint import digest_of
from resources.model_server import ModelNotFound, ModelServer


def live_deployment(ledger: Ledger, endpoint: str) -> Fact | None:
    """Return the fact that says what `endpoint` serves now, or None where it serves nothing."""
    return ledger.latest(DEPLOYMENT, endpoint)


def live_deployments(ledger: Ledger) -> dict[str, Fact]:
    """Return the deployment that holds for each endpoint."""
    latest = {fact.subject: fact for fact in ledger.facts(DEPLOYMENT)}  # the last one holds
    return dict(sorted(latest.items()))


@dataclass(frozen=True)
class LiveContent:
    """Content that something serves; `model` is None where only the server tells of it."""

    tree_digest: str
    model: str | None
    why: str


def live_content(ledger: Ledger, server: ModelServer) -> list[LiveContent]:
    """Return all content that the ledger or the server calls live, candidates included.

    Raises:
        ModelServerError: the server cannot be asked; nothing is known then.
    """
    found = [
        LiveContent(
            str(fact.body["tree_digest"]), str(fact.body["model"]), f"live on endpoint {endpoint}"
        )
        for endpoint, fact in live_deployments(ledger).items()
    ]
    names = [str(model["name"]) for model in server.index() if model.get("state") == "READY"]
    for name in names:
        try:
            digest = digest_of(server.metadata(name))
        except ModelNotFound:
            continue
        if digest:
            found.append(LiveContent(digest, None, f"the model server serves it as {name}"))
    return found
