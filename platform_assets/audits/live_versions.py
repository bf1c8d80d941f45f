"""Which versions are live: what the ledger deployed last, and what the servers themselves tell.

Verification asks for the deployments, retention for everything that is live in either's eyes.
"""

from dataclasses import dataclass

from platform_assets.lineage.deployments import deployed, open_deployments
from platform_assets.lineage.interventions import WAITING
from platform_assets.lineage.ledger import Fact, Ledger
from platform_assets.serving.provider import Provider
from platform_assets.serving.standing import waiting_deliveries


def live_deployment(ledger: Ledger, endpoint: str) -> Fact | None:
    """Return the fact that says what `endpoint` serves now, or None where it serves nothing."""
    found = deployed(ledger, endpoint)
    return found.fact if found else None


def live_deployments(ledger: Ledger) -> dict[str, Fact]:
    """Return the deployment that holds for each endpoint."""
    return {name: found.fact for name, found in open_deployments(ledger).items()}


@dataclass(frozen=True)
class LiveContent:
    """Content that something serves; `model` is None where only a server tells of it."""

    tree_digest: str
    model: str | None
    why: str


def live_content(ledger: Ledger, provider: Provider) -> list[LiveContent]:
    """Return all content that the ledger or the provider calls live, or that waits for a person.

    Raises:
        ResourceError: the provider cannot be asked; nothing is known then.
    """
    found = [
        LiveContent(
            str(fact.body["tree_digest"]), str(fact.body["model"]), f"live on endpoint {endpoint}"
        )
        for endpoint, fact in live_deployments(ledger).items()
    ]
    found += [
        LiveContent(
            str(fact.body["tree_digest"]),
            str(fact.body["model"]),
            f"waits for {fact.body['waits_for']} on endpoint {endpoint}",
        )
        for endpoint in {fact.subject for fact in ledger.facts(WAITING)}
        for fact in waiting_deliveries(ledger, endpoint)
    ]
    for name, told in sorted(provider.serving().items()):
        if told.tree_digest:
            why = f"the model server serves it as {name}"
            found.append(LiveContent(told.tree_digest, None, why))
    return found
