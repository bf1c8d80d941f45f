"""One delivery in a process of its own, which a test kills. The argument says what it needs."""

import json
import sys
from pathlib import Path

from platform_assets.lineage.ledger import Ledger
from platform_assets.serving.endpoint import Serving, deliver_endpoint
from platform_assets.serving.kserve_provider import KserveProvider
from platform_assets.spec.model.services import Kserve
from resources.kubernetes import Kubernetes
from resources.mlflow import Mlflow


def main() -> None:
    """Deliver, and say each step on the standard output."""
    given = json.loads(sys.argv[1])
    kubernetes = Kubernetes(Path(given["kubeconfig"]))
    kserve = Kserve.model_validate(given["kserve"])
    provider = KserveProvider(kubernetes, kserve, "lab", given["bucket"])
    url, credentials = given["mlflow"]
    serving = Serving(provider, Mlflow(url, Path(credentials)), Ledger(given["ledger"]))

    def progress(words: str) -> None:
        print(words, flush=True)

    deliver_endpoint(given["key"], Path(given["serving_file"]), serving, "a-run", progress)


if __name__ == "__main__":
    main()
