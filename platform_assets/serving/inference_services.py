"""What InferenceServices and their pods say of themselves: which bytes each pod serves, and whose.

Pure functions of the objects that the Kubernetes API tells; nothing is asked here. Every
InferenceService is told, also one that nobody here made, and every pod under KServe's label. What
a pod serves is what its storage container wrote into the pod's status when it had checked the last
byte. References: KServe 0.20, `serving.kserve.io/v1beta1`; Kubernetes API, `Pod`; Server-Side
Apply, "Field management".
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from platform_assets.lineage import ids
from platform_assets.services.cluster_objects import ESTATE_LABEL, MANAGED_BY
from resources.kubernetes_words import is_ready, pod_failure, unmet_conditions

SERVICE_LABEL = "serving.kserve.io/inferenceservice"
STORAGE_CONTAINER = "storage-initializer"
SERVER_CONTAINER = "kserve-container"
MANAGED_BY_LABEL, OURS = next(iter(MANAGED_BY.items()))
# The names of KServe's own manager: its binary's, as released and as the module builds it.
KSERVE_MANAGERS = frozenset({"manager", "kserve-manager", "kserve-controller-manager"})
_DIGEST = re.compile(r"[0-9a-f]{64}")
_IMAGE_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class ServedPod:
    """One pod of an InferenceService. Digests are 64 hex digits, None where it tells none.

    `since` is when it became ready, or ceased to be. `earlier` says that it is older than the
    InferenceService of its name: one that was deleted and made again.
    """

    namespace: str
    name: str
    uid: str
    service: str
    predictor: str
    node: str
    image_digest: str | None
    tree_digest: str | None
    ready: bool
    since: str | None
    failure: str
    leaving: bool
    earlier: bool = False


@dataclass(frozen=True)
class ForeignFields:
    """Fields of ours that somebody else wrote last."""

    manager: str
    at: str
    fields: tuple[str, ...]


@dataclass(frozen=True)
class Predictor:
    """A predictor as declared: the live one, or a candidate beside it."""

    name: str
    storage_uri: str
    annotations: Mapping[str, str]

    @property
    def tree_digest(self) -> str | None:
        """The digest that it is meant to serve."""
        return self.annotations.get(ids.annotation_name(ids.TREE_DIGEST))


@dataclass(frozen=True)
class ObservedService:
    """One InferenceService with its pods, and who wrote it."""

    namespace: str
    name: str
    uid: str
    estate: str | None
    ours: bool
    predictor: Predictor
    candidates: tuple[Predictor, ...]
    annotations: Mapping[str, str]
    ready: bool
    reason: str
    created: str
    deleting: bool
    written_by_others: tuple[ForeignFields, ...]
    pods: tuple[ServedPod, ...]

    @property
    def tree_digest(self) -> str | None:
        """The digest that the InferenceService itself is marked with."""
        return self.annotations.get(ids.annotation_name(ids.TREE_DIGEST))

    @property
    def live_pods(self) -> tuple[ServedPod, ...]:
        """The pods of the live predictor that are there to stay."""
        return self.pods_of(self.predictor.name)

    def pods_of(self, predictor: str) -> tuple[ServedPod, ...]:
        """Return the pods of one predictor that are there to stay."""
        return tuple(
            pod
            for pod in self.pods
            if pod.predictor == predictor and not pod.leaving and not pod.earlier
        )


@dataclass(frozen=True)
class Observation:
    """What a cluster says it serves. `strays` are pods whose InferenceService is not there."""

    services: tuple[ObservedService, ...]
    strays: tuple[ServedPod, ...]


def observation(
    inference_services: Iterable[Mapping[str, Any]], pods: Iterable[Mapping[str, Any]]
) -> Observation:
    """Bring InferenceServices and pods together, by namespace and KServe's label.

    Both may be generators: of a pod only what `ServedPod` holds is kept.
    """
    waiting: dict[tuple[str, str], list[tuple[ServedPod, str]]] = {}
    for pod in pods:
        if served := served_pod(pod):
            created = str(pod["metadata"].get("creationTimestamp") or "")
            waiting.setdefault((served.namespace, served.service), []).append((served, created))
    services = [
        _observed(one, waiting.pop((one["metadata"]["namespace"], one["metadata"]["name"]), []))
        for one in inference_services
    ]
    strays = [pod for left in waiting.values() for pod, _ in left]
    return Observation(
        tuple(sorted(services, key=lambda one: (one.namespace, one.name))),
        tuple(sorted(strays, key=lambda pod: (pod.namespace, pod.name))),
    )


def served_pod(pod: Mapping[str, Any]) -> ServedPod | None:
    """Return what a pod says of itself, or None for one that is not under KServe's label."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    labels = metadata.get("labels") or {}
    service = labels.get(SERVICE_LABEL)
    if not service:
        return None
    since = next(
        (
            told.get("lastTransitionTime")
            for told in status.get("conditions") or []
            if told.get("type") == "Ready"
        ),
        None,
    )
    return ServedPod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        service=service,
        predictor=_predictor_of(service, str(labels.get("app", ""))),
        node=(pod.get("spec") or {}).get("nodeName") or "",
        image_digest=_image_digest(status),
        tree_digest=told_digest(status),
        ready=is_ready(pod),
        since=since,
        failure=pod_failure(pod),
        leaving=bool(metadata.get("deletionTimestamp")),
    )


def _predictor_of(service: str, app: str) -> str:
    """Return the predictor's name out of KServe's `isvc.<service>[-<predictor>]-predictor`."""
    return app.removeprefix(f"isvc.{service}").removesuffix("-predictor").removeprefix("-")


def told_digest(status: Mapping[str, Any]) -> str | None:
    """Return the tree digest that the storage container left in a pod's status, if it did."""
    for container in status.get("initContainerStatuses") or []:
        ended = (container.get("state") or {}).get("terminated") or {}
        if container.get("name") != STORAGE_CONTAINER or ended.get("exitCode") != 0:
            continue
        try:
            told = json.loads(ended.get("message") or "")
        except ValueError:
            return None
        digest = told.get("tree_digest") if isinstance(told, dict) else None
        return digest if isinstance(digest, str) and _DIGEST.fullmatch(digest) else None
    return None


def _image_digest(status: Mapping[str, Any]) -> str | None:
    for container in status.get("containerStatuses") or []:
        if container.get("name") == SERVER_CONTAINER:
            found = _IMAGE_DIGEST.search(container.get("imageID") or "")
            return found.group() if found else None
    return None


def _observed(one: Mapping[str, Any], pods: list[tuple[ServedPod, str]]) -> ObservedService:
    metadata, spec, status = one["metadata"], one.get("spec") or {}, one.get("status") or {}
    labels = metadata.get("labels") or {}
    created = str(metadata.get("creationTimestamp") or "")
    failure = (status.get("modelStatus") or {}).get("lastFailureInfo") or {}
    told = [*unmet_conditions(one), *([failure["message"]] if failure.get("message") else [])]
    return ObservedService(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        estate=labels.get(ESTATE_LABEL),
        ours=labels.get(MANAGED_BY_LABEL) == OURS,
        predictor=_predictor(spec.get("predictor") or {}),
        candidates=tuple(
            _predictor(candidate.get("predictor") or {}) for candidate in spec.get("canary") or []
        ),
        annotations=_our_annotations(metadata),
        ready=is_ready(one),
        reason="; ".join(told),
        created=created,
        deleting=bool(metadata.get("deletionTimestamp")),
        written_by_others=written_by_others(metadata.get("managedFields") or ()),
        pods=tuple(
            # A pod of the same second may be either's; then it is taken for this one's.
            replace(pod, earlier=bool(made) and made < created)
            for pod, made in sorted(pods, key=lambda each: each[0].name)
        ),
    )


def _predictor(declared: Mapping[str, Any]) -> Predictor:
    return Predictor(
        name=str(declared.get("name") or ""),
        storage_uri=_storage_uri(declared),
        annotations=_our_annotations(declared),
    )


def _our_annotations(marked: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: str(value)
        for key, value in (marked.get("annotations") or {}).items()
        if key.startswith(ids.ANNOTATION_PREFIX)
    }


def _storage_uri(predictor: Mapping[str, Any]) -> str:
    """Return where the model comes from: of `model`, of an old-style framework, or of several."""
    for part in predictor.values():
        if isinstance(part, dict) and part.get("storageUri"):
            return str(part["storageUri"])
        if isinstance(part, dict) and part.get("storageUris"):
            return " ".join(str(each.get("uri", "")) for each in part["storageUris"])
    return ""


def written_by_others(managed: Iterable[Mapping[str, Any]]) -> tuple[ForeignFields, ...]:
    """Return who, beside us and KServe, owns fields of the spec or marks of ours, and which."""
    found: list[ForeignFields] = []
    for entry in managed:
        manager = str(entry.get("manager", ""))
        if manager in {OURS, *KSERVE_MANAGERS} or entry.get("subresource"):
            continue
        fields = tuple(sorted(filter(_is_ours_to_write, _paths(entry.get("fieldsV1") or {}))))
        if fields:
            found.append(ForeignFields(manager, str(entry.get("time") or ""), fields))
    return tuple(sorted(found, key=lambda one: (one.at, one.manager)))


def _is_ours_to_write(path: str) -> bool:
    marks = (
        f"metadata.annotations.{ids.ANNOTATION_PREFIX}",
        f"metadata.labels.{ids.ANNOTATION_PREFIX}",
        f"metadata.labels.{MANAGED_BY_LABEL}",
    )
    return path.startswith(("spec.", *marks))


def _paths(fields: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Give the paths of the leaves of a `fieldsV1`; items of lists as `[…]`."""
    for key, below in fields.items():
        if key == ".":
            continue
        kind, _, name = key.partition(":")
        path = f"{above}.{name}" if kind == "f" else f"{above}[{name}]"
        path = path.removeprefix(".")
        if any(inner != "." for inner in below or {}):
            yield from _paths(below, path)
        else:
            yield path


def differences(service: ObservedService) -> list[str]:
    """Return, in words, where an InferenceService and its pods contradict each other.

    Empty for one that serves exactly what it is marked with. Candidates are judged by their own
    marks; that one is not ready is no contradiction. Whether KServe has seen the last change it
    does not tell: the generation in its status is the Deployment's.
    """
    found = [
        f"{', '.join(one.fields)} written by {one.manager} at {one.at}"
        for one in service.written_by_others
        if service.ours
    ]
    if service.deleting:
        found.append("it is being deleted")
    if not service.ready:
        found.append(f"it is not ready: {service.reason or 'KServe says nothing yet'}")
    if service.tree_digest != service.predictor.tree_digest:
        found.append(
            f"it is marked with digest {service.tree_digest or 'none'}, its predictor with "
            f"{service.predictor.tree_digest or 'none'}"
        )
    found += _predictor_differences(service, service.predictor)
    if service.ready and not any(pod.ready for pod in service.live_pods):
        found.append("KServe calls it ready, and no pod is")
    for candidate in service.candidates:
        found += [f"candidate: {one}" for one in _predictor_differences(service, candidate)]
    return found


def _predictor_differences(service: ObservedService, predictor: Predictor) -> Iterator[str]:
    expected = predictor.tree_digest
    if service.ours and expected is None:
        yield f"predictor {predictor.name} bears no digest"
    if expected and f"sha256-{expected}" not in predictor.storage_uri:
        yield f"storageUri is {predictor.storage_uri}, expected that of digest {expected}"
    for pod in service.pods_of(predictor.name):
        if pod.failure:
            yield f"pod {pod.name}: {pod.failure}"
        elif pod.ready and pod.tree_digest is None and expected:
            yield f"pod {pod.name} does not tell what it serves, expected digest {expected}"
        elif pod.ready and expected and pod.tree_digest != expected:
            yield f"pod {pod.name} serves digest {pod.tree_digest}, expected {expected}"
