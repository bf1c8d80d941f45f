"""Whether the parts that a delivery needs answer at all.

A sensor asks this before it asks for a run: what is down makes it skip, and costs no attempt. It
is no health check; the assets in `platform_assets.services` say whether a part works.
"""

import httpx

from platform_assets.spec.applied import Addresses

_TIMEOUT_S = 3.0


def part_that_is_down(addresses: Addresses) -> str | None:
    """Return which part does not answer and why, or None when all of them do."""
    probes = {
        "object store": addresses.s3_url,  # refuses us without a key, and so answers
        "MLflow": f"{addresses.mlflow_url}/health",
        "model server": f"{addresses.model_server_url}/v2/health/live",
    }
    with httpx.Client(timeout=_TIMEOUT_S, trust_env=False) as client:
        for part, url in probes.items():
            try:
                status = client.get(url).status_code
            except httpx.HTTPError as error:
                return f"the {part} does not answer at {url} ({type(error).__name__})"
            if status >= httpx.codes.INTERNAL_SERVER_ERROR:
                return f"the {part} answers {status} at {url}"
    return None
