"""GPUs under `gpus`, their division, and what machines count on getting."""

import pytest

from platform_assets.spec.rules import gpus
from platform_assets.spec.rules.grounds import HostCapacity
from tests.unit.spec.rules.gpu_estates import estate, function, machine, said

A100 = {"id": "GPU-0", "model": "NVIDIA A100 80GB", "mig_capable": True}
RTX = {"id": "GPU-1", "model": "NVIDIA RTX 6000"}
WORKER = "clusters.cloud.workers[0]"


def test_two_gpus_of_one_id_are_told():
    declared = estate(gpus={"devices": [A100, RTX | {"id": "gpu-0"}]})
    assert said(gpus.unique_gpus, declared) == [
        (
            "error",
            "duplicate-gpu",
            "gpus.devices[1].id",
            "two GPUs have the id gpu-0",
            "give each its own",
        )
    ]
    assert said(gpus.unique_gpus, estate(gpus={"devices": [A100, RTX]})) == []


def test_two_gpus_at_one_address_are_told():
    at = {"pci_address": "0000:65:00.0"}
    declared = estate(gpus={"devices": [A100 | at, RTX | at]})
    assert said(gpus.unique_gpus, declared) == [
        (
            "error",
            "duplicate-gpu",
            "gpus.devices[1].pci_address",
            "GPU-1 and GPU-0 have the address 0000:65:00.0",
            "correct one, or list the GPU once",
        )
    ]


def test_a_gpu_that_is_not_listed_is_told():
    listed = {"devices": [A100 | {"pci_address": "0000:65:00.0"}]}
    declared = estate([machine("gpu-1", function("0000:ca:00.0"))], gpus=listed)
    assert said(gpus.declared_gpus, declared) == [
        (
            "error",
            "gpu-undeclared",
            f"{WORKER}.pcie_passthrough.devices[0].pci_address",
            "cloud/gpu-1 gets the GPU 0000:ca:00.0, which `gpus.devices` has not",
            "correct the address (listed are GPU-0), or add the GPU there",
        )
    ]
    same = estate([machine("gpu-1", function("0000:65:00.0"))], gpus=listed)
    assert said(gpus.declared_gpus, same) == []
    audio = estate([machine("gpu-1", function("0000:65:00.1", "audio"))], gpus=listed)
    assert said(gpus.declared_gpus, audio) == []
    no_address = estate([machine("g", function("0000:ca:00.0"))], gpus={"devices": [A100]})
    assert said(gpus.declared_gpus, no_address) == []


def test_a_slice_of_a_gpu_that_is_not_listed_is_told():
    one = {"devices": [{"id": "GPU-7", "mig_profile": "1g.10gb"}]}
    declared = estate([machine("gpu-1", gpu=one)], gpus={"devices": [A100, RTX]})
    assert said(gpus.declared_gpus, declared) == [
        (
            "error",
            "gpu-undeclared",
            f"{WORKER}.gpu.devices[0].id",
            "cloud/gpu-1 names the GPU GPU-7, which `gpus.devices` has not",
            "name one of GPU-0, GPU-1, or add it there",
        )
    ]
    listed = [{"id": "gpu-1"}, {"id": "GPU-1"}, {"mig_profile": "1g.10gb"}]
    declared = estate([machine("gpu-1", gpu={"devices": listed})], gpus={"devices": [A100, RTX]})
    assert said(gpus.declared_gpus, declared) == []


def test_more_gpus_listed_than_the_host_has_are_told():
    listed = {"devices": [A100, RTX]}
    assert said(gpus.counted_gpus, estate(gpus=listed, host={"gpus": 1})) == [
        (
            "error",
            "gpu-count",
            "host.gpus",
            "the host is said to have 1 GPUs, but `gpus.devices` lists 2",
            "correct one of them, or leave `host.gpus` out",
        )
    ]
    assert said(gpus.counted_gpus, estate(gpus=listed, host={"gpus": 2})) == []
    assert said(gpus.counted_gpus, estate(gpus=listed, host={"gpus": 3})) == []


@pytest.mark.parametrize(
    ("division", "path", "message"),
    [
        (
            {"strategy": "whole", "mig_slices": {"hpc": 2}},
            "gpus.mig_slices",
            "the strategy is whole, yet 2 MIG slices are given away",
        ),
        (
            {"strategy": "mig", "whole_gpus": {"cloud": 1}},
            "gpus.whole_gpus",
            "the strategy is mig, yet 1 whole GPUs are given away",
        ),
    ],
)
def test_a_strategy_that_its_numbers_contradict_is_told(division, path, message):
    remedy = "set the strategy to hybrid, or the numbers to 0"
    expected = [("error", "gpu-strategy", path, message, remedy)]
    assert said(gpus.fitting_strategy, estate(gpus=division)) == expected
    mended = division | {"strategy": "hybrid"}
    assert said(gpus.fitting_strategy, estate(gpus=mended)) == []


def test_a_strategy_that_a_machine_contradicts_is_told():
    whole = machine("gpu-1", function("0000:65:00.0"))
    part = machine("gpu-2", gpu={"devices": [{"mig_profile": "1g.10gb"}]})
    assert said(gpus.fitting_strategy, estate([whole, part], gpus={"strategy": "mig"})) == [
        (
            "error",
            "gpu-strategy",
            f"{WORKER}.pcie_passthrough.devices[0]",
            "the strategy is mig, yet cloud/gpu-1 gets a whole GPU",
            "set the strategy to hybrid, or give the machine a slice",
        )
    ]
    assert said(gpus.fitting_strategy, estate([whole, part], gpus={"strategy": "whole"})) == [
        (
            "error",
            "gpu-strategy",
            "clusters.cloud.workers[1].gpu.devices[0].mig_profile",
            "the strategy is whole, yet cloud/gpu-2 gets a MIG slice (1g.10gb)",
            "set the strategy to hybrid, or give the machine a whole GPU",
        )
    ]
    assert said(gpus.fitting_strategy, estate([whole, part], gpus={"strategy": "hybrid"})) == []


def test_a_share_of_a_cluster_that_is_not_there_is_told():
    declared = estate([machine("w")], gpus={"whole_gpus": {"hpc": 1, "cloud": 1}})
    assert said(gpus.shares_of_clusters, declared) == [
        (
            "warning",
            "gpu-shares",
            "gpus.whole_gpus.hpc",
            "1 go to the cluster hpc, which is not declared",
            "set it to 0, or declare the cluster",
        )
    ]


def division(**more):
    return {"devices": [A100, RTX], "strategy": "hybrid"} | more


def test_more_whole_gpus_than_there_are_are_told():
    shares = division(mig_slices={"hpc": 4}, whole_gpus={"hpc": 1, "cloud": 1})
    clusters = {"workers": [machine("w")], "compute": [machine("c")]}
    assert said(gpus.shares_within_devices, estate(**clusters, gpus=shares)) == [
        (
            "error",
            "gpu-shares",
            "gpus.whole_gpus",
            "hpc and cloud get 2 whole GPUs beside 1 that MIG divides, but there are 2: 1 too many",
            "give fewer away, or let the clusters take turns with `mode: sequential`",
        )
    ]
    in_turns = estate(**clusters, gpus=shares, mode="sequential")
    assert said(gpus.shares_within_devices, in_turns) == []
    fewer = division(mig_slices={"hpc": 4, "cloud": 3}, whole_gpus={"cloud": 1})
    assert said(gpus.shares_within_devices, estate(**clusters, gpus=fewer)) == []


def test_the_number_of_gpus_comes_from_whoever_knows():
    shares = {"whole_gpus": {"cloud": 2}}
    workers = [machine("w")]
    assert said(gpus.shares_within_devices, estate(workers, gpus=shares)) == []
    declared = estate(workers, gpus=shares, host={"gpus": 1})
    assert len(said(gpus.shares_within_devices, declared)) == 1
    read = HostCapacity(cpu_cores=8, memory_gib=8, disk_gib=8, gpus=1)
    (found,) = said(gpus.shares_within_devices, estate(workers, gpus=shares), capacity=read)
    assert found[3:] == (
        "cloud get 2 whole GPUs, but there are 1: 1 too many",
        "give fewer away",
    )


def test_machines_that_want_gpus_of_no_division_are_told():
    declared = estate([machine("gpu-1", gpu_enabled=True)])
    assert said(gpus.machines_within_shares, declared) == [
        (
            "error",
            "gpu-shares",
            f"{WORKER}.gpu_enabled",
            "1 machines of cloud want GPUs, but the estate divides none",
            "declare `gpus` with shares, pass devices through, or set it to false",
        )
    ]
    passed = estate([machine("gpu-1", function("0000:65:00.0"), gpu_enabled=True)])
    assert said(gpus.machines_within_shares, passed) == []


def test_more_machines_than_the_share_has_gpus_are_told():
    workers = [machine(f"gpu-{n}", gpu_enabled=True) for n in (1, 2, 3)]
    few = division(mig_slices={"cloud": 1}, whole_gpus={"cloud": 1})
    assert said(gpus.machines_within_shares, estate(workers, gpus=few)) == [
        (
            "error",
            "gpu-shares",
            "clusters.cloud.workers[2].gpu_enabled",
            "cloud has 3 more machines that want GPUs, but its share is 1 whole GPUs and 1 slices",
            "raise the share, or set `gpu_enabled: false` on a machine",
        )
    ]
    enough = division(mig_slices={"cloud": 2}, whole_gpus={"cloud": 1})
    assert said(gpus.machines_within_shares, estate(workers, gpus=enough)) == []


def test_more_passed_through_than_the_share_is_told():
    workers = [machine("a", function("0000:65:00.0")), machine("b", function("0000:ca:00.0"))]
    few = division(whole_gpus={"cloud": 1})
    assert said(gpus.machines_within_shares, estate(workers, gpus=few)) == [
        (
            "error",
            "gpu-shares",
            "gpus.whole_gpus.cloud",
            "machines of cloud get 2 whole GPUs, but its share is 1",
            "raise gpus.whole_gpus.cloud to 2, or pass fewer through",
        )
    ]
    unshared = estate(workers, gpus=division())
    assert said(gpus.machines_within_shares, unshared) == []


def test_gres_beyond_the_machines_gpus_is_an_error():
    card = function("0000:65:00.0")
    gres = {"gpu": {"type": "a100", "count": 2}}
    declared = estate(compute=[machine("compute-1", card, gres=gres)])
    path = "clusters.hpc.compute_nodes[0]"
    assert said(gpus.counted_gres, declared) == [
        (
            "error",
            "gres-count",
            f"{path}.gres.gpu.count",
            "SLURM is told of 2 GPUs on hpc/compute-1, which has 1",
            "set the count to 1, or correct the machine's devices",
        )
    ]
    none = estate(compute=[machine("compute-1", gres={"gpu": {"count": 1}})])
    assert said(gpus.counted_gres, none)[0][3].endswith("which has 0")


def test_gres_below_the_machines_gpus_is_a_warning():
    cards = (function("0000:65:00.0"), function("0000:ca:00.0"))
    config = {"gpu_types": [{"name": "a100", "count_per_node": 1}]}
    declared = estate(compute=[machine("compute-1", *cards, gres_config=config)])
    (found,) = said(gpus.counted_gres, declared)
    assert found[0] == "warning"
    assert found[2] == "clusters.hpc.compute_nodes[0].gres_config.gpu_types"


@pytest.mark.parametrize(
    "node",
    [
        machine("c", function("0000:65:00.0"), gres={"gpu": {"count": 1}}),
        machine(
            "c",
            gres={"gpu": {"count": 2}},
            gpu={"devices": [{"mig_profile": "1g.10gb"}, {"mig_profile": "1g.10gb"}]},
        ),
        machine("c", gpu_enabled=True, gres={"gpu": {"count": 1}}),
        machine("c", gres={"gpu": {"enabled": False, "count": 4}}),
    ],
)
def test_gres_that_the_machine_has_passes(node):
    assert said(gpus.counted_gres, estate(compute=[node])) == []


def test_as_many_gpus_are_divided_as_their_slices_need():
    a30 = {"model": "NVIDIA A30", "mig_capable": True}
    devices = [a30 | {"id": "GPU-0"}, a30 | {"id": "GPU-1"}]
    given = {"strategy": "hybrid", "whole_gpus": {"hpc": 1}}
    for wanted, divided in ((4, 1), (5, 2), (8, 2), (9, 3)):
        declared = {"devices": devices, "mig_slices": {"hpc": wanted}} | given
        told = [
            each[3]
            for each in said(
                gpus.shares_within_devices, estate(compute=[machine("c")], gpus=declared)
            )
        ]
        text = f"hpc get 1 whole GPUs beside {divided} that MIG divides, but there are 2: "
        assert told == ([f"{text}{divided - 1} too many"] if divided > 1 else [])


def test_what_is_passed_through_counts_beside_machines_that_want_more():
    workers = [machine("a", function("0000:65:00.0")), machine("b", gpu_enabled=True)]
    declared = estate(workers, gpus=division(whole_gpus={"cloud": 1}))
    (found,) = said(gpus.machines_within_shares, declared)
    assert found[3] == (
        "cloud has 1 whole GPUs passed through and 1 more machines that want GPUs, but its share "
        "is 1 whole GPUs and 0 slices"
    )


def test_a_machine_that_names_a_whole_gpu_agrees_with_the_strategy():
    named = machine("gpu-1", gpu={"devices": [{"id": "GPU-0"}]})
    assert said(gpus.fitting_strategy, estate([named], gpus={"strategy": "whole"})) == []


def test_slices_count_for_generic_resources():
    two = {"devices": [{"mig_profile": "1g.10gb"}, {"mig_profile": "1g.10gb"}]}
    declared = estate(compute=[machine("c", gres={"gpu": {"count": 3}}, gpu=two)])
    (found,) = said(gpus.counted_gres, declared)
    assert found[3] == "SLURM is told of 3 GPUs on hpc/c, which has 2"


def test_only_gpus_that_can_be_divided_are():
    a30 = {"id": "GPU-0", "model": "NVIDIA A30", "mig_capable": True}
    declared = {
        "devices": [a30, RTX],
        "strategy": "hybrid",
        "mig_slices": {"hpc": 5},
        "whole_gpus": {"hpc": 1},
    }
    (found,) = said(gpus.shares_within_devices, estate(compute=[machine("c")], gpus=declared))
    assert "beside 2 that MIG divides" in found[3]


def test_where_nobody_knows_how_many_gpus_there_are_none_is_too_many():
    declared = estate([machine("w")], gpus={"strategy": "hybrid", "whole_gpus": {"cloud": 9}})
    nothing = HostCapacity(cpu_cores=8, memory_gib=64, disk_gib=500, gpus=None)
    assert said(gpus.shares_within_devices, declared, capacity=nothing) == []
    eight = HostCapacity(cpu_cores=8, memory_gib=64, disk_gib=500, gpus=8)
    assert len(said(gpus.shares_within_devices, declared, capacity=eight)) == 1


def test_what_another_cluster_gets_does_not_count_for_a_share():
    cards = [machine("a", function("0000:65:00.0")), machine("b", function("0000:ca:00.0"))]
    given = division(whole_gpus={"cloud": 1, "hpc": 2})
    declared = estate([machine("w", gpu_enabled=True)], cards, gpus=given)
    assert said(gpus.machines_within_shares, declared) == []
