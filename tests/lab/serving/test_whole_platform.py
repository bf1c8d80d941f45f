"""The whole platform, serving on Kubernetes: a person seals a checkpoint, sensors do the rest."""

import json
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import yaml
from sklearn.datasets import load_digits

from ai_how.build import connections
from platform_assets.lineage.deployments import deployed
from tests.integration.conftest import Installation, installation  # noqa: F401 - a fixture
from tests.lab.inference_services import ensure_account_of
from tests.lab.kserve_lab import KserveLab
from tests.lab.serving.conftest import PODS
from tests.sample_checkpoints import mlflow_checkpoint

DELIVERED_S = 180.0
ENDPOINT = "numbers"
SECRET = "whole-platform"


def estate_of(platform: Installation, kserve_lab: KserveLab, store: str) -> str:
    """Return an estate whose models are served by the lab's KServe."""
    kserve = {
        "managed": False,
        "images": {"storage_container": kserve_lab.storage_container.pinned},
        "object_store": {"url": store, "secret": SECRET},
        "inference_services": {"namespace": "default"},
    }
    declared = {
        "name": "on-lab",
        "checkpoint_root": str(platform.checkpoint_root),
        "serving": str(platform.serving_file),
        "placement": {"serving": "kubernetes"},
        "clusters": {
            "cloud": {
                "kubernetes": {"kubeconfig": str(kserve_lab.lab.kubeconfig)},
                "mlops": {"serving": {"kserve": kserve}},
            }
        },
    }
    return yaml.safe_dump(declared)


@pytest.fixture(scope="module")
def platform(installation, kserve_lab: KserveLab) -> Iterator[Installation]:  # noqa: F811
    """The platform, first as it comes up by itself, then told of the cluster."""
    one = installation()
    one.serving_file.write_text(
        yaml.safe_dump({"models": {"digits": {"endpoint": ENDPOINT, "gpus": 1, **PODS}}})
    )
    up = one.run("up")
    assert up.returncode == 0, up.stdout + up.stderr
    port = urlsplit(one.applied.addresses.s3_url).port
    store = kserve_lab.lab.relay(port)
    ensure_account_of(kserve_lab, SECRET, store, one.applied.secrets / "s3-reader.json")
    one.estate_file.write_text(estate_of(one, kserve_lab, store))
    applied = one.run("config", "apply")
    assert applied.returncode == 0, applied.stdout + applied.stderr
    yield one
    connections(one.applied).provider.withdraw(ENDPOINT)
    kserve_lab.lab.servers.stop(f"relay-{port}")


def wait_for(platform, what, question):
    end = time.monotonic() + DELIVERED_S
    while not (answer := question()):
        if time.monotonic() > end:
            told = platform.run("checkpoint", "list").stdout
            log = (platform.state / "logs" / "code-server.log").read_text()[-3000:]
            pytest.fail(f"not within {DELIVERED_S} s: {what}\n{told}\n{log}")
        time.sleep(0.5)
    return answer


def test_a_sealed_checkpoint_becomes_an_endpoint_that_proves_its_bytes(platform) -> None:
    connected = connections(platform.applied)
    mlflow_checkpoint(platform.checkpoint_root, "digits", "one", seed=1)
    begun = time.monotonic()
    wait_for(platform, "deployed", lambda: deployed(connected.ledger, ENDPOINT))
    print(f"sealed to deployed in {time.monotonic() - begun:.1f} s")
    images, labels = load_digits(return_X_y=True)
    rows = {"name": "input-0", "shape": [5, 64], "datatype": "FP64"}
    request = {"inputs": [{**rows, "data": images[:5].flatten().tolist()}]}
    answering = connected.provider.answering(ENDPOINT)
    answer = answering.server.infer(answering.name, request)
    assert list(answer["outputs"][0]["data"]) == labels[:5].tolist()

    verified = platform.run("lineage", "endpoint", ENDPOINT, "--verify", "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    hops = {hop["hop"]: hop for hop in json.loads(verified.stdout)["hops"]}
    assert set(hops) == {"checkpoint root", "object store", "registry", "model server"}

    listed = platform.run("endpoint", "list", "--json")
    assert listed.returncode == 0, listed.stdout + listed.stderr
    (one,) = [each for each in json.loads(listed.stdout) if each["endpoint"] == ENDPOINT]
    assert one["agrees"], one


def test_people_pause_roll_back_and_delete(platform) -> None:
    connected = connections(platform.applied)
    mlflow_checkpoint(platform.checkpoint_root, "digits", "two", seed=2)
    wait_for(
        platform, "version 2 deployed", lambda: deployed(connected.ledger, ENDPOINT).version == "2"
    )
    back = platform.run("endpoint", "rollback", ENDPOINT, "--reason", "slow", "--by", "ada")
    assert back.returncode == 0, back.stdout + back.stderr
    assert deployed(connected.ledger, ENDPOINT).version == "1"
    gone = platform.run("endpoint", "delete", ENDPOINT, "--confirm", ENDPOINT)
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert connected.provider.told(ENDPOINT) is None
