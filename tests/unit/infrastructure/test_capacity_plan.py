"""The capacity plan as an asset: its table, its check, and what makes it out of date."""

import dagster as dg
import pytest

from platform_assets import keys
from platform_assets.infrastructure.capacity_plan import (
    capacity_plan_of,
    plan_markdown,
    plan_result,
)
from platform_assets.infrastructure.grounds import capacity_of, devices_of
from platform_assets.spec.canonical import canonical
from platform_assets.spec.capacity import capacity_plan
from platform_assets.spec.rules.grounds import HostCapacity, HostDevice
from tests.applied_estates import applied_estate
from tests.recorded_hosts import recorded_host
from tests.unit.spec.rules.gpu_estates import estate, machine

HOST = HostCapacity(cpu_cores=10, memory_gib=20, disk_gib=500, gpus=0)
BOTH = estate([machine("w-1"), machine("w-2", memory_gb=12)], [machine("c-1")])


def applied(declared, tmp_path):
    return applied_estate(tmp_path, declared=canonical(declared))


def test_the_plan_reads_well():
    assert plan_markdown(capacity_plan(BOTH, HOST)) == (
        "Mode concurrent: **it does not fit**. Scopes in italics belong to the other mode.\n\n"
        "| running | cores | memory, GiB | disk, GiB | GPUs |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| *for machines* | 6 | 16 | 400 | 0 |\n"
        "| *hpc alone* | 4, 2 left | 8, 8 left | 300, 100 left | 0, 0 left |\n"
        "| *cloud alone* | 8: **2 too many** | 20: **4 too much** | 300, 100 left | 0, 0 left |\n"
        "| hpc and cloud | 12: **6 too many** | 28: **12 too much** | 300, 100 left | 0, 0 left |"
        "\n\n"
        "| cluster | machine | role | cores | memory, GiB | disk, GiB | GPUs |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n"
        "| hpc | c-1 | compute | 4 | 8 | 100 | 0 |\n"
        "| cloud | w-1 | worker | 4 | 8 | 100 | 0 |\n"
        "| cloud | w-2 | worker | 4 | 12 | 100 | 0 |"
    )


def test_an_estate_without_machines_says_so():
    assert plan_markdown(capacity_plan(estate(), HOST)) == "No machines are declared."


@pytest.mark.parametrize(
    ("host", "passed", "severity", "words"),
    [
        (HostCapacity(40, 96, 1000, 2), True, dg.AssetCheckSeverity.ERROR, "it fits"),
        (HOST, False, dg.AssetCheckSeverity.ERROR, "it does not fit"),
        (None, False, dg.AssetCheckSeverity.WARN, "cannot tell whether it fits"),
    ],
)
def test_the_check_says_whether_it_fits(host, passed, severity, words):
    (check,) = plan_result(capacity_plan(BOTH, host)).check_results
    assert (check.passed, check.severity, check.description) == (passed, severity, words)


def test_what_nobody_knows_is_shown_as_such():
    shown = plan_markdown(capacity_plan(BOTH, HostCapacity(cpu_cores=40)))
    assert "| hpc and cloud | 12, 24 left | 28 of ? | 300 of ? | 0 of ? |" in shown


def test_the_asset_plans_for_the_host_that_it_is_given(tmp_path):
    host = recorded_host("two_gpu_workstation", tmp_path)
    asset = capacity_plan_of(applied(BOTH, tmp_path))
    done = dg.materialize([asset], resources={"host": host})
    (made,) = done.asset_materializations_for_node("infrastructure__capacity_plan")
    assert made.metadata["figures"].value["host"]["cpu_cores"]["total"] == 64
    (check,) = done.get_asset_check_evaluations()
    assert check.passed == made.metadata["figures"].value["fits"]
    assert asset.asset_deps[keys.CAPACITY_PLAN] == {keys.ESTATE, keys.HOST_FACTS}


def test_only_what_decides_the_plan_makes_it_out_of_date(tmp_path):
    def version(declared):
        return capacity_plan_of(applied(declared, tmp_path)).code_versions_by_key[
            keys.CAPACITY_PLAN
        ]

    described = BOTH.model_copy(update={"serving": "config/other.yaml"})
    assert version(described) == version(BOTH)
    assert version(BOTH.model_copy(update={"mode": "sequential"})) != version(BOTH)
    assert version(estate([machine("w-1")])) != version(BOTH)


def test_the_hosts_devices_are_told_apart(tmp_path):
    hardware = recorded_host("two_gpu_workstation", tmp_path).hardware()
    devices = {device.address: device for device in devices_of(hardware)}
    card, sound = devices["0000:01:00.0"], devices["0000:01:00.1"]
    assert card == HostDevice("0000:01:00.0", "10de", "2204", is_gpu=True, iommu_group=13)
    assert (sound.is_gpu, sound.is_audio, sound.is_bridge) == (False, True, False)
    assert capacity_of(hardware).gpus == 3


def test_what_cannot_be_read_of_the_host_leaves_the_rest(tmp_path):
    host = recorded_host("two_gpu_workstation", tmp_path)
    (tmp_path / "proc/meminfo").write_text("MemTo")
    (tmp_path / "sys/bus").rename(tmp_path / "sys/gone")
    found = capacity_of(host.hardware())
    assert (found.cpu_cores, found.memory_gib, found.gpus) == (64, None, None)
    assert devices_of(host.hardware()) is None
