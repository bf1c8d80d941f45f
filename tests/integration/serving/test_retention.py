"""Old versions and their copies go, and nothing else; killed anywhere, the next run goes on."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import dagster as dg
import pytest

from platform_assets.audits.retention import (
    Applied,
    Stock,
    apply_retention,
    current_plan,
    deliveries_under_way,
)
from platform_assets.audits.retention_job import OP_NAME, apply_retention_job
from platform_assets.keys import CHECKPOINT_TAG
from platform_assets.lineage import facts, ids
from platform_assets.lineage.manifest import copy_prefix
from platform_assets.models.checkpoint_directory import find_checkpoint, judge_checkpoint
from platform_assets.models.published_copy import deliver_copy
from platform_assets.models.registered_version import deliver_version
from platform_assets.serving.delivery_job import JOB_NAME
from platform_assets.serving.endpoint import candidate_of, deliver_endpoint
from resources.model_server import ModelServer, ModelServerUnavailable
from tests.integration.guards.programs import free_port
from tests.integration.serving.conftest import Platform

RULE = """keep: {versions: 1, days: 0}
models:
  digits: {endpoint: digits, keep: {versions: 2, days: 0, pinned: [1]}}
"""


@pytest.fixture(scope="module")
def stock(delivering: Platform) -> SimpleNamespace:
    """Five versions: pinned 1, old 2, live 3, and the last 4 and 5."""
    serving = delivering.serving
    delivering.applied.serving_file.write_text(RULE)
    keys = [delivering.registered(f"run-{number}", seed=number) for number in (1, 2, 3, 4, 5)]
    deliver_endpoint(keys[2], delivering.applied.serving_file, serving, "run", print)
    return SimpleNamespace(
        platform=delivering,
        keys=keys,
        digests=[candidate_of(key, serving.ledger)[0].tree_digest for key in keys],
        of=Stock(
            serving.provider.store,
            serving.mlflow,
            serving.provider,
            serving.ledger,
            delivering.applied.serving_file,
        ),
    )


def applied(stock: SimpleNamespace, busy=lambda _model, _digest: None) -> Applied:
    return apply_retention(stock.of, busy, "run", lambda: datetime.now(UTC), print)


def registered(stock: SimpleNamespace) -> list[str]:
    return [version.version for version in stock.of.mlflow.versions("digits")]


def objects(stock: SimpleNamespace, number: int) -> int:
    return sum(1 for _ in stock.of.store.list(copy_prefix("digits", stock.digests[number])))


def redelivered(stock: SimpleNamespace, number: int) -> str:
    """Publish and register a checkpoint once more, as `ai-how checkpoint retry` does."""
    root = stock.platform.applied.checkpoint_root
    key = stock.keys[number]
    judged = judge_checkpoint(find_checkpoint(root, key), root, None, datetime.now(UTC))
    assert not deliver_copy(judged, stock.of.store, stock.of.ledger, None, print).equal
    version = deliver_version(key, stock.of.store, stock.of.mlflow, stock.of.ledger, None)
    assert candidate_of(key, stock.of.ledger)[1] == version.version
    return version.version


def test_the_plan_names_what_goes_and_why_the_rest_stays(stock) -> None:
    plan = current_plan(stock.of, datetime.now(UTC))
    assert [(r.versions, r.copy) for r in plan.removals] == [(("2",), True)]
    told = {kept.version.version: "; ".join(kept.reasons) for kept in plan.kept}
    assert told.keys() == {"1", "3", "4", "5"}
    assert told["1"] == "pinned"
    assert "live on endpoint digits" in told["3"]
    assert "the model server serves it as digits" in told["3"]
    assert "alias live-digits" in told["3"]
    assert told["5"] == "among the last 2"


def test_nothing_goes_while_what_is_live_cannot_be_told(stock) -> None:
    down = Stock(
        stock.of.store,
        stock.of.mlflow,
        replace(
            stock.platform.serving.provider, server=ModelServer(f"http://127.0.0.1:{free_port()}")
        ),
        stock.of.ledger,
        stock.of.serving_file,
    )
    with pytest.raises(ModelServerUnavailable):
        current_plan(down, datetime.now(UTC))


def test_what_is_being_delivered_or_deployed_is_left_for_now(stock, monkeypatch) -> None:
    def busy(instance: dg.DagsterInstance):
        return deliveries_under_way(instance, stock.of.ledger)

    with dg.DagsterInstance.ephemeral() as instance:
        assert busy(instance)("digits", stock.digests[1]) is None
        instance.add_run(
            dg.DagsterRun(
                job_name=JOB_NAME,
                run_id="0" * 32,
                status=dg.DagsterRunStatus.STARTED,
                tags={CHECKPOINT_TAG: stock.keys[1]},
            )
        )
        result = applied(stock, busy(instance))
        assert busy(instance)("digits", stock.digests[3]) is None
    assert result.removed == ()
    assert "is delivering" in result.left[0][1]

    monkeypatch.setattr("platform_assets.audits.retention.LOCK_S", 1.0)
    held, done = threading.Event(), threading.Event()

    def deploys() -> None:
        with stock.of.ledger.lock("endpoint/digits", 60):
            held.set()
            done.wait(120)

    deployment = threading.Thread(target=deploys)
    deployment.start()
    assert held.wait(60)
    try:
        result = applied(stock)
    finally:
        done.set()
        deployment.join(120)
    assert result.removed == ()
    assert "endpoint/digits" in result.left[0][1]
    assert registered(stock) == ["1", "2", "3", "4", "5"]


def test_killed_anywhere_it_goes_on_and_what_comes_back_is_published_anew(stock) -> None:
    """Kill it before each change in the world, then let it end; do so again and again."""

    class KilledError(BaseException):
        pass

    class Dying:
        """The real part, until it has changed the world as often as it may."""

        def __init__(self, part: object, left: list[int]) -> None:
            self._part, self._left = part, left

        def __getattr__(self, name: str) -> object:
            if name in {"delete", "delete_version", "append_if"}:
                if self._left[0] == 0:
                    raise KilledError
                self._left[0] -= 1
            return getattr(self._part, name)

    before = len(stock.of.ledger.facts())
    whole = objects(stock, 1)
    for allowed in range(whole + 4):
        left = [allowed]
        dying = Stock(
            Dying(stock.of.store, left),  # type: ignore[arg-type]
            Dying(stock.of.mlflow, left),  # type: ignore[arg-type]
            stock.of.provider,
            Dying(stock.of.ledger, left),  # type: ignore[arg-type]
            stock.of.serving_file,
        )
        try:
            apply_retention(dying, lambda _m, _d: None, "run", lambda: datetime.now(UTC), print)
        except KilledError:
            prefix = copy_prefix("digits", stock.digests[1])
            rest = [found.key for found in stock.of.store.list(prefix)]
            assert prefix + "manifest.json" in rest or len(rest) < whole
            assert len(rest) == whole or prefix + "manifest.json" not in rest
        else:
            break
    else:
        pytest.fail("it never came to its end")
    assert allowed >= 4
    assert applied(stock).removed == ()
    assert registered(stock) == ["1", "3", "4", "5"]
    assert objects(stock, 1) == 0
    assert all(objects(stock, number) == whole for number in (0, 2, 3, 4))
    recorded = stock.of.ledger.facts(facts.RETENTION)
    assert [fact.body["what"] for fact in recorded] == ["copy", "version"]
    assert len(stock.of.ledger.facts()) == before + 2
    root = stock.platform.applied.checkpoint_root
    assert all(find_checkpoint(root, key).is_dir() for key in stock.keys)

    version = redelivered(stock, 1)
    assert version == "6"
    assert objects(stock, 1) == whole
    copies = stock.of.ledger.facts(facts.COPY, stock.digests[1])
    assert len(copies) == 2
    plan = current_plan(stock.of, datetime.now(UTC))
    assert [removal.versions for removal in plan.removals] == [("4",)]


def test_a_copy_that_somebody_elses_version_names_stays(stock) -> None:
    mlflow, digest = stock.of.mlflow, stock.digests[3]
    source = f"s3://{stock.of.store.bucket}/{copy_prefix('digits', digest)}"
    foreign = mlflow.create_version("digits", source, tags={ids.MODEL: "digits"}).version
    try:
        (removal,) = current_plan(stock.of, datetime.now(UTC)).removals
        assert (removal.versions, removal.copy) == (("4",), False)
    finally:
        mlflow.delete_version("digits", foreign)


def test_younger_versions_stay(stock) -> None:
    stock.of.serving_file.write_text("keep: {versions: 1, days: 2}\nmodels: {}\n")
    try:
        now = datetime.now(UTC)
        assert current_plan(stock.of, now).removals == ()
        later = current_plan(stock.of, now + timedelta(days=3)).removals
        assert {version for one in later for version in one.versions} == {"1", "4", "5"}
    finally:
        stock.of.serving_file.write_text(RULE)


def test_the_job_removes_only_with_the_name_of_the_estate(stock) -> None:
    resources = {
        "estate": stock.platform.applied,
        "object_store": stock.of.store,
        "mlflow": stock.of.mlflow,
        "provider": stock.of.provider,
        "ledger": stock.of.ledger,
    }

    def run(confirm: str) -> dg.ExecuteInProcessResult:
        with dg.DagsterInstance.ephemeral() as instance:
            return apply_retention_job.execute_in_process(
                run_config={"ops": {OP_NAME: {"config": {"confirm": confirm}}}},
                resources=resources,
                instance=instance,
                raise_on_error=False,
            )

    refused = run("another")
    assert not refused.success
    (failure,) = refused.get_step_failure_events()
    assert "expected --confirm" in str(failure.step_failure_data.user_failure_data.description)
    assert "4" in registered(stock)
    assert run(stock.platform.applied.name).success
    assert registered(stock) == ["1", "3", "5", "6"]
