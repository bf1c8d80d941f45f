"""The two observed assets: their tables, and what changes their data version."""

from dataclasses import replace

import dagster as dg
import pytest

from platform_assets import keys
from platform_assets.infrastructure import gpu_inventory, host_facts
from platform_assets.infrastructure.gpus import gpus
from resources.host import Room
from tests.recorded_hosts import recorded_host


def observed(asset, host):
    """Observe once; return the run and what it observed."""
    job = dg.define_asset_job("look", selection=[asset.key])
    defs = dg.Definitions([asset], jobs=[job], resources={"host": host})
    done = defs.resolve_job_def("look").execute_in_process(raise_on_error=False)
    seen = done.filter_events(lambda event: event.event_type_value == "ASSET_OBSERVATION")
    return done, [event.event_specific_data.asset_observation for event in seen]


def test_the_gpus_of_the_workstation(tmp_path):
    done, (seen,) = observed(
        gpu_inventory.gpu_inventory, recorded_host("two_gpu_workstation", tmp_path)
    )
    assert done.success
    assert seen.asset_key == keys.GPU_INVENTORY
    assert [record.data for record in seen.metadata["gpus"].records] == [
        {
            "address": "0000:01:00.0",
            "name": "NVIDIA GA102 [GeForce RTX 3090]",
            "ids": "10de:2204",
            "driver": "vfio-pci",
            "IOMMU group": "13",
            "shared with": "0000:01:00.1",
            "held by": "nobody seen",
        },
        {
            "address": "0000:21:00.0",
            "name": "NVIDIA GA102 [GeForce RTX 3090]",
            "ids": "10de:2204",
            "driver": "vfio-pci",
            "IOMMU group": "27",
            "shared with": "0000:21:00.1",
            "held by": "nobody seen",
        },
        {
            "address": "0000:41:00.0",
            "name": "AMD Ellesmere [Radeon RX 470/480/570/570X/580/580X/590]",
            "ids": "1002:67df",
            "driver": "amdgpu",
            "IOMMU group": "44",
            "shared with": "nothing",
            "held by": "nobody seen",
        },
    ]


def test_a_shared_group_and_a_holder_are_shown(tmp_path):
    _, (seen,) = observed(gpu_inventory.gpu_inventory, recorded_host("shared_group", tmp_path))
    rows = [record.data for record in seen.metadata["gpus"].records]
    assert [(row["shared with"], row["held by"]) for row in rows] == [
        ("0000:04:00.0, 0000:06:00.1, 0000:05:00.0 (not its own)", "nobody seen"),
        ("0000:0a:00.1", "qemu-system-x86 (3100)"),
    ]


def test_without_sysfs_there_is_no_inventory(tmp_path):
    host = recorded_host("shared_group", tmp_path)
    (tmp_path / "sys/bus").rename(tmp_path / "sys/gone")
    done, seen = observed(gpu_inventory.gpu_inventory, host)
    assert not done.success
    assert seen == []
    (failure,) = done.filter_events(lambda event: event.is_step_failure)
    assert "cannot tell which GPUs there are: " in str(failure.step_failure_data)


def test_the_host_is_shown_with_its_floors(tmp_path):
    done, (seen,) = observed(host_facts.host_facts, recorded_host("nouveau_bound", tmp_path))
    assert done.success
    assert seen.metadata["failing"].value == 7
    assert seen.metadata["unread"].value == "none"
    first = seen.metadata["floors"].records[0].data
    assert first == {
        "floor": "CPU cores",
        "verdict": "holds",
        "wanted": "16 logical",
        "found": "32 (AMD Ryzen 9 7950X 16-Core Processor)",
        "what to do": "",
    }


def test_an_unread_fact_is_shown_in_the_observation(tmp_path):
    host = recorded_host("nouveau_bound", tmp_path)
    (tmp_path / "proc/meminfo").write_text("MemTo")
    _, (seen,) = observed(host_facts.host_facts, host)
    assert seen.metadata["unread"].value == (
        "memory_gib: /proc/meminfo: expected `MemTotal: … kB`, found 'MemTo'"
    )


@pytest.fixture
def facts(tmp_path):
    return recorded_host("two_gpu_workstation", tmp_path).facts()


def test_free_room_does_not_change_the_hosts_version(facts):
    fuller = replace(facts, image_room=Room("/", 1832.7, 0.1))
    assert host_facts.data_version(fuller) == host_facts.data_version(facts)


def test_another_kernel_does(facts):
    assert host_facts.data_version(replace(facts, kernel="6.13.0")) != host_facts.data_version(
        facts
    )


def test_another_driver_changes_the_inventorys_version(facts):
    bound = tuple(
        replace(one, driver="nouveau") if one.address == "0000:01:00.0" else one
        for one in facts.pci_devices
    )
    before = gpu_inventory.data_version(gpus(facts, None))
    assert gpu_inventory.data_version(gpus(replace(facts, pci_devices=bound), None)) != before
