"""How one version of an endpoint on KServe takes the place of another: a plan, made without acting.

Pure: from what runs, what is wanted, the room on the nodes and the policy to steps, which are
carried out one after another, each waited for. A plan made from wherever an earlier one was left
ends the same. Manifests stand in `inference_service.py`, the nodes' room in `node_room.py`.

Where there is room, the wanted version becomes a candidate beside the live one, is gated, gets all
its pods, then the requests, and then its name is made the endpoint's, which deletes the old pods.
While there is a candidate KServe takes its pods off the stable minimum; so the steps say how many
pods of the live version are held. Without room a plan is refused, or leaves a gap where the policy
allows one, or where nobody is answered anyway. No step waits for what only a later step frees.

After a gate that failed, the plan for the live version takes the candidate away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from platform_assets.serving.node_room import Needs, NodeRoom, places, released, shortages
from platform_assets.spec.served_pods import Replicas


@dataclass(frozen=True)
class Running:
    """A predictor that runs, with its pods, compared with the wanted one.

    `replicas` is how many pods it is to have now, `bounds` between which numbers an autoscaler may
    choose, both without what is held for a candidate. `nodes` names the node of each pod that has
    one. `as_wanted` says that its pods are what the wanted one's are to be, bytes included;
    `unproven` counts pods that are not ready, or tell other bytes.
    """

    predictor: str
    tree_digest: str
    replicas: int
    bounds: Replicas
    nodes: tuple[str, ...]
    ready: int
    needs: Needs
    as_wanted: bool = False
    unproven: int = 0


@dataclass(frozen=True)
class Current:
    """What runs: the live predictor, perhaps a candidate, and which one gets the requests.

    `left` are predictors that were before, of which something is still there.
    """

    live: Running
    candidate: Running | None = None
    served: str | None = None
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """What is to run. `inherited` names keys that a candidate would take from the live version."""

    predictor: str
    tree_digest: str
    replicas: Replicas
    needs: Needs
    inherited: tuple[str, ...] = ()
    is_gated: bool = True


@dataclass(frozen=True)
class Policy:
    """What a person allows: a gap where there is no room, and a share of requests beforehand."""

    without_spare: Literal["refuse", "recreate"] = "refuse"
    share: int = 0


@dataclass(frozen=True)
class Create:
    """Apply the InferenceService, which was not there; wait for `pods` ready pods."""

    predictor: str
    pods: int


@dataclass(frozen=True)
class AddCandidate:
    """Apply the wanted version as a candidate of one pod beside `held` live ones; wait for it."""

    predictor: str
    held: int
    pods: int = 1


@dataclass(frozen=True)
class GrowCandidate:
    """Give the candidate `pods` pods beside `held` live ones; wait for them."""

    predictor: str
    held: int
    pods: int


@dataclass(frozen=True)
class Gate:
    """Ask the predictor's own Service whether it passes the model's gates."""

    predictor: str


@dataclass(frozen=True)
class Route:
    """Let the Service that clients know send requests to this predictor's pods."""

    predictor: str


@dataclass(frozen=True)
class Promote:
    """Make the candidate the endpoint's predictor; the old pods go; wait for `pods` ready pods.

    KServe leaves the old predictor's HorizontalPodAutoscaler, if it had one, to be deleted.
    """

    predictor: str
    pods: int


@dataclass(frozen=True)
class ClearAway:
    """Delete what KServe leaves of these predictors; wait until it has deleted their pods."""

    predictors: tuple[str, ...]


@dataclass(frozen=True)
class RemoveCandidate:
    """Apply the live version alone, on `held` pods; wait until the candidate's pods are gone."""

    predictor: str
    held: int


@dataclass(frozen=True)
class Update:
    """Apply the wanted InferenceService under the name it has; pods are replaced one by one."""

    predictor: str
    pods: int


@dataclass(frozen=True)
class Recreate:
    """Apply the wanted InferenceService, so that old pods go before new ones can come: a gap."""

    predictor: str
    pods: int


@dataclass(frozen=True)
class Refuse:
    """Touch nothing: why, and what a person can do about it."""

    reason: str
    remedy: str


Step = (
    Create
    | AddCandidate
    | GrowCandidate
    | Gate
    | Route
    | Promote
    | ClearAway
    | RemoveCandidate
    | Update
    | Recreate
    | Refuse
)
Plan = tuple[Step, ...]
_ALLOW_GAP = "set the model's rollout.without_spare to recreate, which leaves a gap without answers"


def rollout_plan(
    current: Current | None, wanted: Wanted, rooms: Sequence[NodeRoom], policy: Policy
) -> Plan:
    """Return the steps from what runs to what is wanted; none where it runs already.

    A plan that cannot be carried out is one `Refuse` and nothing else.
    """
    if policy.share not in (0, 100):
        return (
            Refuse(
                f"a share of {policy.share} % of the requests for the candidate needs a gateway: "
                "KServe's standard mode has no weights",
                "remove the model's rollout.share, or set it to 0",
            ),
        )
    if current is None:
        return _first(wanted, rooms)
    planned = _in_place if current.live.predictor == wanted.predictor else _replacement
    plan = planned(current, wanted, rooms, policy)
    if current.left and not (plan and isinstance(plan[0], Refuse)):
        return (ClearAway(current.left), *plan)
    return plan


def _first(wanted: Wanted, rooms: Sequence[NodeRoom]) -> Plan:
    pods = wanted.replicas.min
    room = places(wanted.needs, rooms)
    if room < pods:
        return (_no_room(wanted, rooms, room, pods, ""),)
    return (Create(wanted.predictor, pods), *_gated(wanted), Route(wanted.predictor))


def _in_place(current: Current, wanted: Wanted, rooms: Sequence[NodeRoom], policy: Policy) -> Plan:
    """Plan for a version that is the endpoint's already: its pods, their number, its requests."""
    live, before = current.live, list[Step]()
    served = current.served
    if current.candidate is not None:
        if served == current.candidate.predictor:
            before.append(Route(live.predictor))
            served = live.predictor
        before.append(RemoveCandidate(current.candidate.predictor, live.replicas))
        rooms = released(rooms, current.candidate.needs, current.candidate.nodes)
    answers = served == live.predictor
    change = _change(live, wanted, rooms, gap=policy.without_spare == "recreate" or not answers)
    if isinstance(change, Refuse):
        return (change,)
    after: tuple[Step, ...] = () if answers else (*_gated(wanted), Route(wanted.predictor))
    return (*before, *((change,) if change is not None else ()), *after)


def _change(
    live: Running, wanted: Wanted, rooms: Sequence[NodeRoom], *, gap: bool
) -> Update | Recreate | Refuse | None:
    """Return the step that makes the live predictor's pods the wanted ones."""
    pods = _full(live, wanted)
    more = max(pods - len(live.nodes), 0)
    room = places(wanted.needs, rooms)
    if live.as_wanted:
        if live.bounds == wanted.replicas and _stands(live, wanted):
            return None  # else a run may have been killed while it waited, or others tried
        if room >= more:
            return Update(wanted.predictor, pods)
        return _no_room(wanted, rooms, room, more, "more")
    alone = released(rooms, live.needs, live.nodes)
    room_alone = places(wanted.needs, alone)
    # One by one, an old pod makes room for a new one only if that is not larger, and may stand
    # where the old one stood: not where a node was cordoned meanwhile.
    lost = max(len(live.nodes) - (room_alone - room), 0)
    spare = more + 1 + lost if wanted.needs.fits_into(live.needs) else pods
    if room >= spare:
        return Update(wanted.predictor, pods)
    if room_alone < pods:
        return _no_room(wanted, alone, room_alone, pods, "even without the old")
    if gap or live.ready == 0:
        return Recreate(wanted.predictor, pods)
    return _no_room(wanted, rooms, room, spare, f"beside the live ones of {live.predictor}")


def _stands(live: Running, wanted: Wanted) -> bool:
    """Say whether the pods that must be there are; an autoscaler's further ones are its matter."""
    if wanted.replicas.is_fixed:
        return live.replicas == wanted.replicas.min <= live.ready and not live.unproven
    return live.ready >= wanted.replicas.min


def _replacement(
    current: Current, wanted: Wanted, rooms: Sequence[NodeRoom], policy: Policy
) -> Plan:
    """Plan for another version than the endpoint's."""
    live, candidate = current.live, current.candidate
    if live.tree_digest == wanted.tree_digest:
        reason = f"the bytes of {wanted.predictor} are those of {live.predictor}, which is live"
        return (Refuse(reason, "KServe renames a predictor only with its model; leave it"),)
    before, served = list[Step](), current.served
    if candidate is not None and not _is_wanted(candidate, wanted):
        if served == candidate.predictor:
            before.append(Route(live.predictor))
            served = live.predictor
        before.append(RemoveCandidate(candidate.predictor, live.replicas))
        rooms = released(rooms, candidate.needs, candidate.nodes)
        candidate = None
    pods = _full(live, wanted)
    have = len(candidate.nodes) if candidate is not None else 0
    room = have + places(wanted.needs, rooms)
    alone = released(rooms, live.needs, live.nodes)
    room_alone, least = have + places(wanted.needs, alone), wanted.replicas.min
    if room_alone < least:
        without = f"even without those of {live.predictor}"
        return (_no_room(wanted, alone, room_alone, least, without),)
    if candidate is not None and served == candidate.predictor:  # it passed its gates
        return (*before, Promote(wanted.predictor, max(min(candidate.replicas, pods), least)))
    gap = policy.without_spare == "recreate" or served != live.predictor or live.ready == 0
    if not wanted.inherited and (room >= pods or (gap and room > 0)):
        return (*before, *_beside(live, candidate, wanted, min(room, pods)))
    if gap:
        changed = Recreate(wanted.predictor, least)
        return (*before, changed, *_gated(wanted), Route(wanted.predictor))
    if wanted.inherited:
        return (_inheriting(live, wanted),)
    return (_no_room(wanted, rooms, room, pods, f"beside the live ones of {live.predictor}"),)


def _beside(
    live: Running, candidate: Running | None, wanted: Wanted, beside: int
) -> tuple[Step, ...]:
    """Return the steps with `beside` pods of a candidate beside the live ones."""
    steps: list[Step] = []
    there = min(candidate.replicas, beside) if candidate is not None else 1
    if candidate is None:
        steps.append(AddCandidate(wanted.predictor, live.replicas))
    elif candidate.replicas != there or candidate.ready < there:
        # A run may have been killed while it waited for them.
        steps.append(GrowCandidate(wanted.predictor, live.replicas, there))
    steps.extend(_gated(wanted))
    if there != beside:
        steps.append(GrowCandidate(wanted.predictor, live.replicas, beside))
    pods = max(beside, wanted.replicas.min)
    return (*steps, Route(wanted.predictor), Promote(wanted.predictor, pods))


def _gated(wanted: Wanted) -> tuple[Step, ...]:
    return (Gate(wanted.predictor),) if wanted.is_gated else ()


def _is_wanted(candidate: Running, wanted: Wanted) -> bool:
    return candidate.predictor == wanted.predictor and candidate.as_wanted and not wanted.inherited


def _full(live: Running, wanted: Wanted) -> int:
    """Return how many pods the wanted version must have: as many as answer now, in its bounds."""
    return min(max(live.replicas, wanted.replicas.min), wanted.replicas.max)


def _no_room(
    wanted: Wanted, rooms: Sequence[NodeRoom], room: int, pods: int, beside: str
) -> Refuse:
    where = f" {beside}" if beside else ""
    short = shortages(wanted.needs, rooms) if rooms else "no nodes"
    told = f" ({short})" if short else ""
    many = f"{pods} pod" if pods == 1 else f"{pods} pods"
    reason = f"{wanted.predictor} needs {many}{where}, there is room for {room}{told}"
    remedy = "free or add nodes, mend labels, taints and tolerations, or ask for less"
    if beside.startswith("beside"):
        remedy += f"; or {_ALLOW_GAP}"
    return Refuse(reason, remedy)


def _inheriting(live: Running, wanted: Wanted) -> Refuse:
    keys = ", ".join(wanted.inherited)
    return Refuse(
        f"a candidate of KServe takes from {live.predictor} what it leaves out itself: {keys}; so "
        f"{wanted.predictor} cannot be tried as what it is to be",
        f"say these keys for the new version, too; or {_ALLOW_GAP}",
    )
