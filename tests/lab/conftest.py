"""The lab that all tests share; whoever changes it for others puts it back."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.commands import LabFailed
from tests.lab.kserve_lab import KserveLab, ensure_kserve_lab
from tests.lab.lab import Lab, bring_up, find_lab, refuse_poor_machine

# Names a lab that is up, for tests that are written against it: a start less for each try.
GIVEN = "AI_HOW_LAB"


@pytest.fixture(scope="session")
def poor_machine() -> None:
    """Skip where no lab can be; in CI that is an error."""
    try:
        refuse_poor_machine()
    except LabFailed as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def lab(poor_machine: None) -> Iterator[Lab]:
    """Return a lab; it is the one that AI_HOW_LAB names, or of this session alone."""
    given = os.environ.get(GIVEN)
    if given:
        found = find_lab(Path(given))
        if found is None:
            message = f"{GIVEN}={given}: expected a lab that is up; `make lab-up` starts one"
            raise LabFailed(message)
        yield found
        return
    own = bring_up(lab_directory(), keep=False)
    try:
        yield own
    finally:
        own.down()


def lab_directory() -> Path:
    """Return a directory on the disk, for images are too much for memory; it goes with its lab."""
    return Path(tempfile.mkdtemp(prefix="ai-how-test-lab-", dir="/var/tmp"))


@pytest.fixture(scope="session")
def kserve_lab(lab: Lab) -> KserveLab:
    """Return the lab with images, object store and KServe."""
    return ensure_kserve_lab(lab)
