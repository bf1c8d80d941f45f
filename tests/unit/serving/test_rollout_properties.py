"""Whatever the cluster is like: a plan that is not refused ends well, and never waits in vain."""

from random import Random
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from platform_assets.serving.rollout import (
    Current,
    Plan,
    Policy,
    Recreate,
    Refuse,
    Update,
    rollout_plan,
)
from platform_assets.serving.rollout_state import wanted_of
from platform_assets.spec.served_pods import ServedPods
from tests.unit.serving.cluster_model import Cluster, Stuck, manifest, node, other_pod

TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
FOREIGN = {"key": "dedicated", "value": "others", "effect": "NoSchedule"}

replicas = st.one_of(
    st.integers(1, 4),
    st.tuples(st.integers(1, 3), st.integers(0, 3)).map(
        lambda pair: {"min": pair[0], "max": pair[0] + pair[1]}
    ),
)
pods = st.fixed_dictionaries(
    {
        "gpus": st.sampled_from([0, 1, 1, 1, 2]),
        "replicas": replicas,
        "resources": st.sampled_from([{}, {"requests": {"cpu": "30"}}]),
    },
    optional={"runtime": st.just("mine"), "node_selector": st.just({"zone": "a"})},
)
nodes = st.lists(
    st.builds(
        lambda gpus, label, taints, cordoned: {
            "gpus": gpus,
            "labels": {"zone": "a"} if label else {},
            "taints": taints,
            "cordoned": cordoned,
        },
        st.integers(0, 4),
        st.booleans(),
        st.sampled_from([[], [TAINT], [TAINT], [FOREIGN]]),
        st.sampled_from([False, False, False, True]),
    ),
    max_size=3,
)
policies = st.builds(Policy, st.sampled_from(["refuse", "recreate"]))


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    taints = draw(st.sampled_from([[], [TAINT]]))
    sound = node("sound", draw(st.integers(1, 5)), labels={"zone": "a"}, taints=taints)
    made = [sound, *(node(f"n{at}", **each) for at, each in enumerate(draw(nodes)))]
    others = [
        other_pod(each["metadata"]["name"], draw(st.integers(0, 2)))
        for each in made
        if draw(st.sampled_from([False, False, True]))
    ]
    return Cluster(made, others, Random(draw(st.integers(0, 2**16))))


def planned(cluster: Cluster, number: int, keys: dict[str, Any], policy: Policy) -> Plan:
    wanted = wanted_of(manifest(number, keys), cluster.found)
    current = cluster.current(manifest(number, keys))
    return rollout_plan(current, wanted, cluster.rooms(), policy)


def carried_out(cluster: Cluster, number: int, keys: dict[str, Any], policy: Policy) -> Plan:
    plan = planned(cluster, number, keys, policy)
    for step in plan:
        if not isinstance(step, Refuse):
            cluster.do(step, number, keys)
    return plan


def refused(plan: Plan) -> bool:
    return any(isinstance(step, Refuse) for step in plan)


def assert_is_live(cluster: Cluster, number: int, keys: dict[str, Any]) -> None:
    wanted = ServedPods.model_validate(keys).replicas
    assert cluster.found is not None
    assert set(cluster.deployments) == {f"v{number}"} == {cluster.served}
    assert wanted.min <= cluster.answering() <= wanted.max
    assert cluster.answering() == len(cluster.deployments[f"v{number}"])
    assert "canary" not in cluster.found["spec"]
    predictor = manifest(number, keys)["spec"]["predictor"] | {"deploymentStrategy": None}
    assert cluster.found["spec"]["predictor"] | {"deploymentStrategy": None} == predictor


def bounded_below(cluster: Cluster, before: int, keys: dict[str, Any], policy: Policy) -> None:
    """Assert that requests went on being answered, where the policy asks for that."""
    wanted = ServedPods.model_validate(keys).replicas
    if policy.without_spare == "refuse" and before:
        least = min(before, wanted.max)
        assert all(answering >= least for _, answering in cluster.history), cluster.history


@settings(max_examples=300, deadline=None)
@given(clusters(), st.tuples(pods, pods), st.data(), policies)
def test_a_plan_ends_with_what_is_wanted_and_never_waits_in_vain(
    cluster: Cluster,
    entries: tuple[dict[str, Any], dict[str, Any]],
    data: st.DataObject,
    policy: Policy,
) -> None:
    first, then = entries
    number = data.draw(st.sampled_from([1, 2]), label="the version wanted next")
    if refused(carried_out(cluster, 1, first, policy)):
        return
    assert_is_live(cluster, 1, first)
    cordoned = data.draw(st.sampled_from([None, *cluster.nodes]), label="cordoned meanwhile")
    if cordoned is not None:
        cordoned["spec"]["unschedulable"] = True
    before, live = cluster.answering(), dict(cluster.deployments)
    cluster.history.clear()
    plan = carried_out(cluster, number, then, policy)
    event(" ".join(type(step).__name__ for step in plan) or "nothing")
    if refused(plan):
        assert len(plan) == 1
        assert cluster.deployments == live
        return
    assert_is_live(cluster, number, then)
    bounded_below(cluster, before, then, policy)
    assert planned(cluster, number, then, policy) == ()


@settings(max_examples=300, deadline=None)
@given(clusters(), st.tuples(pods, pods, pods), st.data(), policies)
def test_a_plan_from_wherever_another_was_left_ends_the_same(
    cluster: Cluster,
    entries: tuple[dict[str, Any], dict[str, Any], dict[str, Any]],
    data: st.DataObject,
    policy: Policy,
) -> None:
    first, then, last = entries
    if refused(carried_out(cluster, 1, first, policy)):
        return
    plan = planned(cluster, 2, then, policy)
    if refused(plan) or not plan:
        return
    before = cluster.answering()
    cluster.history.clear()
    kills = [*range(1, len(plan) + 1), max(len(plan) - 1, 1)]  # often before the promotion
    done = data.draw(st.sampled_from(kills), label="steps before the run was killed")
    for at, step in enumerate(plan[:done]):
        cluster.do(step, 2, then, wait=at < done - 1)
    number = data.draw(st.sampled_from([3, 2, 1]), label="the version wanted next")
    keys = {1: first, 2: then, 3: last}[number]
    taken = [room.name for room in cluster.rooms() if room.free["nvidia.com/gpu"] > 0]
    if taken and data.draw(st.booleans(), label="whether somebody takes a GPU meanwhile"):
        cluster.others.append(other_pod(data.draw(st.sampled_from(taken)), 1))
    else:
        taken = []
    left = dict(cluster.deployments)
    again = carried_out(cluster, number, keys, policy)
    event(" ".join(type(step).__name__ for step in again) or "nothing")
    if refused(again):
        assert len(again) == 1
        assert cluster.deployments == left
        assert number != 2 or taken, again
        return
    assert_is_live(cluster, number, keys)
    if number != 1 and not any(isinstance(step, Recreate) for step, _ in cluster.history):
        fewest = [ServedPods.model_validate(each).replicas.max for each in (then, keys)]
        least = min(before, *fewest)
        if policy.without_spare == "refuse":
            assert all(answering >= least for _, answering in cluster.history)
    assert planned(cluster, number, keys, policy) == ()


def test_the_model_of_the_cluster_knows_when_an_update_is_stuck() -> None:
    """Two pods of one GPU on a node of four: the second one of two has to wait for both."""
    cluster = Cluster([node("a", 4)], [], Random(0))
    carried_out(cluster, 1, {"gpus": 1, "replicas": 2}, Policy())
    with pytest.raises(Stuck):
        cluster.do(Update("v1", 2), 1, {"gpus": 2, "replicas": 2})


def test_the_model_of_the_cluster_knows_when_a_cordoned_node_is_no_room() -> None:
    cluster = Cluster([node("a", 2)], [], Random(0))
    carried_out(cluster, 1, {"gpus": 1, "replicas": 2}, Policy())
    cluster.nodes[0]["spec"]["unschedulable"] = True
    cluster.nodes.append(node("b", 1))
    with pytest.raises(Stuck):
        cluster.do(Update("v1", 2), 1, {"gpus": 1, "replicas": 2, "runtime": "mine"})


def test_the_model_of_the_cluster_knows_what_is_live() -> None:
    cluster = Cluster([node("a", 2, taints=[TAINT])], [], Random(0))
    carried_out(cluster, 1, {"gpus": 1}, Policy())
    current = cluster.current(manifest(1, {"gpus": 1}))
    assert isinstance(current, Current)
    assert (current.served, current.live.nodes, current.live.as_wanted) == ("v1", ("a",), True)
