"""MLflow as an asset: its registry and tracking store answer, and our experiment is there.

Its process belongs to `ai-how up`, its connection to `resources/mlflow.py`.
"""

import time

import dagster as dg

from platform_assets import keys
from resources.errors import ResourceError
from resources.mlflow import Mlflow

EXPERIMENT = "ai-how"  # where training runs go that name no other


@dg.asset(
    key=keys.MLFLOW,
    deps=[keys.OBJECT_STORE],
    group_name="services",
    kinds={"mlflow", "postgres"},
    owners=[keys.OWNER],
    code_version="1",
)
def mlflow_service(mlflow: dg.ResourceParam[Mlflow]) -> dg.MaterializeResult[None]:
    """The MLflow server, answering, with the experiment for training runs.

    It holds the registry of model versions and the runs that trained them, in PostgreSQL; what
    runs log as artifacts lies in its bucket of the object store.
    """
    begun = time.monotonic()
    experiment = mlflow.ensure_experiment(EXPERIMENT)
    mlflow.ping()
    return dg.MaterializeResult(
        metadata={
            "mlflow_url": dg.MetadataValue.url(mlflow.url),
            "experiment": dg.MetadataValue.url(f"{mlflow.url}/#/experiments/{experiment}"),
            "seconds": round(time.monotonic() - begun, 3),
        }
    )


@dg.asset_check(asset=keys.MLFLOW, name="works", description="A search in the registry answers.")
def mlflow_works(mlflow: dg.ResourceParam[Mlflow]) -> dg.AssetCheckResult:
    """Search the registry as it is now."""
    begun = time.monotonic()
    try:
        mlflow.ping()
    except ResourceError as error:
        return dg.AssetCheckResult(passed=False, description=str(error))
    seconds = round(time.monotonic() - begun, 3)
    return dg.AssetCheckResult(passed=True, metadata={"seconds": seconds})
