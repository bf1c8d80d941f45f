"""Played nodes: many, ready at once, and pods go there."""

from typing import Any

from tests.lab.containerd import PAUSE
from tests.lab.kwok_nodes import TOLERATION
from tests.lab.lab import Lab
from tests.lab.test_pods import PODS, until


def test_many_nodes_are_ready_and_take_pods(lab: Lab) -> None:
    names = lab.add_kwok_nodes(20, gpus=4)
    try:
        assert len(set(names)) == 20
        lab.api.create(PODS, played_pod("played"))
        until(lambda: lab.api.get(f"{PODS}/played")["status"]["phase"] == "Running")
        assert lab.api.get(f"{PODS}/played")["spec"]["nodeName"] in names
        assert lab.add_kwok_nodes(1) == ["kwok-0020"]
    finally:
        lab.api.delete(f"{PODS}/played", gracePeriodSeconds="0")
        lab.remove_kwok_nodes([*names, "kwok-0020"])
    nodes = lab.api.get("/api/v1/nodes")["items"]
    assert [node["metadata"]["name"] for node in nodes] == [lab.node]


def played_pod(name: str) -> dict[str, Any]:
    limits = {"limits": {"nvidia.com/gpu": "4"}}
    spec = {
        "containers": [{"name": "main", "image": PAUSE, "resources": limits}],
        "tolerations": [TOLERATION],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
