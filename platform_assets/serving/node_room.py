"""How much room the nodes of a cluster have for pods, as its scheduler sees it.

Pure: nodes and pods come in as the API spells them. What decides is what pods ask for, not what
they use: a node's room is its allocatable amounts less the requests of the pods bound to it that
have not ended (Kubernetes documentation: "Resource Management for Pods", "Init containers:
resource sharing"). Affinity, topology spread and host ports are not looked at.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Final

from platform_assets.spec.quantities import number_of

PODS: Final = "pods"  # each pod takes one of a node's places for pods
_ENDED = ("Succeeded", "Failed")
_KEEPS_AWAY = ("NoSchedule", "NoExecute")
Amounts = Mapping[str, Fraction]
Object = Mapping[str, Any]


@dataclass(frozen=True)
class Needs:
    """What one pod asks for, and which nodes it may stand on."""

    requests: Amounts
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Object, ...] = ()

    def fits_into(self, other: "Needs") -> bool:
        """Return whether such a pod fits wherever one of the others stood."""
        less = all(amount <= other.requests.get(name, 0) for name, amount in self.requests.items())
        same_nodes = self.node_selector.items() <= other.node_selector.items()
        return less and same_nodes and all(each in self.tolerations for each in other.tolerations)


@dataclass(frozen=True)
class NodeRoom:
    """A node and what of it is free; `closed` says why no new pod comes there."""

    name: str
    free: Amounts
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Object, ...] = ()
    closed: str | None = None

    def objection(self, needs: Needs) -> str | None:
        """Return why such a pod may never stand here, or None."""
        if self.closed is not None:
            return self.closed
        for key, value in needs.node_selector.items():
            if self.labels.get(key) != value:
                return f"label {key}={value} is missing"
        for taint in self.taints:
            if taint.get("effect") in _KEEPS_AWAY and not _tolerated(taint, needs.tolerations):
                value = f"={taint['value']}" if taint.get("value") else ""
                return f"taint {taint['key']}{value}:{taint['effect']} is not tolerated"
        return None

    def places(self, needs: Needs) -> int:
        """Return how many such pods fit here, each as a whole."""
        if self.objection(needs) is not None:
            return 0
        wanted = {PODS: Fraction(1), **needs.requests}
        counts = [
            int(max(self.free.get(name, Fraction(0)), Fraction(0)) // amount)
            for name, amount in wanted.items()
            if amount > 0
        ]
        return min(counts)

    def shortage(self, needs: Needs) -> str:
        """Return why no such pod fits here now, in a person's words."""
        objection = self.objection(needs)
        if objection is not None:
            return objection
        wanted = {PODS: Fraction(1), **needs.requests}
        short = [
            f"{shown(name, max(self.free.get(name, Fraction(0)), Fraction(0)))} of "
            f"{shown(name, amount)} {name} free"
            for name, amount in wanted.items()
            if self.free.get(name, Fraction(0)) < amount
        ]
        return ", ".join(short)


def free_resources(nodes: Iterable[Object], pods: Iterable[Object]) -> tuple[NodeRoom, ...]:
    """Return the room of each node, given all pods of the cluster.

    Pods that are being deleted do not count: they make room within seconds.
    """
    taken: dict[str, dict[str, Fraction]] = {}
    for pod in pods:
        name = (pod.get("spec") or {}).get("nodeName")
        ended = (pod.get("status") or {}).get("phase") in _ENDED
        if name is None or ended or (pod.get("metadata") or {}).get("deletionTimestamp"):
            continue
        there = taken.setdefault(name, {})
        for resource, amount in ({PODS: Fraction(1)} | requests_of(pod["spec"])).items():
            there[resource] = there.get(resource, Fraction(0)) + amount
    return tuple(_room(node, taken.get(node["metadata"]["name"], {})) for node in nodes)


def requests_of(spec: Object) -> dict[str, Fraction]:
    """Return what a pod asks for as a whole: its containers together, or an initial one if more."""
    together: dict[str, Fraction] = {}
    for container in spec.get("containers") or ():
        together = _sum(together, _requests(container))
    beside: dict[str, Fraction] = {}
    peak: dict[str, Fraction] = {}
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always":  # it goes on beside the others
            beside = _sum(beside, _requests(container))
            peak = _most(peak, beside)
        else:
            peak = _most(peak, _sum(beside, _requests(container)))
    overhead = {name: number_of(str(text)) for name, text in (spec.get("overhead") or {}).items()}
    return _sum(_most(_sum(together, beside), peak), overhead)


def needs_of(predictor: Object, runtime: Object | None = None) -> Needs:
    """Return what each pod of a KServe predictor needs; `runtime` is its ServingRuntime's spec.

    A request that nobody makes is that of the runtime's container, else its limit.
    """
    model = predictor.get("model") or {}
    total: dict[str, Fraction] = {}
    containers = list((runtime or {}).get("containers") or ({"name": "kserve-container"},))
    for container in containers:
        resources = dict(container.get("resources") or {})
        if container.get("name") == "kserve-container":
            for kind, amounts in (model.get("resources") or {}).items():
                resources[kind] = dict(resources.get(kind) or {}) | dict(amounts)
        total = _sum(total, _requests({"resources": resources}))
    return Needs(
        total, dict(predictor.get("nodeSelector") or {}), tuple(predictor.get("tolerations") or ())
    )


def places(needs: Needs, rooms: Iterable[NodeRoom]) -> int:
    """Return how many such pods fit on all nodes; each needs all it asks for on one of them."""
    return sum(room.places(needs) for room in rooms)


def released(rooms: Iterable[NodeRoom], needs: Needs, nodes: Iterable[str]) -> list[NodeRoom]:
    """Return the room there is once such pods have left the named nodes, one for each name."""
    freed = {PODS: Fraction(1)} | dict(needs.requests)
    leaving = list(nodes)
    return [replace(room, free=_plus(room.free, freed, leaving.count(room.name))) for room in rooms]


def shortages(needs: Needs, rooms: Iterable[NodeRoom], most: int = 6) -> str:
    """Return, node by node, why no such pod fits there now."""
    told = [f"{room.name}: {room.shortage(needs)}" for room in rooms if not room.places(needs)]
    rest = f"; {len(told) - most} nodes more" if len(told) > most else ""
    return "; ".join(told[:most]) + rest


def shown(name: str, amount: Fraction) -> str:
    """Return an amount as people read it: memory in GiB or MiB, the rest as a number."""
    if name in ("memory", "ephemeral-storage"):
        gibibytes = amount / 1024**3
        return f"{float(gibibytes):.3g}Gi" if gibibytes >= 1 else f"{float(amount / 1024**2):.3g}Mi"
    return f"{float(amount):g}"


def _room(node: Object, taken: Amounts) -> NodeRoom:
    metadata, spec, status = node["metadata"], node.get("spec") or {}, node.get("status") or {}
    allocatable = {
        name: number_of(str(text)) for name, text in (status.get("allocatable") or {}).items()
    }
    free = {name: amount - taken.get(name, Fraction(0)) for name, amount in allocatable.items()}
    conditions = status.get("conditions") or ()
    is_ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
    closed = "cordoned" if spec.get("unschedulable") else None if is_ready else "not ready"
    return NodeRoom(
        metadata["name"],
        free,
        dict(metadata.get("labels") or {}),
        tuple(spec.get("taints") or ()),
        closed,
    )


def _tolerated(taint: Object, tolerations: Iterable[Object]) -> bool:
    for each in tolerations:
        if each.get("effect") and each["effect"] != taint.get("effect"):
            continue
        exists = each.get("operator") == "Exists"
        if not each.get("key"):
            if exists:
                return True
            continue
        same_value = exists or (each.get("value") or "") == (taint.get("value") or "")
        if each["key"] == taint.get("key") and same_value:
            return True
    return False


def _requests(container: Object) -> dict[str, Fraction]:
    resources = container.get("resources") or {}
    asked = dict(resources.get("limits") or {}) | dict(resources.get("requests") or {})
    return {name: number_of(str(text)) for name, text in asked.items()}


def _sum(one: Amounts, other: Amounts) -> dict[str, Fraction]:
    return _plus(one, other, 1)


def _plus(one: Amounts, other: Amounts, times: int) -> dict[str, Fraction]:
    zero = Fraction(0)
    return {
        name: one.get(name, zero) + other.get(name, zero) * times
        for name in {**one, **(other if times else {})}
    }


def _most(one: Amounts, other: Amounts) -> dict[str, Fraction]:
    zero = Fraction(0)
    return {name: max(one.get(name, zero), other.get(name, zero)) for name in {**one, **other}}
