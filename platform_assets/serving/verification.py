"""The last two hops, held against the ledger: the fetched copy on disk, and what the server tells.

Read-only. The copy on disk is what the model server verified when it loaded, and what it would load
after a restart; what it serves now only the server itself can tell. The hops before stand in
`platform_assets/models/verification.py`.
"""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

from platform_assets.lineage import ids
from platform_assets.lineage.manifest import MANIFEST_NAME, Manifest
from platform_assets.lineage.verdict import Hop, HopResult, value_differences
from platform_assets.lineage.verification import Expected
from platform_assets.models.verification import (
    Named,
    cannot_compare,
    compared,
    listed_by,
    read_from_disk,
    read_small,
)
from platform_assets.models.verification_reading import (
    FileUnreadable,
    NoPlainFile,
    Reading,
    files_below,
)
from platform_assets.serving.fetched_copy import MAX_MANIFEST_BYTES
from platform_assets.serving.mlserver_endpoint import SETTINGS, digest_of
from resources.model_server import ModelNotFound, ModelServer, ModelServerError

_MAX_SETTINGS_BYTES = 2**20


def named_by_fetched(served: Path, repository: Path, expected: Expected) -> Named:
    """Read the manifest of the copy on disk, and the settings that a restart would load."""
    directory = served / expected.endpoint / expected.tree_digest
    named = _settings(Named(Hop.FETCHED, str(directory)), repository, expected, directory)
    if named.unknown is not None:
        return named
    try:
        data = read_small(directory, MANIFEST_NAME, MAX_MANIFEST_BYTES + 1)
    except NoPlainFile as found:
        wanted = f"SHA-256 {expected.tree_digest}"
        return named.differing(MANIFEST_NAME, wanted, str(found))
    except FileUnreadable as error:
        return replace(named, unknown=str(error))
    return listed_by(named, data, expected.tree_digest)


def _settings(named: Named, repository: Path, expected: Expected, directory: Path) -> Named:
    """Compare what the server's settings name with the copy that is verified here."""
    folder = repository / expected.endpoint
    try:
        settings = json.loads(read_small(folder, SETTINGS, _MAX_SETTINGS_BYTES))
        found = {
            "parameters.uri": str(settings["parameters"]["uri"]),
            ids.TREE_DIGEST: str(settings["parameters"]["extra"][ids.TREE_DIGEST]),
        }
    except NoPlainFile as found_instead:
        return named.differing(SETTINGS, "the endpoint's settings", str(found_instead))
    except FileUnreadable as error:
        return replace(named, unknown=str(error))
    except (ValueError, KeyError, TypeError):
        return named.differing(SETTINGS, "the endpoint's settings", "something else")
    wanted = {
        "parameters.uri": str(directory.absolute()),
        ids.TREE_DIGEST: expected.tree_digest,
    }
    for one in value_differences(named.hop, wanted, found):
        named = named.differing(f"{SETTINGS} {one.file}", one.expected, one.found)
    return named


def verify_fetched(named: Named, manifest: Manifest | None, reading: Reading) -> HopResult:
    """Hold the files of the copy on disk against `manifest`."""
    if named.unknown is not None or manifest is None:
        return cannot_compare(named)
    directory = Path(named.where)
    try:
        present = files_below(directory) if directory.exists() else set()
    except FileUnreadable as error:
        return cannot_compare(replace(named, unknown=str(error)))
    files = present - {MANIFEST_NAME}
    return compared(named, manifest, files, partial(read_from_disk, directory, reading))


def verify_server(server: ModelServer, expected: Expected) -> HopResult:
    """Ask the server which bytes it loaded, and as what."""
    where = f"{server.url}/v2/models/{expected.endpoint}"
    try:
        metadata = server.metadata(expected.endpoint)
    except ModelNotFound:
        found: dict[str, str | None] = {}
    except ModelServerError as error:
        return HopResult(hop=Hop.SERVER, where=where, unknown=str(error))
    else:
        shown = metadata.get("parameters") or {}
        found = {
            ids.TREE_DIGEST: digest_of(metadata) or None,
            ids.MODEL: shown.get(ids.MODEL),
            ids.VERSION: shown.get(ids.VERSION),
        }
    wanted: dict[str, str | None] = {
        ids.TREE_DIGEST: expected.tree_digest,
        ids.MODEL: expected.model,
        ids.VERSION: expected.version,
    }
    return HopResult(
        hop=Hop.SERVER,
        where=where,
        differences=value_differences(Hop.SERVER, wanted, found),
    )
