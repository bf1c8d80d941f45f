"""What a GPU is called, and what its PCI ids say."""

import pytest

from platform_assets.spec.gpu_names import devices_called, may_be, says_a_model
from platform_assets.spec.pci_names import PciNames
from platform_assets.spec.rules import gpu_models, iommu
from tests.unit.spec.rules.gpu_estates import NAMES, estate, function, machine, on_host, said

DEVICE = "clusters.cloud.workers[0].pcie_passthrough.devices[0].device_id"


def labelled(label, *functions, **more):
    return estate([machine("gpu-1", *functions, node_labels={"gpu-type": label}, **more)])


def test_a_label_that_the_ids_contradict_is_told():
    declared = labelled("rtx-a6000", function("0000:65:00.0", ids="10de:2684"))
    assert said(gpu_models.label_fits_ids, declared) == [
        (
            "error",
            "pci-id-model",
            DEVICE,
            "10de:2684 is AD102 [GeForce RTX 4090], but the label gpu-type says rtx-a6000",
            "correct one of them; rtx-a6000 is 10de:2230 (GA102GL [RTX A6000])",
        )
    ]


def test_a_quadro_is_no_t4():
    declared = labelled("tesla-t4", function("0000:ca:00.0", ids="10de:1e36"))
    assert said(gpu_models.label_fits_ids, declared) == [
        (
            "error",
            "pci-id-model",
            DEVICE,
            "10de:1e36 is TU102GL [Quadro RTX 6000], but the label gpu-type says tesla-t4",
            "correct one of them; tesla-t4 is 10de:1eb8 (TU104GL [Tesla T4])",
        )
    ]


@pytest.mark.parametrize(
    ("label", "ids"),
    [
        ("rtx-a6000", "10de:2230"),
        ("RTXA6000", "10de:2230"),
        ("nvidia-rtx-a6000-48gb", "10de:2230"),
        ("tesla-t4", "10de:1eb8"),
        ("geforce_rtx_4090", "10de:2684"),
        ("rtx-4090-ada", "10de:2684"),
        ("a100", "10de:20b5"),
        ("A100-PCIE-80GB", "10de:20b5"),
        ("inference", "10de:2684"),  # names no model
        ("pool-2", "10de:2684"),
        ("mi300x", "10de:2684"),  # no model of that vendor is called so
    ],
)
def test_a_label_that_fits_passes(label, ids):
    declared = labelled(label, function("0000:65:00.0", ids=ids))
    assert said(gpu_models.label_fits_ids, declared) == []


def test_the_size_of_the_memory_tells_models_apart():
    declared = labelled("a100-80gb", function("0000:65:00.0", ids="10de:20b0"))
    (found,) = said(gpu_models.label_fits_ids, declared)
    assert found[3] == "10de:20b0 is GA100 [A100 SXM4 40GB], but the label gpu-type says a100-80gb"
    assert found[4] == "correct one of them; a100-80gb is 10de:20b5 (GA100 [A100 PCIe 80GB])"


def test_a_label_keyed_by_the_machines_name_counts():
    declared = estate(
        [machine("gpu-worker-1", function("0000:65:00.0", ids="10de:2684"))],
        cloud={
            "kubernetes": {"node_labels": {"gpu-worker-01": {"gpu-type": "rtx-a6000"}}},
            "workers": [machine("gpu-worker-1", function("0000:65:00.0", ids="10de:2684"))],
        },
    )
    assert [each[1] for each in said(gpu_models.label_fits_ids, declared)] == ["pci-id-model"]


def test_a_label_may_speak_of_either_gpu():
    both = (function("0000:65:00.0", ids="10de:2684"), function("0000:ca:00.0", ids="10de:2230"))
    assert said(gpu_models.label_fits_ids, labelled("rtx-a6000", *both)) == []
    unknown = (function("0000:65:00.0", ids="10de:2684"), function("0000:ca:00.0"))
    assert said(gpu_models.label_fits_ids, labelled("rtx-a6000", *unknown)) == []


def test_ids_that_are_not_declared_come_from_the_host():
    declared = labelled("rtx-a6000", function("0000:65:00.0"))
    there = (on_host("0000:65:00.0", "10de:2684", is_gpu=True),)
    assert said(gpu_models.label_fits_ids, declared) == []
    assert len(said(gpu_models.label_fits_ids, declared, devices=there)) == 1


@pytest.mark.parametrize("key", ["GPU-Type", "example.com/Accelerator"])
def test_labels_that_speak_of_a_gpu_count_however_they_are_written(key):
    card = function("0000:65:00.0", ids="10de:2684")
    declared = estate([machine("gpu-1", card, node_labels={key: "rtx-a6000"})])
    (found,) = said(gpu_models.label_fits_ids, declared)
    assert found[3] == (
        f"10de:2684 is AD102 [GeForce RTX 4090], but the label {key} says rtx-a6000"
    )


def test_ids_that_the_list_has_not_contradict_no_label():
    declared = labelled("rtx-a6000", function("0000:65:00.0", ids="10de:ffff"))
    assert said(gpu_models.label_fits_ids, declared) == []


def test_only_devices_of_the_vendor_are_proposed_and_at_most_three():
    others = "\t0000  Longer clone [RTX A6000]\n"
    others += "".join(f"\t000{at}  Clone [RTX A6000]\n" for at in (4, 3, 2, 1))
    listed = PciNames.parse(
        f"1000  Another\n{others}10de  NVIDIA\n\t2684  AD102 [GeForce RTX 4090]\n{others}"
    )
    declared = labelled("rtx-a6000", function("0000:65:00.0", ids="10de:2684"))
    (found,) = said(gpu_models.label_fits_ids, declared, pci_names=listed)
    names = [f"10de:000{at} (Clone [RTX A6000])" for at in (1, 2, 3)]
    assert found[4] == f"correct one of them; rtx-a6000 is {', '.join(names)}"


def test_gres_and_description_are_compared_too():
    gres = {"gpu": {"type": "a100", "count": 1}}
    card = function("0000:65:00.0", ids="10de:2684", description="NVIDIA RTX A6000")
    found = said(gpu_models.label_fits_ids, estate([machine("gpu-1", card, gres=gres)]))
    assert [each[3] for each in found] == [
        "10de:2684 is AD102 [GeForce RTX 4090], but its description says NVIDIA RTX A6000",
        "10de:2684 is AD102 [GeForce RTX 4090], but the gres type says a100",
    ]


def test_the_model_of_a_listed_gpu_is_compared():
    gpu = {"id": "GPU-0", "vendor_id": "10de", "device_id": "2684"}
    wrong = estate(gpus={"devices": [gpu | {"model": "NVIDIA A100 80GB"}]})
    assert said(gpu_models.declared_model_fits_ids, wrong) == [
        (
            "error",
            "pci-id-model",
            "gpus.devices[0].device_id",
            "10de:2684 is AD102 [GeForce RTX 4090], but its model says NVIDIA A100 80GB",
            "correct one of them; NVIDIA A100 80GB is 10de:20b5 (GA100 [A100 PCIe 80GB])",
        )
    ]
    right = estate(gpus={"devices": [gpu | {"model": "NVIDIA GeForce RTX 4090"}]})
    assert said(gpu_models.declared_model_fits_ids, right) == []


@pytest.mark.parametrize("half", [{"vendor_id": "10de"}, {"device_id": "2684"}])
def test_one_id_of_two_says_nothing(half):
    gpu = {"id": "GPU-0", "model": "NVIDIA A100 80GB"} | half
    card = {"pci_address": "0000:65:00.0", "device_type": "gpu", "description": "A100"} | half
    declared = estate([machine("gpu-1", card)], gpus={"devices": [gpu]})
    for rule in gpu_models.GPU_MODEL_RULES:
        assert said(rule, declared) == []


@pytest.mark.parametrize(
    ("text", "listed", "may"),
    [
        ("rtx-3080-ti", "GA102 [GeForce RTX 3080]", False),
        ("rtx-3080-ti", "GA102 [GeForce RTX 3080 Ti]", True),
        ("tesla-t4-16gb", "TU104GL [Tesla T4]", True),
        ("a100-40gb", "GA100 [A100 PCIe 80GB]", False),
        ("a100-80gb", "GA100 [A100 PCIe 80GB]", True),
    ],
)
def test_what_a_text_may_mean(text, listed, may):
    assert may_be(text, listed) is may


@pytest.mark.parametrize(
    ("text", "says"),
    [("pool-40", False), ("pool-400", True), ("t4", True), ("x", False), ("3080 ti", True)],
)
def test_a_model_has_a_number_of_three_digits_or_a_letter(text, says):
    assert says_a_model(text) is says


def test_a_text_that_names_no_model_means_no_device():
    assert devices_called("inference", "10de", NAMES) == ()
    assert devices_called("t4", "10de", NAMES) == (("1eb8", "TU104GL [Tesla T4]"),)


def test_ids_outside_the_list_are_a_note():
    declared = labelled("x", function("0000:65:00.0", ids="10de:ffff"))
    assert said(gpu_models.names_are_known, declared) == [
        (
            "note",
            "pci-id-unknown",
            DEVICE,
            "10de:ffff is not in the list of PCI ids",
            "compare it with `lspci -nn`; a card newer than the list is none the worse for it",
        )
    ]
    assert said(gpu_models.names_are_known, labelled("x", function("0", ids="10de:2684"))) == []
    listed = {"devices": [{"id": "GPU-0", "vendor_id": "10de", "device_id": "ffff"}]}
    (found,) = said(gpu_models.names_are_known, estate(gpus=listed))
    assert found[2:4] == ("gpus.devices[0].device_id", "10de:ffff is not in the list of PCI ids")


def test_without_the_list_nothing_is_compared_and_that_is_told():
    declared = labelled("rtx-a6000", function("0000:65:00.0", ids="10de:2684"))
    for rule in gpu_models.GPU_MODEL_RULES[1:]:
        assert said(rule, declared, pci_names=None) == []
    assert said(gpu_models.names_are_known, declared, pci_names=None) == [
        (
            "note",
            "pci-id-unknown",
            DEVICE,
            "not checked: the list of PCI ids is not at hand, so no id is compared with a model",
            "run `uv sync --reinstall-package pypci-ng`",
        )
    ]


@pytest.mark.parametrize(
    ("kind", "ids", "name"),
    [
        ("gpu", "10de:22ba", "AD102 High Definition Audio Controller"),
        ("audio", "10de:2684", "AD102 [GeForce RTX 4090]"),
    ],
)
def test_a_kind_that_the_ids_contradict_is_told(kind, ids, name):
    declared = estate([machine("gpu-1", function("0000:65:00.0", kind, ids=ids))])
    assert said(gpu_models.kind_fits_ids, declared) == [
        (
            "error",
            "pci-id-kind",
            DEVICE,
            f"{ids} is {name}, but the device is declared as {kind}",
            "correct the id or `device_type`; function 0 of a card is the GPU, 1 its audio",
        )
    ]


def test_the_kinds_that_fit_pass():
    card = function("0000:65:00.0", ids="10de:2684")
    functions = (card, function("0000:65:00.1", "audio", ids="10de:22ba"))
    other = function("0000:66:00.0", "network", ids="8086:1533")
    declared = estate([machine("gpu-1", *functions, other)])
    assert said(gpu_models.kind_fits_ids, declared) == []
    assert said(gpu_models.audio_fits_gpu, declared) == []
    wrong = function("0000:67:00.0", ids="10de:22ba")
    after = estate([machine("gpu-1", function("0000:64:00.0"), card, other, wrong)])
    (found,) = said(gpu_models.kind_fits_ids, after)
    assert found[2].endswith("devices[3].device_id")


def test_the_description_of_an_audio_function_is_not_compared():
    card = function("0000:65:00.0", ids="10de:2684")
    sound = function("0000:65:00.1", "audio", ids="10de:22ba", description="GeForce RTX 4090")
    assert said(gpu_models.label_fits_ids, labelled("rtx-4090", card, sound)) == []


@pytest.mark.parametrize("kind", ["audio", "Audio"])
def test_audio_is_audio_however_it_is_written(kind):
    card = function("0000:65:00.0", ids="10de:2684")
    wrong = function("0000:65:00.1", kind, ids="10de:22bd")
    declared = estate([machine("gpu-1", card, wrong)])
    assert len(said(gpu_models.audio_fits_gpu, declared)) == 1
    assert said(iommu.audio_with_its_gpu, declared) == []


@pytest.mark.parametrize(("card", "sound"), [("", "10de:22bd"), ("10de:2684", "")])
def test_audio_is_compared_only_where_both_names_are_known(card, sound):
    functions = (
        function("0000:65:00.0", ids=card),
        function("0000:65:00.1", "audio", ids=sound),
    )
    assert said(gpu_models.audio_fits_gpu, estate([machine("gpu-1", *functions)])) == []


def test_audio_at_another_slot_is_that_of_another_card():
    functions = (
        function("0000:65:00.0", ids="10de:2684"),
        function("0000:66:00.1", "audio", ids="10de:22bd"),
    )
    assert said(gpu_models.audio_fits_gpu, estate([machine("gpu-1", *functions)])) == []


def test_generic_resources_without_a_type_say_nothing():
    card = function("0000:65:00.0", ids="10de:2684")
    declared = estate([machine("gpu-1", card, gres={"gpu": {"count": 1}})])
    assert said(gpu_models.label_fits_ids, declared) == []


def test_audio_of_another_chip_is_told():
    functions = (
        function("0000:65:00.0", ids="10de:2684"),
        function("0000:65:00.1", "audio", ids="10de:22bd"),
    )
    assert said(gpu_models.audio_fits_gpu, estate([machine("gpu-1", *functions)])) == [
        (
            "warning",
            "gpu-audio-model",
            "clusters.cloud.workers[0].pcie_passthrough.devices[1].device_id",
            (
                "10de:22bd is AD106M High Definition Audio Controller, but the GPU at 0000:65:00.0 "
                "is AD102 [GeForce RTX 4090]"
            ),
            (
                "its audio function should be 10de:22ba (AD102 High Definition Audio Controller); "
                "compare with `lspci -nn -s 0000:65:00.1`"
            ),
        )
    ]
