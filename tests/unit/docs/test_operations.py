"""`docs/operations.md` knows every error that a person can meet."""

import importlib
import pkgutil
from pathlib import Path

import ai_how
import platform_assets
import resources
import sensors
from platform_assets.spec.errors import AiHowError
from resources.errors import ResourceError

# Run by Dagster and Alembic, not imported by name.
ELSEWHERE = {"ai_how.definitions", "platform_assets.lineage.migrations.env"}


def every_error():
    for package in (ai_how, sensors, platform_assets, resources):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name not in ELSEWHERE:
                importlib.import_module(module.name)
    pending = [AiHowError, ResourceError]
    while pending:
        children = pending.pop().__subclasses__()
        pending += children
        yield from (child.__name__ for child in children)


def test_every_error_is_explained():
    page = Path("docs/operations.md").read_text()
    assert sorted(name for name in set(every_error()) if f"`{name}`" not in page) == []
