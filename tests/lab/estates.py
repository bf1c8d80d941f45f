"""Estates that serve on a lab, applied as `ai-how config apply` would."""

from pathlib import Path
from typing import Any

from platform_assets.spec.applied import AppliedEstate
from tests.applied_estates import applied_estate
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
    return applied_estate(state, declared=declared, s3_url=s3_url)
