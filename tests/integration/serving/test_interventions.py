"""Rollback, pause, resume, delete, alias and approval on the real parts."""

import json
from collections.abc import Iterator

import dagster as dg
import pytest

from platform_assets.audits.endpoint_lineage import endpoint_lineage
from platform_assets.lineage import facts, interventions
from platform_assets.lineage.deployments import deployed, open_deployments
from platform_assets.lineage.manifest import copy_prefix
from platform_assets.serving.alias_move import REFUSED, follow_alias
from platform_assets.serving.approval import ApprovalRefused, approve
from platform_assets.serving.chosen_version import VersionUnusable
from platform_assets.serving.endpoint import Delivered, candidate_of, deliver_endpoint, endpoint
from platform_assets.serving.fetched_copy import WrongCopy
from platform_assets.serving.intervention import Done, EndpointUnknown, Intervention
from platform_assets.serving.intervention_jobs import JOBS, run_config
from platform_assets.serving.live_endpoints import LiveEndpoint, observe_live
from platform_assets.serving.mlserver_endpoint import told_digest
from platform_assets.serving.pause import pause, resume
from platform_assets.serving.promotion import Outcome
from platform_assets.serving.rollback import RollbackRefused, roll_back
from platform_assets.serving.withdrawal import NotConfirmed, delete
from resources.mlflow import Mlflow
from sensors.promotions import pending_move
from tests.integration.serving.conftest import Platform

ENDPOINT = "digits"


def deliver(platform: Platform, key: str) -> Delivered:
    return deliver_endpoint(key, platform.applied.serving_file, platform.serving, "run", print)


def asked(platform: Platform, request: str = "request", by: str = "ada") -> Intervention:
    return Intervention(platform.serving, platform.applied.serving_file, request, by, "run", print)


def served(platform: Platform) -> str | None:
    return told_digest(platform.serving.provider.server, ENDPOINT)


def shown(platform: Platform) -> LiveEndpoint:
    observed = observe_live(platform.serving.provider, platform.serving.ledger, [ENDPOINT])
    (found,) = [one for one in observed if one.endpoint == ENDPOINT]
    return found


def declare(platform: Platform, **more: object) -> None:
    models = {"digits": {"endpoint": ENDPOINT, **more}}
    platform.applied.serving_file.write_text(json.dumps({"models": models}))


@pytest.fixture
def automatic(delivering: Platform) -> Iterator[Platform]:
    """The endpoint with no past that concerns the test: whatever served was deleted."""
    declare(delivering)
    yield delivering
    declare(delivering)
    resume(asked(delivering), ENDPOINT)
    if deployed(delivering.serving.ledger, ENDPOINT):
        delete(asked(delivering), ENDPOINT, ENDPOINT, "end of the test")


def test_a_rollback_holds_until_a_later_checkpoint_is_sealed(automatic: Platform) -> None:
    good = deliver(automatic, automatic.registered("good", seed=1))
    between = automatic.registered("between", seed=2)
    bad = deliver(automatic, automatic.registered("bad", seed=3))
    assert served(automatic) == bad.candidate.tree_digest

    done = roll_back(asked(automatic, "one"), ENDPOINT, None, "it answers nonsense")
    assert done.delivered is not None
    assert done.delivered.version == good.version
    assert served(automatic) == good.candidate.tree_digest
    assert shown(automatic).agrees
    assert any("it answers nonsense" in note for note in shown(automatic).notes)
    fact = automatic.serving.ledger.latest(interventions.ROLLBACK, ENDPOINT)
    assert fact is not None
    assert (fact.body["from_version"], fact.body["by"]) == (bad.version, "ada")

    again = deliver(automatic, bad.candidate.checkpoint)
    assert again.decision.outcome is Outcome.REGISTERED
    assert "it answers nonsense" in again.decision.reason
    assert deliver(automatic, between).decision.outcome is Outcome.SUPERSEDED
    resealed = deliver(automatic, automatic.registered("resealed", seed=3))
    assert resealed.decision.outcome is Outcome.REGISTERED
    assert served(automatic) == good.candidate.tree_digest

    # The run was killed after all of it, and Dagster starts it again.
    repeated = roll_back(asked(automatic, "one"), ENDPOINT, None, "it answers nonsense")
    assert repeated.delivered is None
    assert served(automatic) == good.candidate.tree_digest

    newer = deliver(automatic, automatic.registered("newer", seed=4))
    assert newer.decision.outcome is Outcome.DEPLOYED
    assert served(automatic) == newer.candidate.tree_digest
    roll_back(asked(automatic, "two"), ENDPOINT, bad.version, "it was right after all")
    assert served(automatic) == bad.candidate.tree_digest
    assert deliver(automatic, bad.candidate.checkpoint).decision.outcome is Outcome.ALREADY_LIVE


def test_a_rollback_to_changed_bytes_is_refused(automatic: Platform) -> None:
    one = deliver(automatic, automatic.registered("one", seed=11))
    two = deliver(automatic, automatic.registered("two", seed=12))
    three = deliver(automatic, automatic.registered("three", seed=13))  # removes one's fetched copy
    store = automatic.serving.provider.store
    key = copy_prefix("digits", one.candidate.tree_digest) + "MLmodel"
    whole = store.get(key, 2**20)
    store.put(key, bytes([whole[0] ^ 1]) + whole[1:])
    before = len(automatic.serving.ledger.facts())
    with pytest.raises(WrongCopy, match="someone changed the object store"):
        roll_back(asked(automatic, "flipped"), ENDPOINT, one.version, "try")
    store.put(key, whole)
    assert served(automatic) == three.candidate.tree_digest
    assert len(automatic.serving.ledger.facts()) == before
    with pytest.raises(RollbackRefused, match="is what it serves"):
        roll_back(asked(automatic, "same"), ENDPOINT, three.version, "try")
    with pytest.raises(RollbackRefused, match="needs a reason"):
        roll_back(asked(automatic, "mute"), ENDPOINT, two.version, " ")
    with pytest.raises(VersionUnusable, match="it was deleted or never was there"):
        roll_back(asked(automatic, "none"), ENDPOINT, "9999", "try")
    with pytest.raises(EndpointUnknown, match="nothing was ever deployed"):
        roll_back(asked(automatic, "unknown"), "nowhere", None, "try")


def test_a_paused_endpoint_stays_and_resume_deploys_what_is_due(automatic: Platform) -> None:
    live = deliver(automatic, automatic.registered("live", seed=21))
    assert "is paused;" in pause(asked(automatic), ENDPOINT, "holidays").sentence
    assert "paused already" in pause(asked(automatic), ENDPOINT, "").sentence
    older = deliver(automatic, automatic.registered("older", seed=22))
    newest = deliver(automatic, automatic.registered("newest", seed=23))
    for waiting in (older, newest):
        assert waiting.decision.outcome is Outcome.REGISTERED
        assert "paused" in waiting.decision.reason
    assert served(automatic) == live.candidate.tree_digest
    notes = "; ".join(shown(automatic).notes)
    assert "holidays" in notes
    assert f"version {newest.version}" in notes

    done = resume(asked(automatic), ENDPOINT)
    assert done.delivered is not None
    assert done.delivered.version == newest.version
    assert served(automatic) == newest.candidate.tree_digest
    assert shown(automatic).notes == ()
    assert deliver(automatic, older.candidate.checkpoint).decision.outcome is Outcome.SUPERSEDED
    nothing = resume(asked(automatic), ENDPOINT)
    assert "was not paused; nothing is due" in nothing.sentence


def test_a_deleted_endpoint_comes_back_only_by_what_is_sealed_later(automatic: Platform) -> None:
    ledger, serving = automatic.serving.ledger, automatic.serving
    live = deliver(automatic, automatic.registered("doomed", seed=31))
    late = automatic.registered("late", seed=32)
    with pytest.raises(NotConfirmed):
        delete(asked(automatic), ENDPOINT, "digit", "")
    done = delete(asked(automatic), ENDPOINT, ENDPOINT, "not needed")
    assert f"version {live.version} stays registered" in done.sentence
    assert served(automatic) is None
    assert not (serving.provider.repository / ENDPOINT).exists()
    assert not (serving.provider.served / ENDPOINT).exists()
    assert serving.mlflow.alias("digits", f"live-{ENDPOINT}") is None
    assert serving.mlflow.get_version("digits", live.version).version == live.version
    assert deployed(ledger, ENDPOINT) is None
    assert ENDPOINT not in open_deployments(ledger)
    assert "deleted it" in endpoint_lineage(ledger, ENDPOINT).missing[0]
    seen = shown(automatic)
    assert (seen.agrees, seen.reason) == (True, "it was deleted")
    assert "was deleted before" in delete(asked(automatic), ENDPOINT, ENDPOINT, "").sentence

    again = deliver(automatic, late)
    assert again.decision.outcome is Outcome.REGISTERED
    assert "was deleted at" in again.decision.reason
    back = roll_back(asked(automatic, "back"), ENDPOINT, live.version, "needed again")
    assert back.delivered is not None
    assert served(automatic) == live.candidate.tree_digest
    assert shown(automatic).agrees
    delete(asked(automatic), ENDPOINT, ENDPOINT, "")
    newer = deliver(automatic, automatic.registered("newer-one", seed=33))
    assert newer.decision.outcome is Outcome.DEPLOYED


@pytest.fixture
def by_alias(automatic: Platform) -> Platform:
    declare(automatic, promotion={"alias": "champion"})
    return automatic


def follow(platform: Platform) -> Done:
    entry = asked(platform).declared(ENDPOINT)
    assert pending_move(entry, platform.serving.mlflow, platform.serving.ledger) is not None
    with asked(platform).alone(ENDPOINT):
        return follow_alias(asked(platform), entry)


def pending(platform: Platform) -> bool:
    entry = asked(platform).declared(ENDPOINT)
    return pending_move(entry, platform.serving.mlflow, platform.serving.ledger) is not None


def test_a_person_who_moves_the_alias_deploys(by_alias: Platform) -> None:
    mlflow = by_alias.serving.mlflow
    keys = [by_alias.registered(f"alias-{n}", seed=40 + n) for n in (1, 2)]
    for key in keys:
        delivered = deliver(by_alias, key)
        assert delivered.decision.outcome is Outcome.REGISTERED
        assert "waits for a person to move the alias champion" in delivered.decision.reason
    assert not pending(by_alias)
    one, two = (candidate_of(key, by_alias.serving.ledger) for key in keys)

    mlflow.set_alias("digits", "champion", two[1])
    follow(by_alias)
    assert served(by_alias) == two[0].tree_digest
    assert not pending(by_alias)
    mlflow.set_alias("digits", "champion", one[1])
    follow(by_alias)
    assert served(by_alias) == one[0].tree_digest
    # Away and back between two looks leaves no trace in MLflow.
    mlflow.set_alias("digits", "champion", two[1])
    mlflow.set_alias("digits", "champion", one[1])
    assert not pending(by_alias)
    # A rollback is not undone by an alias that nobody moved since.
    roll_back(asked(by_alias, "alias"), ENDPOINT, two[1], "slow")
    assert not pending(by_alias)
    pause(asked(by_alias), ENDPOINT, "")
    mlflow.set_alias("digits", "champion", two[1])
    assert "already" in follow(by_alias).sentence
    mlflow.set_alias("digits", "champion", one[1])
    assert "paused" in follow(by_alias).sentence
    assert not pending(by_alias)
    assert resume(asked(by_alias), ENDPOINT).delivered is not None
    assert served(by_alias) == one[0].tree_digest


def test_an_alias_that_leads_nowhere_is_told_once(by_alias: Platform) -> None:
    mlflow, ledger = by_alias.serving.mlflow, by_alias.serving.ledger
    key = by_alias.registered("kept", seed=51)
    deliver(by_alias, key)
    candidate, version = candidate_of(key, ledger)
    mlflow.set_alias("digits", "champion", version)
    follow(by_alias)

    foreign = mlflow.create_version("digits", "s3://mlflow/elsewhere/").version
    mlflow.set_alias("digits", "champion", foreign)
    with pytest.raises(VersionUnusable, match="somebody else registered it"):
        follow(by_alias)
    assert not pending(by_alias)
    assert any("somebody else registered it" in note for note in shown(by_alias).notes)
    last = ledger.latest(interventions.PROMOTION, ENDPOINT)
    assert last is not None
    assert (last.body["outcome"], last.body["by"]) == (REFUSED, "unknown")

    mlflow.set_alias("digits", "champion", version)
    assert "already" in follow(by_alias).sentence
    delete_version(mlflow, foreign)
    other = by_alias.registered("deleted", seed=52)
    gone = candidate_of(other, ledger)[1]
    mlflow.set_alias("digits", "champion", gone)
    delete_version(mlflow, gone)
    assert "or its version was deleted" in follow(by_alias).sentence
    assert not pending(by_alias)
    assert served(by_alias) == candidate.tree_digest
    with pytest.raises(VersionUnusable, match="deleted or never was there"):
        roll_back(asked(by_alias, "gone"), ENDPOINT, gone, "try")


def delete_version(mlflow: Mlflow, version: str) -> None:
    mlflow._registry.delete_model_version("digits", version)


def test_a_version_waits_for_an_approval_that_names_a_person(automatic: Platform) -> None:
    declare(automatic, approval={"by": ["grace", "ada"]})
    key = automatic.registered("approved", seed=61)
    waiting = deliver(automatic, key)
    assert waiting.decision.outcome is Outcome.REGISTERED
    assert "waits for approval" in waiting.decision.reason
    assert any("waits for approval" in note for note in shown(automatic).notes)
    with pytest.raises(RollbackRefused, match="was not approved"):
        roll_back(asked(automatic, "around"), ENDPOINT, waiting.version, "around it")
    with pytest.raises(ApprovalRefused, match="one of grace, ada, found unknown"):
        approve(asked(automatic, by="unknown"), ENDPOINT, waiting.version)
    assert served(automatic) is None

    done = approve(asked(automatic, by="grace"), ENDPOINT, waiting.version)
    assert done.delivered is not None
    assert served(automatic) == waiting.candidate.tree_digest
    (fact,) = automatic.serving.ledger.facts(interventions.APPROVAL, ENDPOINT)
    assert fact.body["by"] == "grace"
    assert fact.body["tree_digest"] == waiting.candidate.tree_digest
    approve(asked(automatic, by="grace"), ENDPOINT, waiting.version)
    assert len(automatic.serving.ledger.facts(interventions.APPROVAL, ENDPOINT)) == 1
    declare(automatic)
    with pytest.raises(ApprovalRefused, match="asks for no approval"):
        approve(asked(automatic, by="grace"), ENDPOINT, waiting.version)


class Killed(BaseException):
    """Stands for a kill of the process at a named point."""


@pytest.mark.parametrize("point", ["record_rollback", "record_deployment"])
def test_a_rollback_that_was_killed_is_concluded(
    automatic: Platform, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    seeds = {"record_rollback": (71, 72), "record_deployment": (73, 74)}[point]
    names = [f"killed-{seed}" for seed in seeds]
    good, bad = (
        deliver(automatic, automatic.registered(name, seed=seed))
        for name, seed in zip(names, seeds, strict=True)
    )
    module = interventions if point == "record_rollback" else facts
    with monkeypatch.context() as patched:
        patched.setattr(module, point, _kill)
        with pytest.raises(Killed):
            roll_back(asked(automatic, point), ENDPOINT, None, "bad")
    assert not shown(automatic).agrees
    if point == "record_deployment":  # it is known: nothing brings the bad one back meanwhile
        assert not deliver(automatic, bad.candidate.checkpoint).decision.deploy
    roll_back(asked(automatic, point), ENDPOINT, None, "bad")
    assert shown(automatic).agrees
    assert served(automatic) == good.candidate.tree_digest
    recorded = [
        fact
        for fact in automatic.serving.ledger.facts(interventions.ROLLBACK, ENDPOINT)
        if fact.body["request"] == point
    ]
    assert len(recorded) == 1


def _kill(*_: object, **__: object) -> None:
    raise Killed


def test_the_jobs_tell_what_they_did_and_who_is_unknown(automatic: Platform) -> None:
    serving = automatic.serving
    resources = {
        "estate": automatic.applied,
        "mlflow": serving.mlflow,
        "provider": serving.provider,
        "ledger": serving.ledger,
    }
    definitions = dg.Definitions(assets=[endpoint], jobs=JOBS, resources=resources)
    one = deliver(automatic, automatic.registered("job-1", seed=81))
    deliver(automatic, automatic.registered("job-2", seed=82))

    def run(name: str, values: dict[str, str]) -> dg.ExecuteInProcessResult:
        job = definitions.resolve_job_def(name)
        config = run_config(name, {"endpoint": ENDPOINT, **values})
        return job.execute_in_process(run_config=config, instance=instance, raise_on_error=False)

    with dg.instance_for_test() as instance:
        back = run("rollback_endpoint", {"reason": "it drifts"})
        (event,) = back.get_asset_materialization_events()
        assert event.partition == one.candidate.checkpoint
        assert "serves version" in str(event.materialization.description)
        fact = serving.ledger.latest(interventions.ROLLBACK, ENDPOINT)
        assert fact is not None
        assert fact.body["by"] == "unknown"
        paused = run("pause_endpoint", {})
        (seen,) = paused.get_asset_observation_events()
        told = seen.asset_observation_data.asset_observation.description
        assert "is paused" in str(told)
        assert not run("delete_endpoint", {"confirm": "other"}).success
        assert served(automatic) == one.candidate.tree_digest
