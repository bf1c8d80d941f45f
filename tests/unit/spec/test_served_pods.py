"""What an endpoint's pods are like: what the serving file may say, and how a mistake reads."""

from pathlib import Path

import pytest

from platform_assets.spec.served_pods import PodResources, Replicas, Rollout, Toleration
from platform_assets.spec.serving import ServedModel, ServingRefused, read_serving

WHOLE = """\
models:
  a:
    endpoint: a
    runtime: kserve-mlserver
    resources:
      requests: {cpu: 2, memory: 2Gi, example.com/fpga: 1}
      limits: {cpu: 2.5, memory: 4Gi, example.com/fpga: "1"}
    gpus: 2
    replicas: {min: 1, max: 3}
    node_selector: {disk: ssd, example.com/zone: ""}
    tolerations:
      - {key: dedicated, value: models, effect: NoSchedule}
      - {key: node.kubernetes.io/unreachable, effect: NoExecute, toleration_seconds: 30}
    rollout: {without_spare: recreate}
"""


def read(tmp_path: Path, text: str) -> ServedModel:
    file = tmp_path / "serving.yaml"
    file.write_text(text)
    return read_serving(file).models["a"]


def test_a_whole_entry_is_read(tmp_path: Path) -> None:
    entry = read(tmp_path, WHOLE)
    assert (entry.runtime, entry.gpus) == ("kserve-mlserver", 2)
    assert entry.resources.requests == {"cpu": "2", "memory": "2Gi", "example.com/fpga": "1"}
    assert entry.resources.limits["cpu"] == "2.5"
    assert (entry.replicas, entry.replicas.is_fixed) == (Replicas(min=1, max=3), False)
    assert entry.node_selector == {"disk": "ssd", "example.com/zone": ""}
    assert [each.as_kubernetes() for each in entry.tolerations] == [
        {"key": "dedicated", "operator": "Equal", "value": "models", "effect": "NoSchedule"},
        {
            "key": "node.kubernetes.io/unreachable",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 30,
        },
    ]
    assert entry.rollout == Rollout(without_spare="recreate")


def test_nothing_has_to_be_said(tmp_path: Path) -> None:
    entry = read(tmp_path, "models:\n  a: {endpoint: a}\n")
    assert (entry.runtime, entry.gpus, entry.tolerations) == (None, 0, ())
    assert (entry.resources, entry.node_selector) == (PodResources(), {})
    assert (entry.replicas, entry.rollout.without_spare) == (Replicas(min=1, max=1), "refuse")


def test_a_number_of_replicas_is_fixed(tmp_path: Path) -> None:
    entry = read(tmp_path, "models:\n  a: {endpoint: a, replicas: 4}\n")
    assert (entry.replicas, entry.replicas.is_fixed) == (Replicas(min=4, max=4), True)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("runtime: Mine", "models.a.runtime: expected the name of a ServingRuntime, at most 253"),
        ("gpus: -1", "models.a.gpus: Input should be greater than or equal to 0, found -1"),
        ("gpus: true", "models.a.gpus: Input should be a valid integer, found True"),
        ("gpus: 0.5", "models.a.gpus: Input should be a valid integer, found 0.5"),
        (
            "replicas: 0",
            (
                "models.a.replicas: expected at least 1, found 0: without Knative nothing wakes an "
                "endpoint"
            ),
        ),
        (
            "replicas: two",
            (
                "models.a.replicas: expected a number, or a mapping {min: NUMBER, max: NUMBER}, "
                "found 'two'"
            ),
        ),
        ("replicas: {min: 1}", "or a mapping {min: NUMBER, max: NUMBER}, found {'min': 1}"),
        ("replicas: {min: 3, max: 2}", "expected min to max, at most 1000, found 3 to 2"),
        ("replicas: {min: 1, max: 2, step: 1}", "{min: NUMBER, max: NUMBER}, found {'min': 1"),
        ("replicas: {min: 1, max: two}", "{min: NUMBER, max: NUMBER}, found {'min': 1"),
        ("replicas: {min: 1, max: true}", "{min: NUMBER, max: NUMBER}, found {'min': 1"),
        ("replicas: 1001", "expected min to max, at most 1000, found 1001 to 1001"),
        (
            "resources: {requests: {cpu: fast}}",
            (
                "models.a.resources.requests: cpu: expected a Kubernetes quantity as in 500m, 2 or "
                "4Gi, found 'fast'"
            ),
        ),
        (
            "resources: {requests: {memory: 400m}}",
            "models.a.resources.requests: memory: 400m is 0.4 bytes; write 400Mi",
        ),
        (
            "resources: {limits: {nvidia.com/gpu: 1}}",
            (
                "models.a.resources.limits: nvidia.com/gpu: GPUs are counted by the key gpus; "
                "remove it, and write gpus: NUMBER"
            ),
        ),
        (
            "resources: {requests: {ram: 1Gi}}",
            "expected cpu, memory, ephemeral-storage, or vendor/resource, found 'ram'",
        ),
        ("resources: {requests: 2}", "expected a mapping as in {cpu: 500m, memory: 2Gi}, found 2"),
        (
            "resources: {requests: {cpu: 2}, limits: {cpu: 1500m}}",
            "models.a.resources: requests.cpu: 2 is more than the limit 1500m",
        ),
        (
            "resources: {requests: {a.b/c: 1}}",
            "requests.a.b/c: 1, but limits has none: an extended resource needs the same in both",
        ),
        ("resources: {request: {}}", "resources.request: unknown key; expected requests, limits"),
        (
            "node_selector: {gpu: true}",
            "models.a.node_selector: label gpu: expected text, found True; write it in quotes",
        ),
        ("node_selector: {-a: b}", "label '-a': expected at most 63 letters"),
        ("node_selector: {a: -b}", "label a: expected at most 63 letters"),
        ("node_selector: [a]", "expected a mapping of labels as in {disk: ssd}, found ['a']"),
        (
            "tolerations: [{key: a, effect: Never}]",
            (
                "models.a.tolerations.0.effect: expected one of NoSchedule, PreferNoSchedule, "
                "NoExecute, found 'Never'"
            ),
        ),
        (
            "tolerations: [{key: a, operator: Exists, value: b}]",
            "models.a.tolerations.0: operator Exists takes no value, found 'b'; remove one of them",
        ),
        ("tolerations: [{key: a, operator: Equal}]", "operator Equal needs a value; write one"),
        ("tolerations: [{key: a, toleration_seconds: 3}]", "needs effect: NoExecute"),
        ("tolerations: [{key: /a}]", "models.a.tolerations.0.key: expected a DNS name before"),
        (
            "tolerations: [{key: a, effekt: b}]",
            "tolerations.0.effekt: unknown key; expected key, operator, value, effect",
        ),
        (
            "rollout: {share: 10}",
            (
                "models.a.rollout.share: 10: KServe's standard mode sends no share of the requests "
                "to a candidate, that needs a gateway, which is not supported; remove the key, or "
                "write 0"
            ),
        ),
        ("rollout: {without_spare: wait}", "Input should be 'refuse' or 'recreate', found 'wait'"),
        ("rollout: {spare: no}", "rollout.spare: unknown key; expected without_spare, share"),
    ],
)
def test_a_mistake_names_line_key_and_remedy(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(ServingRefused) as refused:
        read(tmp_path, f"models:\n  a:\n    endpoint: a\n    {line}\n")
    assert words in str(refused.value)
    assert "serving.yaml:4: models.a." in str(refused.value)


def test_a_toleration_of_a_value_is_equal() -> None:
    assert Toleration(key="a", value="").as_kubernetes()["operator"] == "Equal"


@pytest.mark.parametrize("share", [0, 100])
def test_a_share_of_nothing_or_everything_is_none(tmp_path: Path, share: int) -> None:
    entry = read(tmp_path, f"models:\n  a: {{endpoint: a, rollout: {{share: {share}}}}}\n")
    assert entry.rollout.share == share


def test_as_many_pods_as_are_allowed(tmp_path: Path) -> None:
    entry = read(tmp_path, "models:\n  a: {endpoint: a, replicas: {min: 1000, max: 1000}}\n")
    assert (entry.replicas.min, entry.replicas.max) == (1000, 1000)


def test_an_operator_with_its_value_is_taken() -> None:
    equal = Toleration(key="a", operator="Equal", value="b").as_kubernetes()
    assert equal == {"key": "a", "operator": "Equal", "value": "b"}
