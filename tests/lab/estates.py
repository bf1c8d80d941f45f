"""Estates that serve on a lab, applied as `ai-how config apply` would."""

from pathlib import Path
from typing import Any

from platform_assets.spec.applied import Addresses, AppliedEstate
from tests.lab.lab import Lab
from tests.lab.programs import module_directory


def kserve_source() -> Path:
    """Return the folder of KServe's Go module."""
    return module_directory("kserve", "github.com/kserve/kserve")


def applied(
    state: Path, lab: Lab, reader: Path, kserve: dict[str, Any], s3_url: str
) -> AppliedEstate:
    """Return an applied estate that serves on a lab, with the reader's key where `up` puts it."""
    secrets = state / "secrets"
    secrets.mkdir(mode=0o700, exist_ok=True)
    (secrets / "s3-reader.json").write_text(reader.read_text())
    declared = {
        "metadata": {"name": "lab"},
        "placement": {"serving": "kubernetes"},
        "clusters": {
            "cloud": {
                "kubernetes": {"kubeconfig": str(lab.kubeconfig)},
                "mlops": {
                    "serving": {
                        "kserve": {
                            "object_store": {"url": s3_url},
                            "inference_services": {"namespace": "models"},
                            **kserve,
                        }
                    }
                },
            }
        },
    }
    addresses = Addresses(
        postgresql_socket_dir=state,
        postgresql_port=5432,
        s3_url=s3_url,
        mlflow_url="http://127.0.0.1:1",
        model_server_url="http://127.0.0.1:1",
        dagster_url="http://127.0.0.1:1",
    )
    return AppliedEstate(
        declared=declared,
        source=state / "local.yaml",
        checkpoint_root=state,
        serving_file=state / "serving.yaml",
        state=state,
        addresses=addresses,
    )
