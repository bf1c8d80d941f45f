"""Checkpoints whose model answers one number, whatever it is asked: so an answer tells its origin.

They are real scikit-learn models saved as skops with a signature, made in milliseconds. Used by
tests and benchmarks that must tell from outside which checkpoint is live.
"""

import json
import random
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

from platform_assets.models.seal import seal as seal_directory

# The same request fits each of them.
REQUEST = {
    "inputs": [{"name": "input-0", "datatype": "FP64", "shape": [1, 2], "data": [[1.0, 1.0]]}]
}
_ASKED_S = 10.0


def telling_checkpoint(
    root: Path, model: str, run: str, number: int, *, padding: int = 0, seal: bool = True
) -> Path:
    """Make `<root>/<model>/<run>`, a model that answers `number`.

    `padding` bytes of its own in a further serving file make it go in parts.
    """
    import mlflow.sklearn
    import numpy as np
    from mlflow.models import infer_signature
    from sklearn.dummy import DummyRegressor

    directory = root / model / run
    directory.parent.mkdir(parents=True, exist_ok=True)
    asked = np.ones((1, 2))
    regressor = DummyRegressor(strategy="constant", constant=float(number)).fit(asked, [number])
    mlflow.sklearn.save_model(
        regressor,
        directory,
        serialization_format="skops",
        signature=infer_signature(asked, regressor.predict(asked)),
        pip_requirements=["scikit-learn", "skops"],
    )
    if padding:
        (directory / "README.md").write_bytes(random.Random(number).randbytes(padding))
    if seal:
        seal_directory(str(directory), training={"seed": number})
    return directory


def told_number(model_server_url: str, endpoint: str) -> int | None:
    """Ask the endpoint once over HTTP; None where it does not answer at this moment."""
    url = f"{model_server_url}/v2/models/{endpoint}/infer"
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(REQUEST).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=_ASKED_S) as answer:
            told: Any = json.load(answer)["outputs"][0]["data"][0]
    except (OSError, ValueError, HTTPException):  # also every status but 200
        return None
    return round(told[0] if isinstance(told, list) else told)
