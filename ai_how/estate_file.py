"""Which file declares the estate, and where the project stands."""

import os
from pathlib import Path

from platform_assets.spec.applied import NotApplied, read_applied, state_dir

PROJECT = Path(__file__).resolve().parents[1]
DEFAULT_CONFIG = Path("config/clusters/local.yaml")


def estate_file() -> Path:
    """Return the file that AI_HOW_CONFIG names, or the one applied last, or the project's own."""
    named = os.environ.get("AI_HOW_CONFIG")
    if named:
        return Path(named).absolute()
    try:
        return read_applied(state_dir()).source
    except NotApplied:
        return PROJECT / DEFAULT_CONFIG
