"""The room on nodes: what pods ask for, where they may stand, and what is left."""

from fractions import Fraction
from typing import Any

import pytest

from platform_assets.serving.node_room import (
    Needs,
    NodeRoom,
    free_resources,
    needs_of,
    places,
    released,
    requests_of,
    shortages,
)

GPU = "nvidia.com/gpu"
GI = 1024**3
TAINT = {"key": GPU, "effect": "NoSchedule"}
TOLERATED = {"key": GPU, "operator": "Exists", "effect": "NoSchedule"}


def node(name: str = "n", **spec: Any) -> dict[str, Any]:
    allocatable = {"cpu": "3920m", "memory": "8146672Ki", GPU: "2", "pods": "110"}
    return {
        "metadata": {"name": name, "labels": spec.pop("labels", {})},
        "spec": spec,
        "status": {
            "allocatable": allocatable,
            "conditions": [{"type": "Ready", "status": spec.pop("ready", "True")}],
        },
    }


def pod(requests: dict[str, str], name: str | None = "n", phase: str = "Running") -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [{"resources": {"requests": requests}}]}
    return {"spec": spec | ({"nodeName": name} if name else {}), "status": {"phase": phase}}


def needs(tolerations: tuple[dict[str, Any], ...] = (), **amounts: int) -> Needs:
    names = {"gpu": GPU}
    asked = {names.get(name, name): Fraction(amount) for name, amount in amounts.items()}
    return Needs(asked, tolerations=tolerations)


def test_bound_pods_that_have_not_ended_take_what_they_ask_for() -> None:
    pods = [
        pod({"cpu": "500m", GPU: "1"}),
        pod({"cpu": "20m"}, phase="Pending"),  # bound, its image is being pulled
        pod({"cpu": "1", GPU: "1"}, phase="Succeeded"),
        pod({"cpu": "1", GPU: "1"}, phase="Failed"),
        pod({"cpu": "1", GPU: "1"}, name=None, phase="Pending"),
        pod({"cpu": "1", GPU: "1"}, name="another"),
    ]
    [room] = free_resources([node()], pods)
    assert room.free["cpu"] == Fraction(34, 10)
    assert room.free[GPU] == 1
    assert room.free["memory"] == 8146672 * 1024
    assert room.free["pods"] == 108


def test_a_pod_asks_for_its_containers_together_or_the_largest_initial_one() -> None:
    spec = {
        "containers": [
            {"resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}}},
            {"resources": {"requests": {"cpu": "500m"}}},
            {},
        ],
        "initContainers": [
            {"resources": {"requests": {"memory": "3Gi", "cpu": "100m"}}},
            {"restartPolicy": "Always", "resources": {"requests": {"cpu": "200m"}}},
            {"resources": {"requests": {"cpu": "2"}}},
        ],
        "overhead": {"cpu": "100m"},
    }
    assert requests_of(spec) == {"cpu": Fraction(23, 10), "memory": 3 * GI}


@pytest.mark.parametrize(
    ("tolerations", "fits"),
    [
        ((), False),
        ((TOLERATED,), True),
        (({"operator": "Exists"},), True),
        (({"key": GPU, "operator": "Exists"},), True),
        (({"key": GPU, "operator": "Exists", "effect": "NoExecute"},), False),
        (({"key": GPU, "value": "present", "effect": "NoSchedule"},), False),
        (({"key": GPU, "value": "", "effect": "NoSchedule"},), True),
        (({"key": "other", "operator": "Exists"},), False),
        (({"operator": "Equal"},), False),
    ],
)
def test_a_taint_keeps_away_whoever_does_not_tolerate_it(
    tolerations: tuple[dict[str, Any], ...], fits: bool
) -> None:
    [room] = free_resources([node(taints=[TAINT])], [])
    assert bool(places(needs(tolerations, gpu=1), [room])) is fits


def test_a_taint_that_only_prefers_keeps_nobody_away() -> None:
    [room] = free_resources([node(taints=[TAINT | {"effect": "PreferNoSchedule"}])], [])
    assert places(needs(gpu=1), [room]) == 2


def test_a_pod_needs_its_gpus_on_one_node() -> None:
    rooms = free_resources([node("a"), node("b")], [pod({GPU: "1"}, "a"), pod({GPU: "1"}, "b")])
    assert places(needs(gpu=1), rooms) == 2
    assert places(needs(gpu=2), rooms) == 0
    assert shortages(needs(gpu=2), rooms) == (
        "a: 1 of 2 nvidia.com/gpu free; b: 1 of 2 nvidia.com/gpu free"
    )
    assert places(needs(gpu=2), released(rooms, needs(gpu=1), ["b"])) == 1


def test_why_a_node_takes_no_pod_is_told() -> None:
    nodes = [
        node("cordoned", unschedulable=True),
        node("down", ready="Unknown"),
        node("tainted", taints=[{"key": "a", "value": "b", "effect": "NoExecute"}]),
        node("plain"),
        node("full", labels={"zone": "a"}),
        node("open", labels={"zone": "a"}),
    ]
    wanted = Needs({"memory": Fraction(4 * GI), "cpu": Fraction(1)}, {"zone": "a"})
    rooms = free_resources(nodes, [pod({"memory": "7Gi", "cpu": "3500m"}, "full")])
    assert shortages(wanted, rooms) == (
        "cordoned: cordoned; down: not ready; tainted: label zone=a is missing; "
        "plain: label zone=a is missing; "
        "full: 788Mi of 4Gi memory free, 0.42 of 1 cpu free"
    )
    assert shortages(wanted, rooms, most=1) == "cordoned: cordoned; 4 nodes more"
    assert places(wanted, rooms) == 1


def test_a_node_whose_gpus_were_lost_has_no_room() -> None:
    lost = node()
    lost["status"]["allocatable"][GPU] = "0"
    [room] = free_resources([lost], [pod({GPU: "1"})])
    assert room.places(needs(gpu=1)) == 0
    assert room.places(needs(cpu=1)) == 3
    assert room.shortage(needs(gpu=1)) == "0 of 1 nvidia.com/gpu free"


def test_a_node_without_a_place_for_pods_has_no_room() -> None:
    room = NodeRoom("n", {"cpu": Fraction(4), "pods": Fraction(0)})
    assert room.places(needs()) == 0
    assert room.shortage(needs()) == "0 of 1 pods free"


def test_a_predictor_needs_what_it_says_and_else_what_its_runtime_says() -> None:
    runtime = {
        "containers": [
            {"name": "sidecar", "resources": {"requests": {"cpu": "100m"}}},
            {
                "name": "kserve-container",
                "resources": {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "2"}},
            },
        ]
    }
    predictor = {
        "nodeSelector": {"zone": "a"},
        "tolerations": [TOLERATED],
        "model": {"resources": {"requests": {"memory": "4Gi"}, "limits": {GPU: "1"}}},
    }
    assert needs_of(predictor, runtime) == Needs(
        {"cpu": Fraction(11, 10), "memory": Fraction(4 * GI), GPU: Fraction(1)},
        {"zone": "a"},
        (TOLERATED,),
    )
    assert needs_of({"model": {}}) == Needs({})


def test_a_smaller_pod_fits_where_a_larger_one_stood() -> None:
    assert needs(gpu=1).fits_into(needs(gpu=2, cpu=1))
    assert not needs(gpu=2).fits_into(needs(gpu=1))
    assert not Needs({}, {"zone": "a"}).fits_into(Needs({}))
    assert Needs({}).fits_into(Needs({}, {"zone": "a"}))
    assert not needs().fits_into(needs((TOLERATED,)))
