"""Each spelling found in documents and real files, and what it becomes."""

import json
from pathlib import Path

import pytest

from platform_assets.spec.loading.load import load
from tests.unit.spec.loading.declared import SIZE, SOUND, clusters, form, loaded, told

ESTATES = Path("tests/fixtures/estates")


def in_cloud(**declared):
    return {"metadata": {"name": "e"}, "clusters": {"cloud": declared}}


def test_the_short_form_at_the_top():
    assert form("name: local\ncheckpoint_root: c\nserving: s.yaml\n") == {
        "metadata": {"name": "local"},
        "checkpoint_root": "c",
        "serving": "s.yaml",
    }


@pytest.mark.parametrize("name", ["inference_cluster", "dual_stack"])
def test_estates_of_documents_load_as_they_are(name):
    result = load((ESTATES / f"{name}.yaml").read_bytes(), name, {})
    assert result.findings == ()
    assert result.estate is not None


def test_a_cluster_without_machines_is_a_cluster():
    estate = load((ESTATES / "inference_cluster.yaml").read_bytes(), "e", {}).estate
    assert estate.clusters.hpc.name == "training-cluster"
    assert [p.machine.name for p in estate.machines()] == [
        "control-plane-1",
        "cpu-worker-1",
        "gpu-worker-1",
        "gpu-worker-2",
    ]


def test_a_cluster_of_which_only_comments_stand_there_is_declared():
    assert form("name: e\nclusters:\n  hpc:\n    # later\n")["clusters"] == {"hpc": {}}


def test_groups_with_count_and_range_become_machines():
    estate = load((ESTATES / "dual_stack.yaml").read_bytes(), "e", {}).estate
    assert [(p.machine.name, p.machine.ip) for p in estate.machines()] == [
        ("controller", "192.168.100.10"),
        ("compute-1", "192.168.100.11"),
        ("compute-2", "192.168.100.12"),
        ("compute-3", "192.168.100.13"),
        ("compute-4", "192.168.100.14"),
        ("control-plane-1", "192.168.200.10"),
        ("cpu-worker-1", "192.168.200.11"),
        ("gpu-worker-1", "192.168.200.12"),
        ("gpu-worker-2", "192.168.200.13"),
        ("gpu-worker-3", "192.168.200.14"),
    ]
    assert estate.gpus.strategy == "hybrid"
    assert estate.clusters.cloud.network.bridge == "virbr200"


@pytest.mark.parametrize("holder", ["networks", "global"])
@pytest.mark.parametrize("key", ["hpc", "hpc_network"])
def test_networks_that_stand_elsewhere_come_to_their_cluster(holder, key):
    networks = {key: {"subnet": "10.0.0.0/24"}}
    declared = {
        "name": "e",
        holder: networks if holder == "networks" else {"networks": networks},
        "clusters": {"hpc": {"network": {"bridge": "br0"}}},
    }
    assert form(declared)["clusters"]["hpc"]["network"] == {
        "subnet": "10.0.0.0/24",
        "bridge": "br0",
    }


def test_a_network_without_its_cluster_is_told():
    assert told("name: e\nnetworks:\n  hpc: {subnet: 10.0.0.0/24}\n") == [
        (
            "network-without-cluster",
            "warning",
            3,
            "hpc: a network of the cluster hpc, which is not declared",
        )
    ]


@pytest.mark.parametrize(
    "network",
    [
        {"dns": {"enabled": "true", "nameservers": ["8.8.8.8"]}},
        {"dns": ["8.8.8.8"]},
        {"nameservers": ["8.8.8.8"]},
        {"dns_servers": ["8.8.8.8"]},
        {"dns_servers": ["8.8.8.8"], "dns": ["8.8.8.8"]},
    ],
)
def test_name_servers(network):
    found = clusters(hpc={"network": {"subnet": "10.0.0.0/24", **network}})
    assert found["hpc"]["network"]["dns_servers"] == ["8.8.8.8"]


def test_name_servers_that_are_off_are_none():
    dns = {"enabled": "false", "nameservers": ["8.8.8.8"]}
    found = clusters(hpc={"network": {"subnet": "10.0.0.0/24", "dns": dns}})
    assert "dns_servers" not in found["hpc"]["network"]


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ({"hostname": "a", "ip_address": "10.0.0.1"}, {"name": "a", "ip": "10.0.0.1"}),
        ({"name": "a", "hostname": "a", "ip": "10.0.0.1"}, {"name": "a", "ip": "10.0.0.1"}),
        ({"image_path": "i"}, {"name": "controller", "image": "i"}),
        ({"base_image_path": "i"}, {"name": "controller", "image": "i"}),
    ],
)
def test_spellings_of_a_machine(declared, expected):
    assert clusters(hpc={"controller": {**SIZE, **declared}}) == {
        "hpc": {"controller": {**SOUND, **expected}}
    }


def test_a_controller_may_be_a_list_of_one():
    assert clusters(hpc={"controller": [SIZE]})["hpc"]["controller"]["name"] == "controller"


@pytest.mark.parametrize("holder", ["cluster", "controller"])
def test_what_belongs_to_slurm_is_found_wherever_it_stands(holder):
    settings = {
        "slurm_config": {"partitions": ["gpu"], "container_registry": {"base_path": "/r"}},
        "slurm_accounting": {"storage_type": "mysql"},
        "enable_accounting": "true",
        "enable_database": "true",
        "database": {"database": "acct", "username": "s"},
    }
    controller = {**SIZE, **(settings if holder == "controller" else {})}
    found = clusters(hpc={"controller": controller, **(settings if holder == "cluster" else {})})[
        "hpc"
    ]
    assert found["container_registry"] == {"base_path": "/r"}
    assert found["slurm"] == {
        "partitions": ["gpu"],
        "enable_accounting": True,
        "enable_database": True,
        "accounting": {"storage_type": "mysql"},
        "database": {"name": "acct", "user": "s"},
    }


@pytest.mark.parametrize(
    ("workers", "names"),
    [
        ([], []),
        (None, []),
        ([SIZE, {**SIZE, "worker_type": "gpu"}], ["cpu-worker-1", "gpu-worker-1"]),
        ({"cpu": [SIZE], "gpu": [SIZE, SIZE]}, ["cpu-worker-1", "gpu-worker-1", "gpu-worker-2"]),
        ({"cpu_workers": [], "gpu_workers": [SIZE]}, ["gpu-worker-1"]),
        ({"cpu_workers": {**SIZE, "count": "2"}}, ["cpu-worker-1", "cpu-worker-2"]),
        ({"gpu": SIZE}, ["gpu-worker-1"]),
        ({**SIZE, "count": "2", "name": "node"}, ["node-1", "node-2"]),
        ([{**SIZE, "name": "cpu-worker-2"}, SIZE], ["cpu-worker-2", "cpu-worker-3"]),
        ([{**SIZE, "pcie_passthrough": {"devices": []}}], ["gpu-worker-1"]),
        ([{**SIZE, "pcie_passthrough": {"enabled": "false"}}], ["cpu-worker-1"]),
    ],
)
@pytest.mark.parametrize("key", ["workers", "worker_nodes"])
def test_workers_in_every_shape(key, workers, names):
    found = clusters(cloud={key: workers})
    assert [worker["name"] for worker in found["cloud"].get("workers", [])] == names


@pytest.mark.parametrize(
    ("given", "addresses"),
    [
        ("10.0.0.1-2", ["10.0.0.1", "10.0.0.2"]),
        ("10.0.0.255-10.0.1.0", ["10.0.0.255", "10.0.1.0"]),
        ("10.0.0.1 - 10.0.0.9", ["10.0.0.1", "10.0.0.2"]),
        (["10.0.0.5", "10.0.0.9"], ["10.0.0.5", "10.0.0.9"]),
    ],
)
def test_ranges_of_addresses(given, addresses):
    found = clusters(hpc={"compute_nodes": {**SIZE, "count": "2", "ip_range": given}})
    assert [node["ip"] for node in found["hpc"]["compute_nodes"]] == addresses


@pytest.mark.parametrize(
    ("given", "rule", "message"),
    [
        (
            {"count": "3", "ip_range": "10.0.0.1-2"},
            "range-too-short",
            "ip_range: expected 3 addresses, one for each machine, found 2",
        ),
        (
            {"count": "1", "ip_range": "10.0.0.9-2"},
            "range-malformed",
            "ip_range: the last address comes before the first",
        ),
        (
            {"count": "1", "ip_range": "10.0.0.9-999"},
            "range-malformed",
            "ip_range: expected IPv4 addresses as in 192.168.100.11-14",
        ),
        (
            {"count": "1", "ip_range": {"a": "b"}},
            "range-malformed",
            "ip_range: expected IPv4 addresses as in 192.168.100.11-14",
        ),
        ({"count": "some"}, "wrong-type", "count: expected a whole number, found 'some'"),
        ({"count": "-1"}, "wrong-type", "count: expected a whole number, found '-1'"),
        (
            {"count": "1000000000"},
            "out-of-bounds",
            "count: expected at most 1,000, found 1,000,000,000",
        ),
        ("several", "wrong-type", "compute_nodes: expected machines, found 'several'"),
    ],
)
def test_groups_that_cannot_be_counted(given, rule, message):
    group = json.dumps({**SIZE, **given} if isinstance(given, dict) else given)
    text = f"name: e\nclusters:\n  hpc:\n    compute_nodes: {group}\n"
    assert told(text) == [(rule, "error", 4, message)]


def test_machines_beyond_a_range_are_made_without_address():
    group = {**SIZE, "count": "3", "ip_range": "10.0.0.1-2"}
    estate = loaded({"name": "e", "clusters": {"hpc": {"compute_nodes": group}}}).estate
    assert [node.ip for node in estate.clusters.hpc.compute_nodes] == [
        "10.0.0.1",
        "10.0.0.2",
        None,
    ]


def test_a_control_plane_is_one_or_several():
    one = clusters(cloud={"control_plane": SIZE})["cloud"]["control_plane"]
    several = clusters(cloud={"control_plane": [SIZE, {**SIZE, "hostname": "b"}]})
    assert [machine["name"] for machine in one] == ["control-plane-1"]
    assert [m["name"] for m in several["cloud"]["control_plane"]] == ["control-plane-1", "b"]


def test_taints_as_text():
    worker = {**SIZE, "node_taints": ["nvidia.com/gpu=present:NoSchedule", "a:NoExecute"]}
    found = clusters(cloud={"workers": [worker]})["cloud"]["workers"][0]["node_taints"]
    assert found == [
        {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"},
        {"key": "a", "effect": "NoExecute"},
    ]


@pytest.mark.parametrize(
    "section", ["testing", "test_config", "validation", "timeouts", "build", "dependencies"]
)
def test_sections_of_test_tools_are_warned_of(section):
    message = f"{section}: belongs to a tool for tests or builds; nothing is made of it"
    found = [("foreign-section", "warning", 2, message)]
    assert told(f"name: e\n{section}: {{a: b}}\n") == found


def test_images_of_tests_are_warned_of():
    message = "containers: belongs to a tool for tests or builds; nothing is made of it"
    found = [("foreign-section", "warning", 2, message)]
    assert told("name: e\ncontainers: {test_images: [a]}\n") == found


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (
            "name: e\nglobal:\n  colour: red\n",
            ("unknown-key", "error", 3, "colour: unknown here"),
        ),
        (
            "name: e\nglobal: red\n",
            ("wrong-type", "error", 2, "global: expected something else here, found 'red'"),
        ),
        (
            "name: e\nnetworks: [a]\n",
            ("wrong-type", "error", 2, "networks: expected something else here, found a list"),
        ),
        (
            "name: e\nmetadata:\n  name: f\n",
            (
                "two-spellings",
                "error",
                1,
                "name: means the same as name in line 3, and differs from it",
            ),
        ),
        (
            (
                "name: e\nclusters: {hpc: {controller: {cpu_cores: 1, memory_gb: 1, disk_gb: 1,\n"
                "  name: a,\n  hostname: b}}}\n"
            ),
            (
                "two-spellings",
                "warning",
                4,
                "hostname: not used, for the machine has a name, and they differ",
            ),
        ),
        (
            "name: e\nclusters:\n  cloud:\n    workers:\n      gpu: []\n      tpu: []\n",
            ("unknown-key", "error", 6, "tpu: unknown beside groups of workers"),
        ),
        (
            "name: e\nclusters:\n  cloud:\n    mlops:\n      postgresql:\n        ha: some\n",
            ("wrong-type", "error", 6, "ha: expected `enabled: true` or `enabled: false`"),
        ),
        (
            (
                "name: e\nclusters:\n  cloud:\n    mlops:\n      serving:\n        kserve:\n"
                "          raw_deployment: some\n"
            ),
            ("wrong-type", "error", 7, "raw_deployment: expected true or false"),
        ),
    ],
)
def test_dialects_that_do_not_fit_are_told(text, finding):
    assert told(text) == [finding]


@pytest.mark.parametrize(
    ("given", "count", "told_of"),
    [
        ({"count": None}, 1, []),
        ({"count": "0"}, 0, []),
        ({"ip_range": None}, 1, []),
        ({"ip_range": "10.0.0.1-3"}, 3, []),
        ({"ip_range": "some"}, 1, ["range-malformed"]),
        ({"count": "1001"}, 0, ["out-of-bounds"]),
        ({"count": "several"}, 1, ["wrong-type"]),
    ],
)
def test_how_many_machines_a_group_has(given, count, told_of):
    group = json.dumps({**SIZE, **given})
    result = load(f"name: e\nclusters:\n  hpc:\n    compute_nodes: {group}\n".encode(), "e", {})
    assert [finding.rule for finding in result.findings] == told_of
    assert len(result.estate.clusters.hpc.compute_nodes) == count


def test_what_is_unknown_among_networks_is_told():
    text = "name: e\nclusters: {hpc: {}}\nnetworks:\n  hpc: {subnet: 10.0.0.0/24}\n  other: {}\n"
    (found,) = told(text)
    assert (found[0], found[2]) == ("unknown-key", 5)
    assert told("name: e\nnetworks:\n") == []


def test_name_servers_that_nobody_switched_on_or_off_are_taken():
    dns = {"nameservers": ["8.8.8.8"]}
    found = clusters(hpc={"network": {"subnet": "10.0.0.0/24", "dns": dns}})
    assert found["hpc"]["network"]["dns_servers"] == ["8.8.8.8"]


def test_a_controller_whose_name_is_empty_is_called_controller():
    assert clusters(hpc={"controller": {**SIZE, "name": None}}) == {
        "hpc": {"controller": {**SOUND, "name": "controller"}}
    }


def test_a_group_of_too_many_values_is_told_and_not_made():
    labels = {f"k{number}": "v" for number in range(250)}
    group = json.dumps({**SIZE, "count": "1000", "node_labels": labels})
    text = f"name: e\nclusters:\n  hpc:\n    compute_nodes: {group}\n"
    message = "count: 1,000 such machines are more than 200,000 values"
    assert told(text) == [("too-many-values", "error", 4, message)]


@pytest.mark.parametrize("cluster", ["hpc", "cloud"])
def test_sections_of_test_tools_are_found_in_clusters_too(cluster):
    (found,) = told(f"name: e\nclusters:\n  {cluster}:\n    testing: {{a: b}}\n")
    assert found[:3] == ("foreign-section", "warning", 4)
