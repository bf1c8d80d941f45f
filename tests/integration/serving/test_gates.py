"""A model that is worse never serves: gates on the real model server, until its refusal."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from platform_assets.lineage import facts
from platform_assets.lineage.ledger import Fact
from platform_assets.models.seal import seal as seal_directory
from platform_assets.partitions import CHECKPOINTS
from platform_assets.serving.delivery_job import JOB_NAME, delivery_tags
from platform_assets.serving.endpoint import Delivered, deliver_endpoint, endpoint
from platform_assets.serving.evaluation_set import EvaluationSetRefused
from platform_assets.serving.gate_report import GateFailed
from platform_assets.serving.mlserver_endpoint import told_digest
from sensors.failures import is_lasting
from tests.integration.serving.conftest import Platform
from tests.integration.serving.test_replacement import Client
from tests.sample_checkpoints import mlflow_checkpoint

CONFIG = Path(__file__).parents[3] / "config"
ENDPOINT = "digits"
EVALUATION = {"file": "gates/digits.csv", "metric": "accuracy"}
OURS = {
    "smoke": {"file": "gates/digits-smoke.jsonl"},
    "load": {"requests": 20, "p95_ms": 5000},
    "evaluation": EVALUATION
    | {"minimum": 0.9, "agrees_with_training_within": 0.05, "not_worse_than_live_by": 0.05},
}


def declare(platform: Platform, gates: dict[str, Any] | None) -> None:
    entry: dict[str, Any] = {"endpoint": ENDPOINT} | ({} if gates is None else {"gates": gates})
    platform.applied.serving_file.write_text(json.dumps({"models": {"digits": entry}}))
    folder = platform.applied.serving_file.parent / "gates"
    shutil.copytree(CONFIG / "gates", folder, dirs_exist_ok=True)


def deliver(platform: Platform, key: str) -> Delivered:
    return deliver_endpoint(key, platform.applied.serving_file, platform.serving, "run", print)


def mistrained(root: Path, model: str, run: str, seed: int = 0) -> Path:
    """A model that learnt each digit as the next one, and whose training says how good it is."""
    import mlflow.sklearn
    from mlflow.models import infer_signature
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    images, labels = load_digits(return_X_y=True)
    wrong = (labels + 1 + seed) % 10
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=100)).fit(images, wrong)
    directory = root / model / run
    mlflow.sklearn.save_model(
        pipeline,
        directory,
        serialization_format="skops",
        signature=infer_signature(images, pipeline.predict(images)),
        pip_requirements=["scikit-learn", "skops"],
    )
    seal_directory(str(directory), training={"seed": seed, "metrics": {"accuracy": 0.97}})
    return directory


def changed(name: str, change: Callable[[str], str]) -> Callable[..., Path]:
    """A good model whose file `name` was changed before it was sealed."""

    def make(root: Path, model: str, run: str, seed: int = 0) -> Path:
        directory = mlflow_checkpoint(root, model, run, seed=seed, seal=False)
        file = directory / name
        file.write_text(change(file.read_text()))
        seal_directory(str(directory), training={"seed": seed, "metrics": {"accuracy": 0.96}})
        return directory

    return make


def gate_facts(platform: Platform) -> list[Fact]:
    return platform.serving.ledger.facts(facts.GATE, ENDPOINT)


@pytest.fixture(scope="module")
def live(delivering: Platform) -> Delivered:
    """A good model that passed every gate and serves."""
    declare(delivering, OURS)
    delivered = deliver(delivering, delivering.registered("good", seed=1))
    assert delivered.gates.passed
    return delivered


@contextmanager
def refused(platform: Platform, live: Delivered) -> Iterator[pytest.ExceptionInfo[GateFailed]]:
    """A delivery inside is kept out by a gate, recorded, and leaves nothing behind."""
    before = len(platform.serving.ledger.facts(facts.DEPLOYMENT))
    with pytest.raises(GateFailed, match="what was live is untouched") as told:
        yield told
    server = platform.serving.provider.server
    assert told_digest(server, ENDPOINT) == live.candidate.tree_digest
    assert told_digest(server, f"{ENDPOINT}.candidate") is None
    assert list(platform.applied.model_repository.glob("*.candidate")) == []
    assert len(platform.serving.ledger.facts(facts.DEPLOYMENT)) == before
    fact = gate_facts(platform)[-1]
    assert fact.body["passed"] is False
    assert not told.value.report.passed


def failing(told: pytest.ExceptionInfo[GateFailed]) -> list[str]:
    return [result.gate for result in told.value.report.failed]


def test_the_good_model_passes_every_gate_and_the_ledger_knows(
    delivering: Platform, live: Delivered
) -> None:
    assert live.decision.deploy
    found = {result.gate: result.found for result in live.gates.results}
    assert set(found) >= {
        "requirements", "smoke", "error rate", "latency p95", "accuracy",
        "accuracy agrees with training", "accuracy not worse than live",
    }  # fmt: skip
    assert found["smoke"] == "all 10"
    assert found["accuracy"].endswith("on 180 rows")
    assert "nothing of this model is live" in found["accuracy not worse than live"]
    fact = gate_facts(delivering)[0]
    assert fact.body["passed"] is True
    assert fact.body["tree_digest"] == live.candidate.tree_digest
    assert set(fact.body["files"]) == {"gates/digits.csv", "gates/digits-smoke.jsonl"}
    assert [row["gate"] for row in fact.body["results"]] == list(found)
    assert live.fact is not None
    assert fact.seq < live.fact.seq


def test_a_mistrained_model_changes_not_one_answer_and_the_report_says_why(
    delivering: Platform, live: Delivered
) -> None:
    declare(delivering, OURS)
    key = delivering.registered("mistrained", seed=0, make=mistrained)
    with Client(delivering.serving.provider.server.infer_url(ENDPOINT)) as client:
        with refused(delivering, live) as told:
            deliver(delivering, key)
        after = len(client.answers)
        while len(client.answers) < after + 20 and client._thread.is_alive():
            client._done.wait(0.01)
    assert client.failures == []
    assert len({json.dumps(json.loads(text)["outputs"]) for _, text in client.answers}) == 1
    assert {status for status, _ in client.answers} == {200}
    assert {json.loads(text)["model_name"] for _, text in client.answers} == {ENDPOINT}
    assert failing(told) == [
        "smoke", "accuracy", "accuracy agrees with training", "accuracy not worse than live"
    ]  # fmt: skip
    assert "accuracy: expected at least 0.9, found 0 on 180 rows" in str(told.value)
    assert "a clear 0: expected 0, found 1" in str(told.value)
    assert f"ai-how checkpoint retry {key}" in str(told.value)


@pytest.mark.parametrize(
    ("gates", "gate", "words"),
    [
        ({"load": {"requests": 5, "p50_ms": 0.001}}, "latency p50", "at most 0.001 ms"),
        (
            {"timeout_s": 0.0001, "load": {"requests": 5}},
            "error rate",
            "1 errors in 1 requests of 5, ended early; the first: infer with model digits.candid",
        ),
        (
            {"evaluation": EVALUATION | {"minimum": 1.5}},
            "accuracy",
            "accuracy: expected at least 1.5, found",
        ),
        (
            {
                "evaluation": EVALUATION
                | {"agrees_with_training_within": 0.1, "recorded_as": "val_accuracy"}
            },
            "accuracy agrees with training",
            "no record of val_accuracy",
        ),
        (
            {"evaluation": {"file": "gates/short.jsonl", "metric": "accuracy", "minimum": 0}},
            "accuracy",
            "line 1: input input-0: expected 64 values, found 3",
        ),
        ({"smoke": {"file": "gates/wrong.jsonl"}}, "smoke", "a wrong 0: expected 7, found 0"),
    ],
)
def test_each_gate_keeps_a_good_model_out_that_misses_its_bound(
    delivering: Platform, live: Delivered, gates: dict[str, Any], gate: str, words: str
) -> None:
    declare(delivering, gates)
    folder = delivering.applied.serving_file.parent / "gates"
    (folder / "short.jsonl").write_text('{"inputs": [1, 2, 3], "expected": 1}\n')
    zero = json.loads((folder / "digits-smoke.jsonl").read_text().splitlines()[0])
    zero |= {"name": "a wrong 0", "expected": 7}
    (folder / "wrong.jsonl").write_text(json.dumps(zero))
    key = second(delivering)
    with refused(delivering, live) as told:
        deliver(delivering, key)
    assert gate in failing(told)
    assert words in str(told.value)


def second(platform: Platform) -> str:
    """A good model that is not the live one; made once."""
    found = [
        fact.subject
        for fact in platform.serving.ledger.facts(facts.CHECKPOINT)
        if fact.body["run"] == "second"
    ]
    return found[0] if found else platform.registered("second", seed=2)


def test_a_model_that_fails_on_some_requests_is_kept_out_by_its_error_rate(
    delivering: Platform, live: Delivered
) -> None:
    """Some rows overflow when they are scaled, which scikit-learn refuses to predict on."""
    gates = {
        "evaluation": {"file": "gates/huge.jsonl", "metric": "accuracy", "minimum": 0},
        "load": {"requests": 20, "max_error_rate": 0.25},
    }
    declare(delivering, gates)
    rows = [{"inputs": [1.0] * 64, "expected": 1}, {"inputs": [1.7e308] * 64, "expected": 1}]
    file = delivering.applied.serving_file.parent / "gates" / "huge.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))
    with refused(delivering, live) as told:
        deliver(delivering, second(delivering))
    assert "error rate" in failing(told)
    assert "6 errors in 12 requests of 20, ended early" in str(told.value)
    assert "500: Internal Server Error" in str(told.value)


def test_another_major_version_of_the_library_or_a_missing_one_is_kept_out(
    delivering: Platform, live: Delivered
) -> None:
    declare(delivering, {})
    old = changed("MLmodel", lambda text: _library(text, "0.24.2"))
    with refused(delivering, live) as told:
        deliver(delivering, delivering.registered("old", make=old))
    assert failing(told) == ["requirement scikit-learn"]
    assert "expected 0.24.2" in str(told.value)
    missing = changed("requirements.txt", lambda text: text + "\na-library-nobody-has==3.1\n")
    with refused(delivering, live) as told:
        deliver(delivering, delivering.registered("missing", make=missing))
    assert failing(told) == ["requirement a-library-nobody-has"]
    assert "not installed (missing)" in str(told.value)


def _library(text: str, version: str) -> str:
    return "\n".join(
        f"    sklearn_version: {version}" if "sklearn_version" in line else line
        for line in text.splitlines()
    )


def test_rows_that_are_not_there_are_told_before_anything_is_loaded(
    delivering: Platform, live: Delivered
) -> None:
    declare(delivering, {"smoke": {"file": "gates/none.jsonl"}})
    before = len(gate_facts(delivering))
    with pytest.raises(EvaluationSetRefused, match=r"none\.jsonl: the rows that a gate names"):
        deliver(delivering, second(delivering))
    assert len(gate_facts(delivering)) == before


def test_the_check_shows_the_table_and_the_failure_lasts(
    delivering: Platform, live: Delivered
) -> None:
    declare(delivering, OURS)
    key = delivering.registered("worse", seed=1, make=mistrained)
    serving = delivering.serving
    resources = {
        "estate": delivering.applied,
        "mlflow": serving.mlflow,
        "provider": serving.provider,
        "ledger": serving.ledger,
    }
    definitions = dg.Definitions(
        assets=[endpoint],
        jobs=[dg.define_asset_job(JOB_NAME, selection=dg.AssetSelection.assets(endpoint))],
        resources=resources,
    )
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions(str(CHECKPOINTS.name), [key])
        job = definitions.resolve_job_def(JOB_NAME)
        done = job.execute_in_process(
            partition_key=key,
            instance=instance,
            tags=delivery_tags(key, 1, ENDPOINT),
            raise_on_error=False,
        )
        assert not done.success
        (check,) = done.get_asset_check_evaluations()
        assert (check.check_name, check.passed) == ("gates", False)
        assert "accuracy: expected at least 0.9" in str(check.description)
        table = check.metadata["gates"]
        assert isinstance(table, dg.TableMetadataValue)
        rows = [record.data for record in table.records]
        assert {row["gate"]: row["passed"] for row in rows}["accuracy"] is False
        assert is_lasting(instance, done.run_id)
        assert [event for event in done.all_events if event.is_step_restarted] == []


def test_a_better_model_replaces_the_live_one_it_was_compared_with(
    delivering: Platform, live: Delivered
) -> None:
    declare(delivering, OURS)
    delivered = deliver(delivering, delivering.registered("better", seed=3))
    assert delivered.decision.deploy
    (compared,) = [r for r in delivered.gates.results if r.gate == "accuracy not worse than live"]
    assert "than the live version's 0.9" in compared.expected


def test_what_the_server_lost_is_restored_without_being_asked_again(delivering: Platform) -> None:
    fact = delivering.serving.ledger.latest(facts.DEPLOYMENT, ENDPOINT)
    assert fact is not None
    declare(delivering, {"load": {"requests": 5, "p50_ms": 0.001}})
    delivering.serving.provider.server.unload(ENDPOINT)
    restored = deliver(delivering, str(fact.body["checkpoint"]))
    assert restored.decision.deploy
    assert "only restored" in restored.gates.summary()


def test_a_model_without_gates_passes_and_the_report_says_so(delivering: Platform) -> None:
    declare(delivering, None)
    delivered = deliver(delivering, delivering.registered("ungated", seed=4))
    assert delivered.decision.deploy
    assert delivered.gates.summary() == "no gates are declared for this model"
    fact = gate_facts(delivering)[-1]
    assert (fact.body["declared"], fact.body["passed"]) == (False, True)
