"""Whole estate files under the rules about GPUs and capacity: what is found, and on which line."""

from datetime import date
from pathlib import Path

import pytest

from platform_assets.infrastructure.grounds import devices_of
from platform_assets.spec.findings import Severity
from platform_assets.spec.loading.load import load
from platform_assets.spec.pci_names import PciNames
from platform_assets.spec.rules.gpu_models import GPU_MODEL_RULES
from platform_assets.spec.rules.gpus import GPU_RULES
from platform_assets.spec.rules.grounds import Grounds, HostCapacity
from platform_assets.spec.rules.host import HOST_RULES
from platform_assets.spec.rules.iommu import IOMMU_RULES
from platform_assets.spec.rules.mig import MIG_RULES
from platform_assets.spec.rules.pci import PCI_RULES
from resources.pci_ids import read_pci_ids
from tests.recorded_hosts import recorded_host

ESTATES = Path(__file__).parents[3] / "fixtures" / "estates"
NAMES = PciNames.parse(read_pci_ids())
RULES = PCI_RULES + IOMMU_RULES + GPU_MODEL_RULES + GPU_RULES + MIG_RULES + HOST_RULES
LARGE = HostCapacity(cpu_cores=128, memory_gib=512, disk_gib=4000, gpus=4)


def found(text, capacity=LARGE, devices=None):
    loaded = load(text.encode(), "lab.yaml", {})
    assert [one for one in loaded.findings if one.severity is Severity.ERROR] == []
    grounds = Grounds(date(2026, 11, 21), capacity, devices, NAMES)
    told = loaded.located(one for rule in RULES for one in rule(loaded.estate, grounds))
    return [(one.line, one.rule, one.message) for one in told if one.severity is not Severity.NOTE]


def test_the_inference_clusters_gpus_are_not_what_their_labels_say():
    text = (ESTATES / "inference_cluster.yaml").read_text()
    assert sorted(found(text)) == [
        (
            95,
            "pci-id-model",
            "10de:2684 is AD102 [GeForce RTX 4090], but the label gpu-type says rtx-a6000",
        ),
        (
            101,
            "gpu-audio-model",
            (
                "10de:22bd is AD106M High Definition Audio Controller, but the GPU at 0000:65:00.0 "
                "is AD102 [GeForce RTX 4090]"
            ),
        ),
        (
            127,
            "pci-id-model",
            "10de:1e36 is TU102GL [Quadro RTX 6000], but the label gpu-type says tesla-t4",
        ),
        (
            129,
            "gpu-audio",
            "0000:ca:00.1 is listed as the audio function of tesla-t4, which has none",
        ),
        (
            132,
            "gpu-audio-model",
            (
                "10de:22bd is AD106M High Definition Audio Controller, but the GPU at 0000:ca:00.0 "
                "is TU102GL [Quadro RTX 6000]"
            ),
        ),
    ]


def test_the_dual_stacks_mig_profiles_are_of_another_gpu():
    text = (ESTATES / "dual_stack.yaml").read_text()
    assert found(text) == [
        (23, "mig-profile", f"GPU-0 (NVIDIA A100 80GB) has no MIG profile {profile}")
        for profile in ("1g.5gb", "2g.10gb", "3g.20gb")
    ]


@pytest.mark.parametrize(
    ("host", "wrong"),
    [
        ("{cpu_cores: 16, memory_gb: 64, disk_gb: 800, gpus: 2}", 3),
        ("{cpu_cores: 40, memory_gb: 96, disk_gb: 1000, gpus: 2}", 0),
    ],
)
def test_the_smallest_host_is_too_small_and_the_required_one_is_not(host, wrong):
    text = (ESTATES / "inference_cluster.yaml").read_text()
    told = found(f"host: {host}\n{text}", capacity=None)
    assert [one[:2] for one in told].count((1, "host-capacity")) == wrong


SHARED = """\
metadata: {name: lab}
clusters:
  cloud:
    workers:
      - name: gpu-1
        cpu_cores: 4
        memory_gb: 8
        disk_gb: 100
        pcie_passthrough:
          devices:
            - {pci_address: "0000:ADDRESS.0", device_type: gpu}
"""


def test_a_recorded_host_whose_card_shares_a_group(tmp_path):
    devices = devices_of(recorded_host("shared_group", tmp_path).hardware())
    card = next(device for device in devices if device.is_gpu)
    text = SHARED.replace("0000:ADDRESS.0", card.address)
    told = found(text, devices=devices)
    assert {rule for _, rule, _ in told} == {"gpu-audio", "iommu-group-split"}
    assert all(line == 11 for line, *_ in told)


def test_a_recorded_host_whose_card_stands_alone(tmp_path):
    devices = devices_of(recorded_host("two_gpu_workstation", tmp_path).hardware())
    both = (
        '{pci_address: "0000:01:00.0"}\n'
        '            - {pci_address: "0000:01:00.1", device_type: audio}'
    )
    text = SHARED.replace('{pci_address: "0000:ADDRESS.0", device_type: gpu}', both)
    assert found(text, devices=devices) == []
