"""Where the programs of the lab come from."""

import os
from pathlib import Path


class ProgramMissing(Exception):
    """A program of the lab is not there."""


def program(name: str) -> Path:
    """Return the program `name` from the folder that KUBEBUILDER_ASSETS names.

    Raises:
        ProgramMissing: the variable is not set, or the folder does not hold it.
    """
    folder = os.environ.get("KUBEBUILDER_ASSETS")
    if not folder:
        message = f"{name}: KUBEBUILDER_ASSETS is not set; let it name a folder that holds {name}"
        raise ProgramMissing(message)
    found = Path(folder) / name
    if not os.access(found, os.X_OK):
        message = f"{found}: expected a program (KUBEBUILDER_ASSETS={folder}), found none"
        raise ProgramMissing(message)
    return found
