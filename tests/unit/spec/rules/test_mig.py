"""MIG: which GPUs can be divided, into what, and how many slices there are."""

import pytest

from platform_assets.spec.mig_profiles import MIG_GPUS, mig_gpus
from platform_assets.spec.rules import mig
from tests.unit.spec.rules.gpu_estates import estate, function, machine, on_host, said

A100 = {
    "id": "GPU-0",
    "model": "NVIDIA A100 80GB",
    "mig_capable": True,
    "pci_address": "0000:65:00.0",
}
KNOWN = "1g.10gb, 1g.20gb, 2g.20gb, 3g.40gb, 4g.40gb, 7g.80gb"


def slices(*profiles, of="GPU-0"):
    return {"devices": [{"id": of, "mig_profile": profile} for profile in profiles]}


def divided(*devices, **more):
    return {"devices": list(devices), "strategy": "hybrid"} | more


def test_profiles_of_a_gpu_that_cannot_be_divided_are_told():
    gpu = {"id": "GPU-1", "model": "NVIDIA RTX 6000", "allowed_mig_profiles": ["1g.10gb"]}
    (found,) = said(mig.divisible_gpus, estate(gpus=divided(gpu)))
    assert found == (
        "error",
        "mig-unsupported",
        "gpus.devices[0].allowed_mig_profiles",
        "GPU-1 (NVIDIA RTX 6000) allows MIG profiles, but is not `mig_capable`",
        "set `mig_capable: true` if it is, or allow none",
    )
    assert said(mig.divisible_gpus, estate(gpus=divided(A100))) == []


@pytest.mark.parametrize(
    "gpu",
    [
        {"model": "NVIDIA RTX A6000"},
        {"vendor_id": "10de", "device_id": "2230"},
        {"pci_address": "0000:ca:00.0"},
    ],
)
def test_a_gpu_without_mig_is_told_by_name_ids_or_host(gpu):
    there = (on_host("0000:ca:00.0", "10de:2230", is_gpu=True),)
    declared = estate(gpus=divided({"id": "GPU-1", "mig_capable": True} | gpu))
    (found,) = said(mig.divisible_gpus, declared, devices=there)
    assert found[1:3] == ("mig-unsupported", "gpus.devices[0].mig_capable")
    assert found[3].endswith("is GA102GL [RTX A6000], which MIG cannot divide")
    assert found[4] == "set `mig_capable: false` and give it away whole"


def test_a_gpu_that_nobody_knows_is_not_refused():
    gpu = {"id": "GPU-1", "model": "NVIDIA X9999", "mig_capable": True}
    assert said(mig.divisible_gpus, estate(gpus=divided(gpu))) == []


def test_a_slice_of_a_gpu_that_is_not_capable_is_told():
    gpus = divided(A100, {"id": "GPU-1", "model": "NVIDIA RTX 6000"})
    declared = estate([machine("gpu-1", gpu=slices("1g.10gb", of="GPU-1"))], gpus=gpus)
    assert said(mig.divisible_gpus, declared) == [
        (
            "error",
            "mig-unsupported",
            "clusters.cloud.workers[0].gpu.devices[0]",
            (
                "cloud/gpu-1 gets a slice (1g.10gb) of GPU-1 (NVIDIA RTX 6000), which is not "
                "`mig_capable`"
            ),
            "take the slice of another GPU, or give the machine the whole one",
        )
    ]


def test_profiles_of_another_memory_size_are_told():
    allowed = {"allowed_mig_profiles": ["1g.5gb", "2g.10gb", "3g.20gb", "7g.80gb"]}
    declared = estate(gpus=divided(A100 | allowed))
    assert said(mig.known_profiles, declared) == [
        (
            "error",
            "mig-profile",
            f"gpus.devices[0].allowed_mig_profiles[{index}]",
            f"GPU-0 (NVIDIA A100 80GB) has no MIG profile {profile}",
            f"an A100 80GB has {KNOWN}",
        )
        for index, profile in enumerate(["1g.5gb", "2g.10gb", "3g.20gb"])
    ]


@pytest.mark.parametrize(
    ("model", "profiles"),
    [
        ("NVIDIA A100 80GB", ["1g.10gb", "1G.10GB", "1g.10gb+me", "7g.80gb"]),
        ("A100-SXM4-40GB", ["1g.5gb", "1g.10gb", "4g.20gb", "7g.40gb"]),
        ("A100", ["1g.5gb", "7g.80gb"]),  # the memory is not told: both sizes may be meant
        ("NVIDIA H100 PCIe", ["1g.12gb", "3g.47gb", "7g.80gb"]),
        ("NVIDIA H200", ["1g.18gb", "7g.141gb"]),
        ("NVIDIA A30", ["1g.6gb", "2g.12gb+me", "4g.24gb"]),
        ("RTX PRO 6000 Blackwell", ["1g.24gb", "2g.48gb+gfx", "4g.96gb"]),
    ],
)
def test_profiles_that_a_gpu_has_pass(model, profiles):
    gpu = A100 | {"model": model, "allowed_mig_profiles": profiles}
    assert said(mig.known_profiles, estate(gpus=divided(gpu))) == []


def test_ids_and_memory_tell_the_size_where_the_model_does_not():
    allowed = {"model": "A100", "allowed_mig_profiles": ["1g.5gb"]}
    by_ids = A100 | allowed | {"vendor_id": "10de", "device_id": "20b5"}
    assert len(said(mig.known_profiles, estate(gpus=divided(by_ids)))) == 1
    by_memory = A100 | allowed | {"memory_gb": 80}
    assert len(said(mig.known_profiles, estate(gpus=divided(by_memory)))) == 1


def test_a_profile_of_an_unknown_gpu_is_not_judged():
    gpu = {"id": "G", "model": "X9999", "mig_capable": True, "allowed_mig_profiles": ["1g.1gb"]}
    assert said(mig.known_profiles, estate(gpus=divided(gpu))) == [
        (
            "note",
            "mig-profile",
            "gpus.devices[0].allowed_mig_profiles[0]",
            "not checked: the MIG profiles of G (X9999) are not known",
            (
                "name the model as in NVIDIA A100 80GB, or give vendor_id and device_id; "
                "`nvidia-smi mig -lgip` lists the profiles"
            ),
        )
    ]


def test_a_gpu_without_model_is_called_by_its_id():
    gpu = {"id": "G", "mig_capable": True, "allowed_mig_profiles": ["1g.1gb"]}
    (found,) = said(mig.known_profiles, estate(gpus=divided(gpu)))
    assert found[3] == "not checked: the MIG profiles of G are not known"


def test_profiles_of_a_gpu_that_cannot_be_divided_are_told_once():
    gpu = A100 | {"model": "NVIDIA RTX A6000", "allowed_mig_profiles": ["1g.10gb"]}
    assert said(mig.known_profiles, estate(gpus=divided(gpu))) == []
    assert len(said(mig.divisible_gpus, estate(gpus=divided(gpu)))) == 1


def test_a_slice_of_any_gpu_is_not_judged():
    declared = estate([machine("gpu-1", gpu=slices("9g.9gb", of=None))], gpus=divided(A100))
    for rule in (mig.divisible_gpus, mig.known_profiles, mig.divided_or_passed):
        assert said(rule, declared) == []


def test_slices_of_gpus_that_are_not_listed_are_not_counted():
    given = {"strategy": "hybrid", "mig_slices": {"cloud": 3}}
    assert said(mig.enough_slices, estate([machine("a")], gpus=given)) == []


def test_a_gpu_that_nobody_knows_may_have_as_many_slices_as_any():
    gpus = divided(A100 | {"model": "X9999"}, mig_slices={"cloud": 8})
    (found,) = said(mig.enough_slices, estate([machine("a")], gpus=gpus))
    assert found[3] == "cloud get 8 MIG slices, but there are at most 7: GPU-0 (X9999): 7"


def test_a_profile_that_the_gpu_has_not_is_left_to_the_rule_about_profiles():
    declared = estate([machine("a", gpu=slices("9g.9gb", "1g.10gb"))], gpus=divided(A100))
    assert said(mig.slices_fit_together, declared) == []
    assert len(said(mig.known_profiles, declared)) == 1


def test_gpus_without_an_address_can_be_divided():
    nowhere = A100 | {"pci_address": None}
    fits = divided(nowhere, mig_slices={"cloud": 7})
    assert said(mig.enough_slices, estate([machine("a")], gpus=fits)) == []
    (found,) = said(
        mig.enough_slices, estate([machine("a")], gpus=fits | {"mig_slices": {"cloud": 8}})
    )
    assert found[3].startswith("cloud get 8 MIG slices, but there are at most 7: ")


def test_without_the_list_of_ids_no_gpu_is_refused():
    gpu = A100 | {"model": "NVIDIA RTX A6000"}
    assert said(mig.divisible_gpus, estate(gpus=divided(gpu)), pci_names=None) == []


def test_a_machines_profile_is_one_that_its_gpu_allows():
    gpus = divided(A100 | {"allowed_mig_profiles": ["3g.40gb"]})
    workers = [machine("gpu-1", gpu=slices("3g.40gb", "1g.10gb", "1g.5gb"))]
    path = "clusters.cloud.workers[0].gpu.devices"
    assert said(mig.known_profiles, estate(workers, gpus=gpus)) == [
        (
            "error",
            "mig-profile",
            f"{path}[1].mig_profile",
            "cloud/gpu-1 gets 1g.10gb of GPU-0 (NVIDIA A100 80GB), which allows 3g.40gb",
            "choose one of those, or allow it there",
        ),
        (
            "error",
            "mig-profile",
            f"{path}[2].mig_profile",
            "GPU-0 (NVIDIA A100 80GB) has no MIG profile 1g.5gb",
            f"an A100 80GB has {KNOWN}",
        ),
    ]


BOTH = {"workers": [machine("w")], "compute": [machine("c")]}


def test_more_slices_than_the_gpus_have_are_told():
    gpus = divided(A100, mig_slices={"hpc": 4, "cloud": 4})
    assert said(mig.enough_slices, estate(**BOTH, gpus=gpus)) == [
        (
            "error",
            "mig-slices",
            "gpus.mig_slices",
            "hpc and cloud get 8 MIG slices, but there are at most 7: GPU-0 (NVIDIA A100 80GB): 7",
            "give fewer away, allow smaller profiles, or make another GPU `mig_capable`",
        )
    ]
    assert said(mig.enough_slices, estate(**BOTH, gpus=gpus, mode="sequential")) == []
    fewer = divided(A100, mig_slices={"hpc": 4, "cloud": 3})
    assert said(mig.enough_slices, estate(**BOTH, gpus=fewer)) == []


def test_slices_beside_whole_gpus_alone_are_left_to_the_strategy():
    given = divided(A100 | {"mig_capable": False}, strategy="whole", mig_slices={"cloud": 1})
    assert said(mig.enough_slices, estate([machine("a")], gpus=given)) == []
    hybrid = given | {"strategy": "hybrid"}
    assert len(said(mig.enough_slices, estate([machine("a")], gpus=hybrid))) == 1


def test_allowed_profiles_limit_the_slices():
    large = A100 | {"allowed_mig_profiles": ["3g.40gb"]}
    gpus = divided(large, mig_slices={"cloud": 3})
    (found,) = said(mig.enough_slices, estate([machine("w")], gpus=gpus))
    assert "but there are at most 2" in found[3]
    # One refused profile was told already; its GPU counts with all that it has.
    wrong = A100 | {"allowed_mig_profiles": ["1g.5gb", "7g.80gb"]}
    gpus = divided(wrong, mig_slices={"cloud": 3})
    assert said(mig.enough_slices, estate([machine("w")], gpus=gpus)) == []


def test_a_gpu_that_is_passed_through_has_no_slices():
    workers = [machine("w", function("0000:65:00.0"))]
    gpus = divided(A100, mig_slices={"hpc": 1})
    both = {"workers": workers, "compute": [machine("c")]}
    (found,) = said(mig.enough_slices, estate(**both, gpus=gpus))
    assert found[3] == (
        "hpc and cloud get 1 MIG slices, but there are at most 0: "
        "no GPU is left that MIG can divide"
    )
    assert said(mig.enough_slices, estate(**both, gpus=gpus, mode="sequential")) == []


def test_machines_that_name_more_slices_than_their_share_are_told():
    workers = [machine("gpu-1", gpu=slices("1g.10gb", "1g.10gb"))]
    gpus = divided(A100, mig_slices={"cloud": 1})
    assert said(mig.enough_slices, estate(workers, gpus=gpus)) == [
        (
            "error",
            "mig-slices",
            "clusters.cloud.workers[0].gpu.devices[1]",
            "machines of cloud name 2 slices, its share is 1",
            "raise gpus.mig_slices.cloud, or name fewer",
        )
    ]


def test_slices_that_do_not_fit_on_one_gpu_are_told():
    workers = [machine("gpu-1", gpu=slices("4g.40gb")), machine("gpu-2", gpu=slices("4g.40gb"))]
    assert said(mig.slices_fit_together, estate(workers, gpus=divided(A100))) == [
        (
            "error",
            "mig-slices",
            "clusters.cloud.workers[1].gpu.devices[0]",
            "4g.40gb, 4g.40gb do not fit on GPU-0 (NVIDIA A100 80GB) together",
            (
                "take one of another GPU, or a smaller profile; "
                "`nvidia-smi mig -lgipp` shows where each can lie"
            ),
        )
    ]
    in_turns = estate(workers[:1], [machine("c", gpu=slices("4g.40gb"))], gpus=divided(A100))
    assert len(said(mig.slices_fit_together, in_turns)) == 1
    in_turns = in_turns.model_copy(update={"mode": "sequential"})
    assert said(mig.slices_fit_together, in_turns) == []


def test_a_gpu_is_not_divided_and_passed_through():
    workers = [
        machine("gpu-1", function("0000:65:00.0")),
        machine("gpu-2", gpu=slices("1g.10gb")),
    ]
    assert said(mig.divided_or_passed, estate(workers, gpus=divided(A100))) == [
        (
            "error",
            "mig-and-passthrough",
            "clusters.cloud.workers[1].gpu.devices[0]",
            (
                "cloud/gpu-2 gets a slice (1g.10gb) of GPU-0 (NVIDIA A100 80GB), which cloud/gpu-1 "
                "gets whole (0000:65:00.0)"
            ),
            "pass another GPU through, or give both machines slices",
        )
    ]
    compute = [machine("c", gpu=slices("1g.10gb"))]
    in_turns = estate(workers[:1], compute, gpus=divided(A100), mode="sequential")
    assert said(mig.divided_or_passed, in_turns) == []
    nowhere = A100 | {"pci_address": None}
    assert said(mig.divided_or_passed, estate(workers, gpus=divided(nowhere))) == []
    whole = machine("c", function("0000:65:00.0"))
    in_turns = estate(workers, [whole], gpus=divided(A100), mode="sequential")
    assert len(said(mig.divided_or_passed, in_turns)) == 1


@pytest.mark.parametrize(
    ("profiles", "fits"),
    [
        (["1g.10gb"] * 7, True),
        (["1g.10gb"] * 8, False),
        (["3g.40gb", "3g.40gb"], True),
        (["3g.40gb", "4g.40gb"], True),
        (["3g.40gb", "3g.40gb", "1g.10gb"], False),
        (["4g.40gb", "2g.20gb", "1g.10gb"], True),
        (["2g.20gb"] * 3 + ["1g.10gb"], True),
        (["2g.20gb"] * 4, False),
        (["1g.20gb"] * 4, True),
        (["1g.20gb"] * 4 + ["1g.10gb"], False),
        (["7g.80gb"], True),
        (["7g.80gb", "1g.10gb"], False),
        (["1g.10gb+me", "1g.10gb"], True),
        (["1g.10gb+me", "1g.10gb+me"], False),
        ([], True),
    ],
)
def test_what_fits_on_an_a100(profiles, fits):
    (gpu,) = mig_gpus("A100 80GB")
    assert gpu.fits(profiles) is fits


def test_without_model_and_ids_no_gpu_is_meant():
    assert mig_gpus(None) == ()
    assert mig_gpus(None, ("10de", "ffff")) == ()


def test_a_profile_of_another_gpu_cannot_be_placed():
    (gpu,) = mig_gpus("A30")
    with pytest.raises(KeyError, match=r"7g\.80gb"):
        gpu.fits(["7g.80gb"])


@pytest.mark.parametrize("gpu", MIG_GPUS, ids=lambda gpu: gpu.name)
def test_the_table_agrees_with_itself(gpu):
    whole = max(profile.slices for profile in gpu.profiles)
    for profile in gpu.profiles:
        assert all(0 <= start <= whole - profile.slices for start in profile.starts)
        assert gpu.fits([profile.name] * len(profile.starts))
        assert not gpu.fits([profile.name] * (len(profile.starts) + 1))
        assert gpu.most([profile.name]) == len(profile.starts)
    assert len({profile.name for profile in gpu.profiles}) == len(gpu.profiles)
    assert gpu in mig_gpus(None, ("10de", next(iter(gpu.device_ids))))
    assert gpu in mig_gpus(gpu.name)
