"""A lab without KServe, for tests that install it; the shared lab has one already."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.conftest import lab_directory
from tests.lab.images import kserve_manager_image, storage_container_image
from tests.lab.kserve_lab import give_images
from tests.lab.lab import Lab, bring_up, find_lab

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
