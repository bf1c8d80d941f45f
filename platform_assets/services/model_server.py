"""The model server as an asset: it is ready and tells which models it holds.

Its process belongs to `ai-how up`, its connection to `resources/model_server.py`; what it serves
is `platform_assets/serving`'s.
"""

import dagster as dg

from platform_assets import keys
from resources.errors import ResourceError
from resources.model_server import ModelServer


class ModelServerNotReady(ResourceError):
    """The model server does not say that it is ready."""


def _not_ready(model_server: ModelServer) -> str:
    return (
        f"model server at {model_server.url}: expected it to be ready, found that it is not; "
        "read its log with `ai-how logs model-server`"
    )


@dg.asset(
    key=keys.MODEL_SERVER,
    group_name="services",
    kinds={"mlserver"},
    owners=[keys.OWNER],
    code_version="1",
)
def model_server_service(
    model_server: dg.ResourceParam[ModelServer],
) -> dg.MaterializeResult[None]:
    """The model server, ready to load models and to answer in the Open Inference Protocol v2.

    It holds no secret and serves only what stands in its repository on this machine.
    """
    if not model_server.ready():
        raise ModelServerNotReady(_not_ready(model_server))
    return dg.MaterializeResult(
        metadata={
            "model_server_url": dg.MetadataValue.url(model_server.url),
            "models": dg.MetadataValue.json(model_server.index()),
        }
    )


@dg.asset_check(
    asset=keys.MODEL_SERVER, name="works", description="It says that it is ready for inference."
)
def model_server_works(model_server: dg.ResourceParam[ModelServer]) -> dg.AssetCheckResult:
    """Ask the server now."""
    try:
        ready = model_server.ready()
    except ResourceError as error:
        return dg.AssetCheckResult(passed=False, description=str(error))
    return dg.AssetCheckResult(
        passed=ready, description=None if ready else _not_ready(model_server)
    )
