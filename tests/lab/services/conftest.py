"""A lab without KServe, for tests that install it; the shared lab has one already."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from platform_assets.spec.applied import Addresses, AppliedEstate
from tests.lab.conftest import lab_directory
from tests.lab.images import kserve_manager_image, storage_container_image
from tests.lab.kserve_lab import give_images
from tests.lab.lab import Lab, bring_up, find_lab
from tests.lab.programs import module_directory

# Names a lab that is up and has no KServe of others, for tests that are written against it.
GIVEN = "AI_HOW_BARE_LAB"


@pytest.fixture(scope="session")
def bare_lab(poor_machine: None) -> Iterator[Lab]:
    """Return a lab of this session alone, without KServe."""
    given = os.environ.get(GIVEN)
    if given:
        found = find_lab(Path(given))
        assert found is not None, f"{GIVEN}={given}: expected a lab that is up"
        yield found
        return
    own = bring_up(lab_directory(), keep=False)
    try:
        yield own
    finally:
        own.down()


@pytest.fixture(scope="session")
def managed_images(bare_lab: Lab) -> dict[str, str]:
    """Return the images of the estate, which the node has."""
    manager, storage_container = kserve_manager_image(), storage_container_image()
    give_images(bare_lab, [manager, storage_container])
    return {"manager": manager.pinned, "storage_container": storage_container.pinned}


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
