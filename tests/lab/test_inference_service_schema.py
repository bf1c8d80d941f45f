"""What we write for KServe, held against the schema of its own CRD: no key that it does not know.

The API server drops unknown keys without a word; so a misspelt one would only be seen by what it
fails to do. The CRD lies in the pinned Go module.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from platform_assets.serving.inference_service import (
    Version,
    inference_service,
    with_candidate,
    without_candidate,
)
from platform_assets.spec.model.services import Kserve
from platform_assets.spec.served_pods import ServedPods

MODULE = Path(__file__).parent / "go" / "kserve"
CRD = "config/crd/full/serving.kserve.io_inferenceservices.yaml"
KSERVE = Kserve.model_validate({"object_store": {"url": "http://10.213.0.1:8333"}})
ENTRIES: list[dict[str, Any]] = [
    {},
    {
        "runtime": "kserve-mlserver",
        "resources": {"requests": {"cpu": "500m"}, "limits": {"memory": "2Gi"}},
        "gpus": 1,
        "replicas": {"min": 2, "max": 4},
        "node_selector": {"zone": "a"},
        "tolerations": [{"key": "a", "effect": "NoExecute", "toleration_seconds": 3}],
    },
]


def closed(schema: Any) -> Any:
    """Return a structural schema in which keys that are not named are errors, not dropped."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    named = isinstance(schema.get("properties"), dict)
    if named and not schema.get("x-kubernetes-preserve-unknown-fields"):
        inner.setdefault("additionalProperties", False)
    return inner


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    told = subprocess.run(
        ["go", "mod", "download", "-json", "github.com/kserve/kserve"],
        cwd=MODULE,
        check=True,
        capture_output=True,
        timeout=300,
    )
    crd = yaml.load(
        (Path(json.loads(told.stdout)["Dir"]) / CRD).read_bytes(), Loader=yaml.CSafeLoader
    )
    [version] = [each for each in crd["spec"]["versions"] if each["name"] == "v1beta1"]
    schema = version["schema"]["openAPIV3Schema"]
    schema["properties"] = {"spec": schema["properties"]["spec"]}
    return jsonschema.Draft202012Validator(closed(schema["properties"]["spec"]))


def made(number: int, keys: dict[str, Any], *, recreate: bool) -> dict[str, Any]:
    digest = f"{number:064x}"
    version = Version(
        endpoint="digits",
        model="digits",
        version=str(number),
        tree_digest=digest,
        checkpoint="c",
        dagster_run="r",
        storage_uri=f"s3://models/models/digits/sha256-{digest}/",
    )
    entry = ServedPods.model_validate(keys)
    return inference_service(entry, KSERVE, version, estate="lab", recreate=recreate)


def wrong(validator: jsonschema.Draft202012Validator, manifest: dict[str, Any]) -> list[str]:
    return [f"{e.json_path}: {e.message}"[:300] for e in validator.iter_errors(manifest["spec"])]


@pytest.mark.parametrize("recreate", [False, True])
@pytest.mark.parametrize("keys", ENTRIES)
def test_kserve_knows_every_key(
    validator: jsonschema.Draft202012Validator, keys: dict[str, Any], recreate: bool
) -> None:
    live, wanted = made(1, keys, recreate=recreate), made(2, keys, recreate=recreate)
    both = with_candidate(live, wanted, pods=1, held=1)
    for manifest in (live, both, without_candidate(both, held=1)):
        assert wrong(validator, manifest) == []


def test_a_key_that_kserve_does_not_know_is_found(
    validator: jsonschema.Draft202012Validator,
) -> None:
    manifest = made(1, {}, recreate=False)
    manifest["spec"]["predictor"]["storageContainer"] = "x"
    manifest["spec"]["predictor"]["model"]["storageURI"] = "x"
    found = wrong(validator, manifest)
    assert any("'storageContainer' was unexpected" in each for each in found)
    assert any("'storageURI' was unexpected" in each for each in found)
