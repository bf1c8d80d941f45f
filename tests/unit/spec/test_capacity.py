"""What fits on the host: sums, order, and that more machines never fit better."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from platform_assets.spec.capacity import CapacityPlan, Resource, capacity_plan
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.rules.grounds import HostCapacity
from tests.unit.spec.rules.gpu_estates import estate, function, machine

HOST = HostCapacity(cpu_cores=40, memory_gib=96, disk_gib=1000, gpus=2)

amounts = st.floats(0.1, 500, allow_nan=False)
hosts = st.builds(
    HostCapacity,
    cpu_cores=st.integers(1, 256),
    memory_gib=amounts,
    disk_gib=st.floats(1, 5000, allow_nan=False),
    gpus=st.integers(0, 8),
)


@st.composite
def machines(draw: st.DrawFn, prefix: str) -> list[dict[str, Any]]:
    many = draw(st.integers(0, 6))
    return [
        machine(
            f"{prefix}-{number}",
            *[function(f"0000:{number:02x}:{gpu:02x}.0") for gpu in range(draw(st.integers(0, 2)))],
            cpu_cores=draw(st.integers(1, 64)),
            memory_gb=draw(amounts),
            disk_gb=draw(amounts),
        )
        for number in range(many)
    ]


@st.composite
def estates(draw: st.DrawFn) -> Estate:
    device = {"model": "A100 40GB", "mig_capable": True}
    slices = {"hpc": draw(st.integers(0, 9)), "cloud": draw(st.integers(0, 9))}
    gpus = {
        "devices": [device | {"id": f"GPU-{n}"} for n in range(draw(st.integers(0, 3)))],
        "strategy": "hybrid",
        "mig_slices": slices,
        "whole_gpus": {"hpc": draw(st.integers(0, 2)), "cloud": draw(st.integers(0, 2))},
    }
    overcommit = {"cpu": draw(st.floats(1, 16)), "memory": draw(st.floats(1, 2))}
    return estate(
        draw(machines("worker")),
        draw(machines("compute")),
        mode=draw(st.sampled_from(["concurrent", "sequential"])),
        host={"overcommit": overcommit},
        gpus=draw(st.sampled_from([None, gpus])),
    )


def wanted(plan: CapacityPlan, name: str) -> dict[Resource, float]:
    scope = next(scope for scope in plan.scopes if scope.name == name)
    return {share.resource: share.wanted for share in scope.shares}


@given(estates(), hosts)
def test_both_want_what_each_wants_and_disks_stay(declared, host):
    plan = capacity_plan(declared, host)
    if len(plan.scopes) < 3:
        return
    hpc, cloud = wanted(plan, "hpc alone"), wanted(plan, "cloud alone")
    both = wanted(plan, "hpc and cloud")
    for resource in (Resource.CPU, Resource.MEMORY):
        assert abs(both[resource] - hpc[resource] - cloud[resource]) < 1e-6
    assert both[Resource.DISK] == hpc[Resource.DISK] == cloud[Resource.DISK]
    # Slices of both clusters may lie on one GPU.
    assert max(hpc[Resource.GPU], cloud[Resource.GPU]) <= both[Resource.GPU]
    assert both[Resource.GPU] <= hpc[Resource.GPU] + cloud[Resource.GPU]


@given(estates(), hosts, st.randoms())
def test_the_order_of_machines_does_not_matter(declared, host, random):
    hpc, cloud = declared.clusters.hpc, declared.clusters.cloud
    changed = {}
    if hpc is not None:
        nodes = random.sample(hpc.compute_nodes, len(hpc.compute_nodes))
        changed["hpc"] = hpc.model_copy(update={"compute_nodes": tuple(nodes)})
    if cloud is not None:
        nodes = random.sample(cloud.workers, len(cloud.workers))
        changed["cloud"] = cloud.model_copy(update={"workers": tuple(nodes)})
    shuffled = declared.model_copy(
        update={"clusters": declared.clusters.model_copy(update=changed)}
    )
    assert capacity_plan(shuffled, host).scopes == capacity_plan(declared, host).scopes


@given(estates(), hosts, st.tuples(st.integers(1, 64), amounts, amounts, st.integers(0, 2)))
def test_one_machine_more_never_fits_better(declared, host, size):
    cores, memory, disk, gpus = size
    before = capacity_plan(declared, host)
    devices = [function(f"0000:ff:{gpu:02x}.0") for gpu in range(gpus)]
    more = estate(
        [machine("one-more", *devices, cpu_cores=cores, memory_gb=memory, disk_gb=disk)]
    ).clusters.cloud
    cloud = declared.clusters.cloud
    grown = (
        more
        if cloud is None
        else cloud.model_copy(update={"workers": cloud.workers + more.workers})
    )
    after = capacity_plan(
        declared.model_copy(
            update={"clusters": declared.clusters.model_copy(update={"cloud": grown})}
        ),
        host,
    )
    left = {
        (scope.name, share.resource): share.left
        for scope in before.scopes
        for share in scope.shares
    }
    for scope in after.scopes:
        for share in scope.shares:
            assert share.left <= left.get((scope.name, share.resource), share.left)
    assert after.fits is False or before.fits is True


@given(estates(), hosts)
def test_what_is_said_to_fit_fits(declared, host):
    plan = capacity_plan(declared, host)
    over, reserve = declared.host.overcommit, declared.host.reserve
    cores = max(host.cpu_cores - reserve.cpu_cores, 0) * over.cpu
    memory = max(host.memory_gib - reserve.memory_gb, 0) * over.memory
    clusters = {placed.cluster for placed in declared.machines()}
    running = [clusters] if declared.mode == "concurrent" else [{each} for each in clusters]
    if plan.fits:
        for up in running:
            there = [each.machine for each in declared.machines() if each.cluster in up]
            assert sum(each.cpu_cores for each in there) <= cores
            assert sum(each.memory_gb for each in there) <= memory * (1 + 1e-9)
        assert sum(each.machine.disk_gb for each in declared.machines()) <= host.disk_gib
    else:
        assert any(
            share.left < 0 for scope in plan.scopes if scope.judged for share in scope.shares
        )


def test_the_mode_says_which_scopes_are_judged():
    both = {"workers": [machine("w")], "compute": [machine("c")]}
    judged = {
        mode: [
            scope.name
            for scope in capacity_plan(estate(**both, mode=mode), HOST).scopes
            if scope.judged
        ]
        for mode in ("concurrent", "sequential")
    }
    assert judged == {"concurrent": ["hpc and cloud"], "sequential": ["hpc alone", "cloud alone"]}
    (only,) = capacity_plan(estate([machine("w")]), HOST).scopes
    assert (only.name, only.judged) == ("cloud alone", True)


def test_the_estates_word_on_the_host_counts_before_the_hosts_own():
    plan = capacity_plan(estate([machine("w")], host={"cpu_cores": 10}), HOST)
    cores, memory, *_ = plan.host
    assert (cores.total, cores.source, cores.available) == (10, "estate", 6)
    assert (memory.total, memory.source, memory.available) == (96, "host", 92)


def test_listed_gpus_are_counted_where_nothing_else_says_how_many():
    gpus = {"devices": [{"id": "a"}, {"id": "b"}, {"id": "c"}]}
    assert capacity_plan(estate(gpus=gpus), None).host[3].total == 3
    assert capacity_plan(estate(gpus=gpus, host={"gpus": 4}), None).host[3].total == 4


def test_slices_count_the_gpus_that_are_divided():
    device = {"model": "A100 40GB", "mig_capable": True}
    gpus = {
        "devices": [device | {"id": "GPU-0"}, {"id": "GPU-1"}],
        "strategy": "hybrid",
        "mig_slices": {"hpc": 4, "cloud": 3},
        "whole_gpus": {"cloud": 1},
    }
    plan = capacity_plan(estate([machine("w")], [machine("c")], gpus=gpus), None)
    assert wanted(plan, "hpc alone")[Resource.GPU] == 1
    assert wanted(plan, "cloud alone")[Resource.GPU] == 2
    assert wanted(plan, "hpc and cloud")[Resource.GPU] == 2


def test_what_nobody_wants_fits_on_any_host():
    plan = capacity_plan(estate([machine("w")]), None)
    fits = {share.resource: share.fits for share in plan.scopes[0].shares}
    assert fits == {
        Resource.CPU: None,
        Resource.MEMORY: None,
        Resource.DISK: None,
        Resource.GPU: True,
    }
    assert plan.fits is None
    assert capacity_plan(estate(), None).fits is True


def test_a_plan_fits_where_everything_is_known_and_enough() -> None:
    host = {"cpu_cores": 64, "memory_gb": 256, "disk_gb": 4000, "gpus": 0}
    plan = capacity_plan(estate([machine("w")], host=host), None)
    assert [scope.fits for scope in plan.scopes] == [True]
    assert plan.fits is True
    plan = capacity_plan(estate([machine("w")], host=host | {"cpu_cores": 5}), None)
    assert [scope.fits for scope in plan.scopes] == [False]
    assert plan.fits is False


def test_clusters_that_take_turns_need_not_fit_together() -> None:
    host = {"cpu_cores": 10, "memory_gb": 256, "disk_gb": 4000, "gpus": 0}
    both = estate([machine("w")], [machine("c")], host=host)
    assert capacity_plan(both, None).fits is False
    assert capacity_plan(both.model_copy(update={"mode": "sequential"}), None).fits is True
