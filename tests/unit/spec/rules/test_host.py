"""What the host can carry, and what must stand on it when clusters take turns."""

import pytest

from platform_assets.spec.rules import host
from platform_assets.spec.rules.grounds import HostCapacity
from tests.unit.spec.rules.gpu_estates import estate, function, machine, said


def sized(name, cores, memory, disk, *functions):
    return machine(name, *functions, cpu_cores=cores, memory_gb=memory, disk_gb=disk)


# The four machines of the cloud cluster as its documents list them: 36 cores, 92 GiB, 900 GiB.
CONTROL = sized("control-plane-1", 6, 12, 150)
WORKERS = [
    sized("cpu-worker-1", 6, 16, 150),
    sized("gpu-worker-1", 12, 32, 300, function("0000:65:00.0")),
    sized("gpu-worker-2", 12, 32, 300, function("0000:ca:00.0")),
]
CLOUD = {"control_plane": [CONTROL], "workers": WORKERS}
SMALLEST = {"cpu_cores": 16, "memory_gb": 64, "disk_gb": 800, "gpus": 2}
REQUIRED = {"cpu_cores": 40, "memory_gb": 96, "disk_gb": 1000, "gpus": 2}


def test_the_smallest_host_does_not_carry_the_documents_cluster():
    assert said(host.host_capacity, estate(cloud=CLOUD, host=SMALLEST)) == [
        (
            "error",
            "host-capacity",
            "host.cpu_cores",
            (
                "machines of cloud want 36 cores, but the host has 12 cores for machines "
                "(16 less 4 kept): 24 cores too many"
            ),
            "promise more with host.overcommit.cpu: 3; or make machines fewer or smaller",
        ),
        (
            "error",
            "host-capacity",
            "host.memory_gb",
            (
                "machines of cloud want 92 GiB memory, but the host has 60 GiB memory for "
                "machines (64 less 4 kept): 32 GiB memory too much"
            ),
            "make machines fewer or smaller",
        ),
        (
            "error",
            "host-capacity",
            "host.disk_gb",
            (
                "all disks want 900 GiB disk, but the host has 700 GiB disk for machines "
                "(800 less 100 kept): 200 GiB disk too much"
            ),
            "promise more with host.overcommit.disk: 1.29; or make machines fewer or smaller",
        ),
    ]


def test_the_required_host_carries_it_exactly():
    assert said(host.host_capacity, estate(cloud=CLOUD, host=REQUIRED)) == []


def test_overcommit_makes_room():
    overcommit = {"cpu": 3, "memory": 1.54, "disk": 1.29}
    declared = estate(cloud=CLOUD, host=SMALLEST | {"overcommit": overcommit})
    assert said(host.host_capacity, declared) == []
    little = estate(cloud=CLOUD, host=SMALLEST | {"overcommit": overcommit | {"cpu": 2}})
    (found,) = said(host.host_capacity, little)
    assert found[3] == (
        "machines of cloud want 36 cores, but the host has 24 cores for machines "
        "(16 less 4 kept, times 2): 12 cores too many"
    )


def test_turns_are_advised_where_each_cluster_fits_alone():
    compute = [sized("compute-1", 30, 60, 50)]
    both = estate(compute=compute, cloud=CLOUD, host=REQUIRED)
    found = said(host.host_capacity, both)
    assert [each[2] for each in found] == ["host.cpu_cores", "host.memory_gb", "host.disk_gb"]
    assert found[0][3:] == (
        (
            "machines of hpc and cloud want 66 cores, but the host has 36 cores for machines "
            "(40 less 4 kept): 30 cores too many"
        ),
        (
            "let the clusters take turns with `mode: sequential`; or promise more with "
            "host.overcommit.cpu: 1.84; or make machines fewer or smaller"
        ),
    )
    # Disks stay when a cluster stops: turns are no remedy, and both modes want the same.
    assert "sequential" not in found[2][4]
    (disk,) = said(host.host_capacity, both.model_copy(update={"mode": "sequential"}))
    assert disk[3] == found[2][3]


def test_turns_are_no_remedy_where_a_cluster_does_not_fit_alone():
    compute = [sized("compute-1", 37, 60, 50)]
    found = said(host.host_capacity, estate(compute=compute, cloud=CLOUD, host=REQUIRED))
    assert [("sequential" in each[4]) for each in found] == [False, True, False]


def test_gpus_are_never_promised_twice():
    declared = estate(cloud=CLOUD, host=REQUIRED | {"gpus": 1})
    assert said(host.host_capacity, declared) == [
        (
            "error",
            "host-capacity",
            "host.gpus",
            "machines of cloud want 2 GPUs, but the host has 1 GPU: 1 GPU too many",
            "give fewer GPUs away",
        )
    ]


def test_what_the_estate_leaves_out_is_read_from_the_host():
    read = HostCapacity(cpu_cores=8, memory_gib=2000, disk_gib=9000, gpus=2)
    (found,) = said(host.host_capacity, estate(cloud=CLOUD), capacity=read)
    assert found[2:4] == (
        "clusters.cloud",
        (
            "machines of cloud want 36 cores, but the host has 4 cores for machines "
            "(8 less 4 kept): 32 cores too many"
        ),
    )
    assert (
        said(host.host_capacity, estate(cloud=CLOUD, host={"cpu_cores": 99}), capacity=read) == []
    )


def test_what_nobody_knows_is_not_judged():
    assert said(host.host_capacity, estate(cloud=CLOUD, host={"cpu_cores": 40})) == [
        (
            "note",
            "host-capacity",
            "host",
            "not checked: it is not known what the host has of memory, disk, GPUs",
            "declare host.memory_gb, host.disk_gb, host.gpus, or ask with --host on the host",
        )
    ]
    assert said(host.host_capacity, estate()) == []


def test_a_host_smaller_than_its_reserve_has_nothing():
    (found,) = said(host.host_capacity, estate([machine("w")], host=REQUIRED | {"cpu_cores": 2}))
    assert found[3:] == (
        (
            "machines of cloud want 4 cores, but the host has 0 cores for machines "
            "(2 less 4 kept): 4 cores too many"
        ),
        "make machines fewer or smaller",
    )


TURNS = {"mode": "sequential", "compute": [machine("c")], "workers": [machine("w")]}


@pytest.mark.parametrize(
    ("key", "place", "message"),
    [
        (
            "object_store",
            "cloud",
            (
                "the object store stands on cloud (minio), which is down while hpc runs "
                "(`mode: sequential`)"
            ),
        ),
        (
            "registry",
            "cloud",
            (
                "the registry stands on cloud (mlflow), which is down while hpc runs "
                "(`mode: sequential`)"
            ),
        ),
        (
            "checkpoint_root",
            "hpc",
            (
                "the checkpoint root stands on hpc, which is down while cloud runs "
                "(`mode: sequential`)"
            ),
        ),
    ],
)
def test_in_turns_a_store_on_a_cluster_is_told(key, place, message):
    cloud = {"mlops": {"minio": {}, "seaweedfs": {"enabled": False}, "mlflow": {}}}
    declared = estate(**TURNS, cloud=cloud, placement={key: place})
    remedy = f"set placement.{key}: host, or `mode: concurrent`"
    expected = [("error", "sequential-store", f"placement.{key}", message, remedy)]
    assert said(host.sequential_store, declared) == expected


def test_services_that_are_off_are_not_named():
    off = {"enabled": False}
    cloud = {"mlops": {"minio": off, "seaweedfs": off, "mlflow": off}}
    places = {"object_store": "cloud", "registry": "cloud"}
    found = said(host.sequential_store, estate(**TURNS, cloud=cloud, placement=places))
    assert [each[3] for each in found] == [
        "the object store stands on cloud, which is down while hpc runs (`mode: sequential`)",
        "the registry stands on cloud, which is down while hpc runs (`mode: sequential`)",
    ]


def test_stores_on_the_host_or_clusters_that_stay_up_pass():
    assert said(host.sequential_store, estate(**TURNS)) == []
    cloud = {"object_store": "cloud", "registry": "cloud", "checkpoint_root": "hpc"}
    together = estate(**TURNS | {"mode": "concurrent"}, placement=cloud)
    assert said(host.sequential_store, together) == []
    single = estate([machine("w")], mode="sequential", placement={"object_store": "cloud"})
    assert said(host.sequential_store, single) == []


def test_nodes_below_what_kubernetes_needs_are_told():
    cloud = {"control_plane": [sized("cp", 1, 1.5, 10)], "workers": [sized("w", 1, 0.5, 20)]}
    declared = estate(cloud=cloud)
    control, worker = "clusters.cloud.control_plane[0]", "clusters.cloud.workers[0]"
    rule = "node-too-small"
    assert said(host.node_sizes, declared) == [
        (
            "warning",
            rule,
            f"{control}.cpu_cores",
            "cloud/cp has 1 core; a control plane needs 2 cores",
            "raise cpu_cores",
        ),
        (
            "warning",
            rule,
            f"{control}.memory_gb",
            "cloud/cp has 1.5 GiB memory; a control plane needs 2 GiB",
            "raise memory_gb",
        ),
        (
            "warning",
            rule,
            f"{control}.disk_gb",
            "cloud/cp has 10 GiB disk; a control plane needs 20 GiB",
            "raise disk_gb",
        ),
        (
            "warning",
            rule,
            f"{worker}.memory_gb",
            "cloud/w has 0.5 GiB memory; a worker needs 1 GiB",
            "raise memory_gb",
        ),
    ]
    assert said(host.node_sizes, estate(compute=[sized("c", 1, 0.5, 5)], cloud=CLOUD)) == []
    enough = {"control_plane": [sized("cp", 2, 2, 20)], "workers": [sized("w", 1, 1, 20)]}
    assert said(host.node_sizes, estate(cloud=enough)) == []
    (found,) = said(host.node_sizes, estate([sized("w", 1, 1, 19.5)]))
    assert found[3] == "cloud/w has 19.5 GiB disk; a worker needs 20 GiB"
