"""What a machine must get together: groups of the IOMMU, and a GPU's audio function."""

import pytest

from platform_assets.spec.rules import iommu
from tests.unit.spec.rules.gpu_estates import estate, function, machine, on_host, said

GPU = "clusters.cloud.workers[0].pcie_passthrough.devices[0]"
CARD = function("0000:65:00.0", ids="10de:2204")
SOUND = function("0000:65:00.1", "audio", ids="10de:1aef")
HOST_CARD = on_host("0000:65:00.0", "10de:2204", 3, is_gpu=True)
HOST_SOUND = on_host("0000:65:00.1", "10de:1aef", 3, is_audio=True)
HOST_BRIDGE = on_host("0000:64:01.0", "8086:0000", 3, is_bridge=True)
HOST_NIC = on_host("0000:66:00.0", "8086:1533", 3)


def test_a_declared_group_goes_to_one_machine():
    workers = [
        machine("gpu-1", function("0000:65:00.0", iommu_group=3)),
        machine("gpu-2", function("0000:ca:00.0", iommu_group=3), function("0000:ca:00.1")),
    ]
    assert said(iommu.groups_of_one_machine, estate(workers)) == [
        (
            "error",
            "iommu-group-split",
            "clusters.cloud.workers[1].pcie_passthrough.devices[0]",
            "IOMMU group 3 is split: 0000:65:00.0 goes to cloud/gpu-1, 0000:ca:00.0 to cloud/gpu-2",
            "give the whole group to one machine, or put one card into another slot",
        )
    ]


def test_a_group_may_go_from_cluster_to_cluster_in_turns():
    workers = [machine("gpu-1", function("0000:65:00.0", iommu_group=3))]
    compute = [machine("compute-1", function("0000:65:00.1", iommu_group=3))]
    assert len(said(iommu.groups_of_one_machine, estate(workers, compute))) == 1
    in_turns = estate(workers, compute, mode="sequential")
    assert said(iommu.groups_of_one_machine, in_turns) == []


def test_the_hosts_groups_have_the_last_word():
    workers = [
        machine("gpu-1", function("0000:65:00.0", iommu_group=3)),
        machine("gpu-2", function("0000:ca:00.0", iommu_group=3)),
    ]
    apart = (on_host("0000:65:00.0", "10de:2204", 3), on_host("0000:ca:00.0", "10de:2204", 4))
    assert said(iommu.groups_of_one_machine, estate(workers), devices=apart) == []
    assert said(iommu.groups_as_declared, estate(workers), devices=apart) == [
        (
            "warning",
            "iommu-group-declared",
            "clusters.cloud.workers[1].pcie_passthrough.devices[0].iommu_group",
            "0000:ca:00.0 is declared in IOMMU group 3; on the host it is in group 4",
            "correct it, or leave `iommu_group` out: it is read from the host",
        )
    ]


def test_a_card_that_shares_its_group_with_the_hosts_network_is_told():
    declared = estate([machine("gpu-1", CARD, SOUND)])
    there = (HOST_CARD, HOST_SOUND, HOST_BRIDGE, HOST_NIC)
    assert said(iommu.groups_without_host, declared, devices=there) == [
        (
            "error",
            "iommu-group-split",
            GPU,
            (
                "IOMMU group 3 is split: 0000:65:00.0 goes to cloud/gpu-1, "
                "left with the host: 0000:66:00.0 (I210 Gigabit Network Connection)"
            ),
            "pass them through, too, or put the card into another slot",
        )
    ]


def test_bridges_stay_with_the_host():
    declared = estate([machine("gpu-1", CARD, SOUND)])
    there = (HOST_CARD, HOST_SOUND, HOST_BRIDGE)
    assert said(iommu.groups_without_host, declared, devices=there) == []


def test_an_audio_function_left_out_is_told_once():
    declared = estate([machine("gpu-1", CARD)])
    there = (HOST_CARD, HOST_SOUND)
    assert said(iommu.groups_without_host, declared, devices=there) == []
    assert said(iommu.audio_with_its_gpu, declared, devices=there) == [
        (
            "error",
            "gpu-audio",
            GPU,
            (
                "0000:65:00.0 goes to cloud/gpu-1 without its audio function 0000:65:00.1 "
                "(GA102 High Definition Audio Controller)"
            ),
            "list 0000:65:00.1 with `device_type: audio`",
        )
    ]


def test_the_list_of_ids_knows_which_cards_have_audio():
    assert said(iommu.audio_with_its_gpu, estate([machine("gpu-1", CARD)])) == [
        (
            "warning",
            "gpu-audio",
            GPU,
            "0000:65:00.0 (GA102 [GeForce RTX 3090]) goes to cloud/gpu-1 without an audio function",
            "list its audio function (10de:1aef, at function 1 of the same address)",
        )
    ]


@pytest.mark.parametrize(
    "functions",
    [
        (CARD, SOUND),
        (function("0000:65:00.0", ids="10de:1eb8"),),  # a T4 has none
        (function("0000:65:00.0", ids="10de:20b5"),),  # nor has an A100
        (function("0000:65:00.0"),),  # no ids: nothing is known
        (function("0000:65:00.1", "audio"),),
    ],
)
def test_a_gpu_with_its_audio_or_without_any_passes(functions):
    assert said(iommu.audio_with_its_gpu, estate([machine("gpu-1", *functions)])) == []


def test_a_card_whose_host_shows_no_audio_function_passes():
    declared = estate([machine("gpu-1", CARD)])
    assert said(iommu.audio_with_its_gpu, declared, devices=(HOST_CARD,)) == []


def test_audio_of_a_t4_is_told():
    functions = (function("0000:ca:00.0"), function("0000:ca:00.1", "audio"))
    labels = {"gpu-type": "tesla-t4"}
    declared = estate([machine("gpu-1", *functions, node_labels=labels)])
    assert said(iommu.audio_with_its_gpu, declared) == [
        (
            "warning",
            "gpu-audio",
            "clusters.cloud.workers[0].pcie_passthrough.devices[1]",
            "0000:ca:00.1 is listed as the audio function of tesla-t4, which has none",
            "take it from the list; `lspci -D` shows what there is",
        )
    ]


def test_a_group_that_is_split_is_told_once_for_two_machines():
    one = [function(f"0000:65:00.{number}", iommu_group=3) for number in (0, 1)]
    two = [function(f"0000:65:00.{number}", iommu_group=3) for number in (2, 3)]
    declared = estate([machine("gpu-1", *one), machine("gpu-2", *two)])
    assert len(said(iommu.groups_of_one_machine, declared)) == 1


def test_a_device_that_two_machines_get_splits_no_group():
    card = function("0000:65:00.0", iommu_group=3)
    declared = estate([machine("gpu-1", card), machine("gpu-2", card)])
    assert said(iommu.groups_of_one_machine, declared) == []


def test_audio_that_the_host_shows_is_there():
    card = function("0000:65:00.0", ids="10de:1eb8")
    sound = function("0000:65:00.1", "audio")
    declared = estate([machine("gpu-1", card, sound)])
    assert len(said(iommu.audio_with_its_gpu, declared)) == 1
    there = (on_host("0000:65:00.1", "10de:10f7"),)
    assert said(iommu.audio_with_its_gpu, declared, devices=there) == []


def test_a_device_without_an_address_that_can_be_is_left_to_the_rule_about_addresses():
    declared = estate([machine("gpu-1", function("65:00", iommu_group=3), CARD, SOUND)])
    for rule in iommu.IOMMU_RULES:
        assert said(rule, declared, devices=(HOST_CARD, HOST_SOUND)) == []


def test_a_card_after_another_device_is_looked_at():
    nic = function("0000:66:00.0", "network")
    assert len(said(iommu.audio_with_its_gpu, estate([machine("gpu-1", nic, CARD)]))) == 1


def test_audio_of_another_card_does_not_count():
    other = function("0000:ca:00.1", "audio", ids="10de:1aef")
    (found,) = said(iommu.audio_with_its_gpu, estate([machine("gpu-1", CARD, other)]))
    assert "0000:65:00.0 (GA102 [GeForce RTX 3090]) goes to cloud/gpu-1 without" in found[3]


@pytest.mark.parametrize("half", [{"vendor_id": "10de"}, {"device_id": "1eb8"}])
def test_a_card_with_one_id_of_two_is_not_judged(half):
    card = function("0000:65:00.0") | half
    sound = function("0000:65:00.1", "audio")
    for functions in ((card,), (card, sound)):
        assert said(iommu.audio_with_its_gpu, estate([machine("gpu-1", *functions)])) == []


def test_a_group_that_the_host_has_not_made_is_told():
    declared = estate([machine("gpu-1", function("0000:65:00.0", iommu_group=3))])
    there = (on_host("0000:65:00.0", "10de:2204"),)
    (found,) = said(iommu.groups_as_declared, declared, devices=there)
    assert found[3] == "0000:65:00.0 is declared in IOMMU group 3; on the host it is in none"
