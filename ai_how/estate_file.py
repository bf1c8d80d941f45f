"""Which file declares the estate, where the project stands, and reading what a file declares."""

import os
from pathlib import Path

from platform_assets.spec.errors import AiHowError
from platform_assets.spec.loading.load import Loaded, load
from platform_assets.spec.loading.source import MAX_BYTES

PROJECT = Path(__file__).resolve().parents[1]
DEFAULT_CONFIG = Path("config/clusters/local.yaml")


class EstateUnreadable(AiHowError):
    """The file that declares the estate cannot be read."""


def estate_file() -> Path:
    """Return the file that AI_HOW_CONFIG names, or the project's own."""
    named = os.environ.get("AI_HOW_CONFIG")
    return Path(named).absolute() if named else PROJECT / DEFAULT_CONFIG


def read_estate(file: Path) -> Loaded:
    """Return what `file` declares, with the environment for its `${VAR}`.

    Raises:
        EstateUnreadable: it is missing, or cannot be read.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)  # more is refused by its size
    except OSError as error:
        message = (
            f"{file}: the estate's file cannot be read ({error.strerror}); name another one, or "
            "set AI_HOW_CONFIG to the file that declares the estate"
        )
        raise EstateUnreadable(message) from error
    return load(content, str(file), os.environ)
