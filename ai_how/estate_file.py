"""Which file declares the estate, and where the project stands that relative paths begin at."""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
DEFAULT_CONFIG = Path("config/clusters/local.yaml")


def estate_file() -> Path:
    """Return the file that AI_HOW_CONFIG names, or the project's own."""
    named = os.environ.get("AI_HOW_CONFIG")
    return Path(named).absolute() if named else PROJECT / DEFAULT_CONFIG
