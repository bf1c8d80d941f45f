"""How Kubernetes objects stand, in words that a person can act on. Pure functions of the objects.

Reads what the API's own types say: conditions, container statuses, events. References: Kubernetes
API, `PodStatus`, `ContainerState`, `Event`.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MAX_EVENTS = 5
_MAX_MESSAGE = 1200
_TROUBLES = (
    *("Degraded", "Failed", "Failure", "Pressure", "Stalled", "Stopped", "Terminating"),
    "Unavailable",
)
# KServe marks what it makes for an InferenceService by this label.
_OWNED_BY = {"InferenceService": "serving.kserve.io/inferenceservice"}
_ORDINARY_WAITS = {"PodInitializing", "ContainerCreating"}


def _cut(text: object, limit: int = _MAX_MESSAGE) -> str:
    words = " ".join(str(text or "").split())
    return words if len(words) <= limit else words[: limit - 1] + "…"


def name_of(one: Mapping[str, Any]) -> str:
    """Return kind, namespace and name as a person writes them."""
    metadata = one.get("metadata") or {}
    where = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{one.get('kind', 'object')} {where}{metadata.get('name', '')}"


def unmet_conditions(one: Mapping[str, Any]) -> list[str]:
    """Return the conditions of an object that are not as they should be.

    Conditions whose name tells of trouble should be False, all others True.
    """
    return [
        _condition(condition)
        for condition in (one.get("status") or {}).get("conditions") or []
        if (condition.get("status") != "True") ^ str(condition.get("type", "")).endswith(_TROUBLES)
    ]


def _condition(condition: Mapping[str, Any]) -> str:
    told = [_cut(condition[part]) for part in ("reason", "message") if condition.get(part)]
    return f"{condition.get('type')} is {condition.get('status')}" + (
        f" ({': '.join(told)})" if told else ""
    )


def pod_failure(pod: Mapping[str, Any]) -> str:
    """Return why a pod does not serve, as well as its status tells; "" for one that does or may.

    A container that failed is named before what merely waits for it.
    """
    status = pod.get("status") or {}
    if status.get("phase") == "Failed" and (status.get("reason") or status.get("message")):
        return _cut(f"{status.get('reason', 'Failed')}: {status.get('message', '')}")
    words = [word for word in map(container_failure, container_statuses(pod)) if word]
    if words:
        return "; ".join(words)
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"not scheduled: {_cut(condition.get('message') or condition.get('reason'))}"
    return ""


def container_statuses(pod: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Give the statuses of a pod's containers, those that run before the others first."""
    status = pod.get("status") or {}
    yield from status.get("initContainerStatuses") or []
    yield from status.get("containerStatuses") or []


def container_failure(status: Mapping[str, Any]) -> str:
    """Return why a container does not run, "" for one that does, ended well, or is on its way."""
    state = status.get("state") or {}
    waiting, ended = state.get("waiting"), state.get("terminated")
    last = (status.get("lastState") or {}).get("terminated")
    name = f"container {status.get('name')}"
    if ended and ended.get("exitCode") != 0:
        return f"{name} {_ending(ended)}"
    if waiting and waiting.get("reason") not in _ORDINARY_WAITS:
        again = f", {status['restartCount']} restarts" if status.get("restartCount") else ""
        # What a back-off waits for is told by the last ending, not by itself.
        told = _ending(last) if last else _cut(waiting.get("message"))
        return f"{name} {waiting.get('reason', 'waits')}{again}" + (f": {told}" if told else "")
    if last and last.get("exitCode") != 0 and not status.get("ready") and not ended:
        return f"{name} was started again: it {_ending(last)}"
    return ""


def silent_containers(pod: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Give the containers that failed without a message, and whether it was the one before."""
    for status in container_statuses(pod):
        ended = (status.get("state") or {}).get("terminated")
        last = ended or (status.get("lastState") or {}).get("terminated")
        if last and not last.get("message") and container_failure(status):
            yield str(status["name"]), not ended


def labels_of_its_pods(one: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the labels by which an object's pods are found; none where it has no pods."""
    if one.get("kind") in _OWNED_BY:
        return {_OWNED_BY[one["kind"]]: str(one["metadata"]["name"])}
    selector = (one.get("spec") or {}).get("selector")
    if not isinstance(selector, dict):
        return {}
    return dict(selector if one.get("kind") == "Service" else selector.get("matchLabels") or {})


def _ending(ended: Mapping[str, Any]) -> str:
    reason = ended.get("reason") or "ended"
    said = _cut(ended.get("message"))
    return f"{reason} with exit code {ended.get('exitCode')}" + (f": {said}" if said else "")


def is_ready(one: Mapping[str, Any], condition: str = "Ready") -> bool:
    """Say whether an object calls itself ready."""
    return any(
        told.get("type") == condition and told.get("status") == "True"
        for told in (one.get("status") or {}).get("conditions") or []
    )


def event_words(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the last warnings among events, oldest first, each told once."""
    warnings = [event for event in events if event.get("type") == "Warning"]
    told: dict[str, None] = {}
    for event in sorted(warnings, key=event_time, reverse=True):
        told.setdefault(f"{event.get('reason', 'event')}: {_cut(event.get('message'))}")
    return list(reversed(list(told)[:MAX_EVENTS]))


def event_time(event: Mapping[str, Any]) -> str:
    """Return when an event was last seen, as text that sorts; "" where nobody wrote it."""
    series = event.get("series") or {}
    metadata = event.get("metadata") or {}
    times = (
        series.get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        metadata.get("creationTimestamp"),
    )
    return next((str(time) for time in times if time), "")


def explanation(
    one: Mapping[str, Any] | None,
    beside: Iterable[Mapping[str, Any]],
    pods: Iterable[Mapping[str, Any]],
    events: Mapping[str, Iterable[Mapping[str, Any]]],
    logs: Mapping[str, str],
) -> str:
    """Return how an object stands, with what belongs to it, one line a thing.

    `events` and `logs` are by uid.
    """
    if one is None:
        return "it is not there: it was never made, or was deleted"
    lines: list[str] = []
    for about in (one, *beside):
        known = [*unmet_conditions(about), *event_words(events.get(_uid(about), ()))]
        if about is one or known:
            lines.append(f"{name_of(about)}: {'; '.join(known) or _standing(about)}")
    for pod in pods:
        failure = pod_failure(pod) or ("" if is_ready(pod) else "not ready yet")
        known = [failure or "ready", *event_words(events.get(_uid(pod), ()))]
        lines.append(f"{name_of(pod)}: {'; '.join(known)}")
        if logs.get(_uid(pod)):
            lines.append(f"  end of its log: {_cut(logs[_uid(pod)])}")
    return "\n".join(lines)


def _standing(one: Mapping[str, Any]) -> str:
    if (one.get("metadata") or {}).get("deletionTimestamp"):
        held = ", ".join(one["metadata"].get("finalizers") or ()) or "nobody"
        return f"it is being deleted, held by {held}"
    if (one.get("status") or {}).get("conditions"):
        return "every condition is met"
    return "nobody wrote its status: is its controller running?"


def _uid(one: Mapping[str, Any]) -> str:
    return str((one.get("metadata") or {}).get("uid", ""))
