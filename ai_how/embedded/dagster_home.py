"""DAGSTER_HOME: `dagster.yaml` from what a person may edit and where this platform keeps things.

No secret stands in it: PostgreSQL's password is in the file that the URL names.
"""

from pathlib import Path
from typing import Any

import yaml

from ai_how.embedded.layout import Layout
from platform_assets.spec.errors import AiHowError

LOCATION = "platform"


class DagsterSettingsRefused(AiHowError):
    """The editable part of Dagster's settings cannot be used."""


def dagster_settings(editable: Path, layout: Layout, database_url: str) -> dict[str, Any]:
    """Return the whole of `dagster.yaml`.

    Raises:
        DagsterSettingsRefused: the file does not parse, or sets what the platform decides.
    """
    try:
        settings = yaml.safe_load(editable.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        message = f"{editable}: Dagster's settings cannot be read: {error}; mend the file"
        raise DagsterSettingsRefused(message) from error
    if not isinstance(settings, dict):
        message = f"{editable}: expected a mapping of Dagster's settings; mend the file"
        raise DagsterSettingsRefused(message)
    ours = {
        "storage": {"postgres": {"postgres_url": database_url}},
        "local_artifact_storage": {
            "module": "dagster._core.storage.root",
            "class": "LocalArtifactStorage",
            "config": {"base_dir": str(layout.dagster_home / "artifacts")},
        },
        "compute_logs": {
            "module": "dagster._core.storage.local_compute_log_manager",
            "class": "LocalComputeLogManager",
            "config": {"base_dir": str(layout.dagster_home / "compute-logs")},
        },
    }
    if taken := sorted(ours.keys() & settings.keys()):
        message = f"{editable}: {', '.join(taken)}: `ai-how up` decides this; remove it"
        raise DagsterSettingsRefused(message)
    return {**ours, **settings}


def write_dagster_home(editable: Path, layout: Layout, database_url: str) -> None:
    """Write `dagster.yaml` and the workspace, in which the code server is found at its socket."""
    settings = dagster_settings(editable, layout, database_url)
    server = {"socket": str(layout.code_server_socket), "location_name": LOCATION}
    workspace = {"load_from": [{"grpc_server": server}]}
    for file, content in (
        (layout.dagster_home / "dagster.yaml", settings),
        (layout.workspace, workspace),
    ):
        temporary = file.with_suffix(".tmp")
        temporary.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        temporary.replace(file)
