"""An applied estate for tests that need one beside the parts that they look at."""

from pathlib import Path
from typing import Any

from platform_assets.spec.applied import Addresses, AppliedEstate

NOWHERE = "http://127.0.0.1:1"  # nothing listens there


def applied_estate(state: Path, *, url: str = NOWHERE, **known: Any) -> AppliedEstate:
    """Return an estate with this state directory, whose parts all answer at `url`.

    What a test knows better it says: fields of the estate or of its addresses.
    """
    addresses = {
        "postgresql_socket_dir": state,
        "postgresql_port": 1,
        "s3_url": url,
        "mlflow_url": url,
        "model_server_url": url,
        "dagster_url": url,
    }
    fields = {
        "declared": {"metadata": {"name": "test"}},
        "source": Path("estate.yaml"),
        "checkpoint_root": state / "checkpoints",
        "serving_file": state / "serving.yaml",
    }
    said = {name: known.pop(name) for name in addresses if name in known}
    return AppliedEstate(
        state=state, addresses=Addresses(**{**addresses, **said}), **{**fields, **known}
    )
