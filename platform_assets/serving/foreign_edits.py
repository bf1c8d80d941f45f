"""What others wrote into an InferenceService of ours, and how it is taken back: pure functions.

Server-side apply puts back every field that we declare; a field that only others declare stays
until it is removed. Whether pods have to go for it is decided in `rollout.py`.
Reference: Kubernetes, "Server-Side Apply".
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from platform_assets.serving.inference_service import Manifest, differs, passing
from platform_assets.serving.inference_services import written_by_others

_PREDICTOR = "spec.predictor."
_OF_A_ROLLOUT = {"predictor", "canary"}


def superfluous(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the merge patch that removes from `found` what `wanted` does not name.

    The API returns empty texts and mappings that nobody wrote; they stay.
    """
    patch: dict[str, Any] = {}
    for key, value in found.items():
        if value in (None, "", {}, []):
            continue
        if key not in wanted:
            patch[key] = None
        elif isinstance(value, Mapping) and isinstance(wanted[key], Mapping):
            inner = superfluous(value, wanted[key])
            patch |= {key: inner} if inner else {}
    return patch


def changed_fields(found: Mapping[str, Any], wanted: Manifest) -> tuple[str, ...]:
    """Return where the spec of an InferenceService is not the wanted one, as dotted keys.

    The number of pods does not count, nor does a candidate: these are a rollout's.
    """
    spec = found["spec"]
    beside = (key for key in spec if key not in _OF_A_ROLLOUT and spec[key])
    return (*differs(spec["predictor"], wanted["spec"]["predictor"]), *sorted(beside))


def writers_of(found: Mapping[str, Any], fields: tuple[str, ...]) -> tuple[str, ...]:
    """Return who beside us wrote any of these fields, by the names of their programs."""
    writers = {
        other.manager
        for other in written_by_others(found["metadata"].get("managedFields") or ())
        if any(_covers(path, field) for path in other.fields for field in fields)
    }
    return tuple(sorted(writers))


def taken_back(found: Manifest, wanted: Manifest) -> Manifest:
    """Return the InferenceService as it is once our fields are taken back from others.

    Where it differs from `wanted` also in what nobody else wrote, the wanted one is another than it
    was before they came, and `found` is returned as it is.
    """
    there, own = found["spec"]["predictor"], wanted["spec"]["predictor"]
    others = written_by_others(found["metadata"].get("managedFields") or ())
    paths = [path for other in others for path in other.fields]
    fields = differs(there, own)
    if there.get("name") != own["name"] or not all(
        any(_covers(path, field) for path in paths) for field in fields
    ):
        return found
    mended = deepcopy(found)
    mended["spec"]["predictor"] = own | {
        # What pods of before say of their run stays, so that they are the wanted ones.
        "annotations": own["annotations"] | passing(there),
        **{key: there[key] for key in ("minReplicas", "maxReplicas") if key in there},
    }
    return mended


def _covers(path: str, field: str) -> bool:
    """Say whether who wrote at `path` wrote a field, or a part of it, or all that is around it."""
    return f"{path}.".startswith((f"{_PREDICTOR}{field}.", f"{_PREDICTOR}{field}[")) or (
        f"{_PREDICTOR}{field}.".startswith(f"{path}.")
    )
