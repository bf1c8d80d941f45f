"""The JSON schema of the estate: fresh, and as wide as the loader."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from platform_assets.spec.canonical import canonical, effective
from platform_assets.spec.loading.load import load
from platform_assets.spec.migration import migrated
from platform_assets.spec.schema import estate_schema

PROJECT = Path(__file__).parents[3]
COMMITTED = PROJECT / "config" / "estate.schema.json"
TEMPLATES = sorted((PROJECT / "config" / "templates").glob("*.yaml"))
FOREIGN = sorted((PROJECT / "tests" / "fixtures" / "estates").glob("*.yaml"))


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft7Validator:
    schema = estate_schema()
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def problems(validator: jsonschema.Draft7Validator, declared: object) -> list[str]:
    return [f"{list(error.path)}: {error.message}" for error in validator.iter_errors(declared)]


def machine(**keys: object) -> dict[str, object]:
    worker = {"cpu_cores": 4, "memory_gb": 8, "disk_gb": 50, **keys}
    return {"metadata": {"name": "x"}, "clusters": {"cloud": {"workers": [worker]}}}


def test_the_committed_schema_is_fresh() -> None:
    renew = "`ai-how config schema > config/estate.schema.json` renews it"
    assert json.loads(COMMITTED.read_text()) == estate_schema(), renew
    assert COMMITTED.read_text() == json.dumps(estate_schema(), indent=1) + "\n", renew


@pytest.mark.parametrize(
    "file", [*TEMPLATES, PROJECT / "config/clusters/local.yaml"], ids=lambda file: file.stem
)
def test_what_we_ship_names_the_schema_and_agrees_with_it(
    validator: jsonschema.Draft7Validator, file: Path
) -> None:
    first = file.read_text().splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (file.parent / first.partition("=")[2]).resolve() == COMMITTED
    assert problems(validator, yaml.safe_load(file.read_text())) == []


@pytest.mark.parametrize("file", [*TEMPLATES, *FOREIGN], ids=lambda file: file.stem)
def test_every_form_that_we_write_agrees_with_it(
    validator: jsonschema.Draft7Validator, file: Path
) -> None:
    estate = load(file.read_bytes(), file.name, {}).estate
    assert estate is not None
    for declared in (canonical(estate), effective(estate), migrated(estate).declared):
        assert problems(validator, declared) == []
        assert problems(validator, yaml.safe_load(yaml.safe_dump(declared))) == []


@pytest.mark.parametrize(
    "declared",
    [
        {"name": "short"},
        machine(),  # a name is made
        machine(cpu_cores="4", memory_gb="8.5", auto_start="yes"),
        machine(cpu_cores="${CORES}", worker_type="${KIND:-gpu}", auto_start="${AUTO}"),
        machine(node_labels={"gpu": True, "size": 2}, node_taints=["a=b:NoSchedule"]),
        machine(
            pcie_passthrough={
                "devices": [{"pci_address": "0000:01:00.0", "vendor_id": 4318, "device_id": 0x2684}]
            }
        ),
        {"version": 1.0, "metadata": {"name": "x", "description": None}},
    ],
)
def test_what_the_loader_takes_is_not_underlined(
    validator: jsonschema.Draft7Validator, declared: object
) -> None:
    assert problems(validator, declared) == []


@pytest.mark.parametrize(
    ("declared", "wrong"),
    [
        ({}, "[]: {} is not valid under any of the given schemas"),
        (
            machine(memroy_gb=8),
            "Additional properties are not allowed ('memroy_gb' was unexpected)",
        ),
        (machine(cpu_cores=0), "0 is less than the minimum of 1"),
        (machine(cpu_cores="four"), "'four' does not match"),
        (machine(worker_type="tpu"), "'tpu' is not valid under any of the given schemas"),
        (machine(ip=["192.168.1.1"]), "['192.168.1.1'] is not of type"),
    ],
)
def test_mistakes_are_underlined(
    validator: jsonschema.Draft7Validator, declared: object, wrong: str
) -> None:
    [found] = problems(validator, declared)
    assert wrong in found


def test_every_key_is_described_with_its_unit() -> None:
    schema = estate_schema()
    parts = schema["$defs"]
    assert parts["Machine"]["properties"]["memory_gb"]["description"] == "Memory. Unit: GiB."
    assert parts["Volume"]["properties"]["retention"]["description"] == (
        "How long what it holds is kept. Unit: s m h d w y."
    )
    for name, part in parts.items():
        assert part.get("description"), name
        for key, value in part.get("properties", {}).items():
            assert "description" in value or "$ref" in value or "anyOf" in value, (name, key)


def test_a_literal_secret_is_no_key_of_its_own() -> None:
    assert list(estate_schema()["$defs"]["Secret"]["properties"]) == ["secret"]
