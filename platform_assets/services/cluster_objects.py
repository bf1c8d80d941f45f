"""Objects of a cluster that are ours: made by server-side apply, marked, told from those of others.

What we make carries `app.kubernetes.io/managed-by: ai-how` and the estate's name; an object without
that mark, or with another estate's, is never taken over. Which objects there are is not known here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from platform_assets.lineage import ids
from platform_assets.spec.errors import AiHowError
from resources.kubernetes import Kubernetes
from resources.kubernetes_errors import KindUnknown, ObjectMissing

Object = dict[str, Any]
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
OURS: Final = "ai-how"
MANAGED_BY: Final = {MANAGED_BY_LABEL: OURS}
ESTATE_LABEL: Final = ids.ANNOTATION_PREFIX + "estate"


class NotOurs(AiHowError):
    """An object that is to be made is there already, made by somebody else."""


@dataclass(frozen=True)
class Change:
    """What became of one object."""

    what: str
    how: Literal["made", "changed", "as it was"]

    def __str__(self) -> str:
        """Return it as a person reads it."""
        return f"{self.what}: {self.how}"


def found(kubernetes: Kubernetes, manifest: Mapping[str, Any]) -> Object | None:
    """Return the object that a manifest names as it is on the cluster; None: there is none."""
    metadata = manifest["metadata"]
    try:
        return kubernetes.get(
            manifest["apiVersion"], manifest["kind"], metadata["name"], metadata.get("namespace")
        )
    except (ObjectMissing, KindUnknown):
        return None


def marked(manifest: Mapping[str, Any], estate: str) -> Object:
    """Return the manifest with the labels that say that it is ours."""
    metadata = dict(manifest["metadata"])
    metadata["labels"] = {**(metadata.get("labels") or {}), **MANAGED_BY, ESTATE_LABEL: estate}
    return {**manifest, "metadata": metadata}


def expect_ours(
    kubernetes: Kubernetes, manifests: Iterable[Mapping[str, Any]], estate: str, remedy: str
) -> None:
    """Refuse objects that are there and not ours; nothing is changed.

    Raises:
        NotOurs: naming the first of them, and who made it as far as its labels tell.
    """
    for manifest in manifests:
        one = found(kubernetes, manifest)
        labels = {} if one is None else one["metadata"].get("labels") or {}
        if one is None or (
            labels.get(MANAGED_BY_LABEL) == OURS and labels.get(ESTATE_LABEL, estate) == estate
        ):
            continue
        maker = labels.get(ESTATE_LABEL)
        by = f"estate {maker!r}" if maker else labels.get(MANAGED_BY_LABEL) or "somebody else"
        message = (
            f"{named(manifest)}: expected none, or one with the labels {MANAGED_BY_LABEL}={OURS} "
            f"and {ESTATE_LABEL}={estate}, found one made by {by}; {remedy}"
        )
        raise NotOurs(message)


def ensure(kubernetes: Kubernetes, manifest: Mapping[str, Any]) -> Change:
    """Let an object of ours be as the manifest says, whoever changed it; say what that took."""
    before = found(kubernetes, manifest)
    after = kubernetes.apply(manifest, force=True)
    if before is None or before["metadata"]["uid"] != after["metadata"]["uid"]:
        return Change(named(manifest), "made")
    same = before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
    return Change(named(manifest), "as it was" if same else "changed")


def ensure_namespace(kubernetes: Kubernetes, name: str, estate: str) -> Change:
    """Let there be a namespace; one that is there stays as its owner made it."""
    wanted = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    if found(kubernetes, wanted) is not None:
        return Change(named(wanted), "as it was")
    return ensure(kubernetes, marked(wanted, estate))


def named(manifest: Mapping[str, Any]) -> str:
    """Return kind, namespace and name as a person writes them."""
    metadata = manifest["metadata"]
    where = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{manifest['kind']} {where}{metadata['name']}"
