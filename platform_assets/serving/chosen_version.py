"""A version that a person chose, by number or by alias: whether it is one of ours, and still there.

What MLflow says of it now must agree with what the ledger has of it. Its bytes are verified later,
as they are fetched.
"""

from platform_assets.lineage import facts, ids
from platform_assets.lineage.deployments import Asked
from platform_assets.serving.promotion import Candidate
from platform_assets.spec.errors import AiHowError
from resources.mlflow import Mlflow, MlflowNotFound


class VersionUnusable(AiHowError):
    """The version was deleted, is not one that we registered, or was changed since."""


def chosen_version(mlflow: Mlflow, ledger: Asked, model: str, version: str) -> Candidate:
    """Return the checkpoint that `version` of `model` was registered for.

    Raises:
        VersionUnusable: says why it cannot be served.
        MlflowUnavailable: MLflow cannot be asked.
    """
    where = f"version {version} of model {model}"
    try:
        found = mlflow.get_version(model, version)
    except MlflowNotFound as error:
        message = (
            f"{where}: expected a version in MLflow, found none: it was deleted or never was "
            "there; what is live stays; choose another version"
        )
        raise VersionUnusable(message) from error
    told = found.tags.get(ids.TREE_DIGEST)
    fact = ledger.latest(facts.VERSION, f"{model}/{version}")
    if told is None or fact is None:
        lacks = f"tag {ids.TREE_DIGEST}" if told is None else f"{facts.VERSION} fact in the ledger"
        message = (
            f"{where}: expected a version that this platform registered, found no {lacks}: "
            "somebody else registered it, nobody knows its bytes; what is live stays; seal the "
            "checkpoint and have it delivered"
        )
        raise VersionUnusable(message)
    recorded = {"tree digest": fact.body["tree_digest"], "source": fact.body["source"]}
    now = {"tree digest": told, "source": found.source}
    for name, expected in recorded.items():
        if now[name] != expected:
            message = (
                f"{where}: expected {name} {expected} as the ledger has it (fact {fact.seq}), "
                f"found {now[name]} in MLflow: somebody changed the registry; what is live stays; "
                "find out who"
            )
            raise VersionUnusable(message)
    taken = ledger.latest(facts.CHECKPOINT, str(fact.body["checkpoint"]))
    if taken is None:
        message = f"{where}: its checkpoint {fact.body['checkpoint']} is not in the ledger"
        raise VersionUnusable(message)
    return Candidate(
        model=model,
        checkpoint=taken.subject,
        format=str(taken.body["format"]),
        sealed_at=str(taken.body["sealed_at"]),
        tree_digest=str(fact.body["tree_digest"]),
    )
