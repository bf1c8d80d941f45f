"""What differs between two estates by meaning."""

from hypothesis import given
from hypothesis import strategies as st

from platform_assets.spec.difference import Difference, differences
from platform_assets.spec.loading.load import load
from platform_assets.spec.model.estate import Estate


def estate(text: str) -> Estate:
    loaded = load(("metadata: {name: x}\n" + text).encode(), "x.yaml", {})
    assert loaded.findings == ()
    assert loaded.estate is not None
    return loaded.estate


def workers(*items: str) -> Estate:
    return estate(f"clusters: {{cloud: {{workers: [{', '.join(items)}]}}}}")


def worker(name: str, more: str = "", cores: int = 4) -> str:
    return f"{{name: {name}, cpu_cores: {cores}, memory_gb: 8, disk_gb: 50{more}}}"


def test_machines_are_matched_by_name() -> None:
    before = workers(worker("a"), worker("b"))
    after = workers(worker("c"), worker("b", cores=8), worker("a"))
    [changed, new] = differences(before, after)
    path = ("clusters", "cloud", "workers")
    assert changed == Difference((*path, "b", "cpu_cores"), 4, 8)
    assert (new.path, new.old) == ((*path, "c"), None)
    assert new.new["memory_gb"] == 8  # type: ignore[index]
    assert None not in new.new.values()  # type: ignore[attr-defined]


@given(st.permutations(["a", "b", "c", "d"]))
def test_the_order_of_what_has_a_name_does_not_matter(names: list[str]) -> None:
    before = workers(*(worker(name) for name in "abcd"))
    assert differences(before, workers(*(worker(name) for name in names))) == []


def test_machines_of_one_name_are_compared_in_their_order() -> None:
    before, after = workers(worker("a"), worker("a")), workers(worker("a"), worker("a", cores=5))
    [found] = differences(before, after)
    assert found.path == ("clusters", "cloud", "workers")


def test_spellings_of_the_same_are_no_difference() -> None:
    before = workers(
        worker(
            "a",
            ", mac: '52:54:00:AB:CD:EF', pcie_passthrough: {devices: ["
            "{pci_address: '41:00.0', vendor_id: '0x10DE', device_id: 2684}]}",
        )
    )
    after = workers(
        worker(
            "a",
            ", mac: 52-54-00-ab-cd-ef, pcie_passthrough: {enabled: true, devices: ["
            "{pci_address: '0000:41:00.0', vendor_id: 10de, device_id: '2684'}]}",
        )
    )
    assert differences(before, after) == []
    assert differences(estate("host: {memory_gb: 64}"), estate("host: {memory_gb: 64.0}")) == []
    assert differences(estate(""), estate("host: {}\nmode: concurrent")) == []


def test_a_series_is_not_its_first_release() -> None:
    before = estate("clusters: {cloud: {kubernetes: {version: v1.35}}}")
    after = estate("clusters: {cloud: {kubernetes: {version: 1.35.0}}}")
    path = ("clusters", "cloud", "kubernetes", "version")
    assert differences(before, after) == [Difference(path, "1.35", "1.35.0")]


def test_what_is_switched_on_by_being_there_is_a_difference() -> None:
    before = estate("clusters: {cloud: {mlops: {}}}")
    after = estate("clusters: {cloud: {mlops: {mlflow: {}}}}")
    [found] = differences(before, after)
    assert (found.path[-1], found.old) == ("mlflow", None)
    [found] = differences(after, before)
    assert (found.path[-1], found.new) == ("mlflow", None)


def test_a_difference_has_the_key_of_the_file_and_addresses_are_compared_in_one_form() -> None:
    storage = "clusters: {{cloud: {{mlops: {{minio: {{storage: {{class: {}}}}}}}}}}}"
    [found] = differences(estate(storage.format("a")), estate(storage.format("b")))
    assert found.path[-2:] == ("storage", "class")
    card = ", pcie_passthrough: {{devices: [{{pci_address: '0000:{}:00.0'}}]}}"
    upper, lower = (workers(worker("a", card.format(bus))) for bus in ("CA", "ca"))
    assert differences(upper, lower) == []


def test_sizes_are_compared_to_the_fraction() -> None:
    before, after = estate("host: {memory_gb: 1.25}"), estate("host: {memory_gb: 1.5}")
    assert differences(before, after) == [Difference(("host", "memory_gb"), 1.25, 1.5)]


def test_only_the_letter_before_a_version_means_nothing() -> None:
    text = "clusters: {{cloud: {{mlops: {{postgresql: {{version: '{}'}}}}}}}}"
    assert differences(estate(text.format("v15")), estate(text.format("15"))) == []
    name = "images: {{i: {{path: {}}}}}"
    assert len(differences(estate(name.format("v15")), estate(name.format("15")))) == 1
    [found] = differences(estate(text.format("15")), estate(text.format("25")))
    assert (found.old, found.new) == ("15", "25")


def test_a_literal_that_changes_is_a_difference_and_neither_is_shown() -> None:
    password = "clusters: {{cloud: {{mlops: {{mlflow: {{database: {{password: {}}}}}}}}}}}"
    before, after = estate(password.format("one")), estate(password.format("two"))
    [found] = differences(before, after)
    assert (found.old, found.new) == ("(literal, hidden)", "(another literal, hidden)")
    assert differences(before, before) == []


def test_the_order_of_name_servers_matters() -> None:
    network = "clusters: {{cloud: {{network: {{subnet: 10.0.0.0/24, dns_servers: [{}]}}}}}}"
    before, after = estate(network.format("1.1.1.1, 9.9.9.9")), estate(network.format("9.9.9.9"))
    assert differences(before, after) == [
        Difference(
            ("clusters", "cloud", "network", "dns_servers"), ["1.1.1.1", "9.9.9.9"], ["9.9.9.9"]
        )
    ]


def test_secrets_among_free_settings_are_hidden() -> None:
    settings = "clusters: {{hpc: {{slurm: {{accounting: {{token: {}, list: [{{a: {}}}]}}}}}}}}"
    before, after = estate(settings.format("one", 1)), estate(settings.format("two", 2))
    token, items = differences(before, after)
    assert (token.old, token.new) == ("(literal, hidden)", "(another literal, hidden)")
    assert (items.old, items.new) == ([{"a": "1"}], [{"a": "2"}])


def test_items_of_which_one_has_no_name_are_compared_as_they_stand() -> None:
    devices = "clusters: {{hpc: {{slurm: {{accounting: {{of: [{{name: a}}, {}]}}}}}}}}"
    before, after = estate(devices.format("{b: 1}")), estate(devices.format("{b: 2}"))
    [found] = differences(before, after)
    assert (found.path[-1], found.old) == ("of", [{"name": "a"}, {"b": "1"}])
