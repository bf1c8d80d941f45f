"""Which machine a name means."""

import pytest

from platform_assets.spec.machine_names import machine_named, without_leading_zeros
from platform_assets.spec.model.estate import Estate


def estate(*names):
    size = {"cpu_cores": 1, "memory_gb": 1, "disk_gb": 1}
    nodes = [{"name": name, **size} for name in names]
    return Estate.model_validate(
        {"metadata": {"name": "e"}, "clusters": {"hpc": {"compute_nodes": nodes}, "cloud": {}}}
    )


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("compute-1", 0),
        ("compute-01", 0),
        ("compute-001", 0),
        ("compute-10", 1),
        ("compute-010", 1),
        ("rack-2-node-3", 2),
        ("zero-0", 3),
        ("compute-2", None),
        ("compute", None),
        ("compute-1 ", None),
        ("", None),
    ],
)
def test_leading_zeros_make_no_difference(text, index):
    placed = machine_named(
        estate("compute-01", "compute-10", "rack-02-node-3", "zero-00"), "hpc", text
    )
    assert (placed and placed.path[-1]) == index


def test_the_exact_name_wins():
    placed = machine_named(estate("a-01", "a-1"), "hpc", "a-1")
    assert placed.machine.name == "a-1"


def test_a_machine_of_the_other_cluster_is_not_meant():
    assert machine_named(estate("a"), "cloud", "a") is None


def test_a_number_that_is_only_zeros_keeps_one():
    assert without_leading_zeros("a-000") == "a-0"
