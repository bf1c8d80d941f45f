"""From a registered checkpoint to its endpoint, and what is live: every part of it real."""

import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace

import dagster as dg
import pytest

from platform_assets.keys import LIVE_ENDPOINTS
from platform_assets.lineage import facts, ids
from platform_assets.lineage.manifest import copy_prefix
from platform_assets.partitions import CHECKPOINTS
from platform_assets.serving.endpoint import (
    Delivered,
    NotRegistered,
    candidate_of,
    deliver_endpoint,
    endpoint,
    intended_of,
)
from platform_assets.serving.fetched_copy import fetch_copy
from platform_assets.serving.live_endpoints import (
    LiveEndpoint,
    agree_with_ledger,
    live_endpoints,
    observe_live,
)
from platform_assets.serving.mlserver_endpoint import (
    ensure_served,
    told_digest,
    write_in_one_step,
)
from platform_assets.serving.promotion import Outcome
from resources.model_server import ModelServer, ModelServerUnavailable
from tests.integration.guards.programs import free_port
from tests.integration.serving.conftest import Platform
from tests.sample_checkpoints import huggingface_checkpoint


def deliver(platform: Platform, key: str) -> Delivered:
    return deliver_endpoint(key, platform.applied.serving_file, platform.serving, "run", print)


def digits(platform: Platform) -> LiveEndpoint:
    observed = observe_live(platform.serving.provider, platform.serving.ledger)
    (found,) = [one for one in observed if one.endpoint == "digits"]
    return found


def deployments(platform: Platform) -> int:
    return len(platform.serving.ledger.facts(facts.DEPLOYMENT))


def test_the_life_of_an_endpoint(delivering: Platform) -> None:
    """First, second, an older one, equal content, a swap behind our back, and its repair."""
    first = delivering.registered("first", seed=1)
    late = delivering.registered("late", seed=2)
    second = delivering.registered("second", seed=3)

    one = deliver(delivering, first)
    assert one.decision.outcome is Outcome.DEPLOYED
    assert one.url is not None
    assert one.url.endswith("/v2/models/digits/infer")
    assert digits(delivering).agrees
    assert digits(delivering).served_digest == one.candidate.tree_digest

    two = deliver(delivering, second)
    assert two.decision.outcome is Outcome.DEPLOYED
    assert two.swap is not None
    assert two.swap.previous_digest == one.candidate.tree_digest
    assert digits(delivering).version == two.version
    alias = delivering.serving.mlflow.alias("digits", "live-digits")
    assert alias is not None
    assert alias.version == two.version

    older = deliver(delivering, late)
    assert older.decision.outcome is Outcome.SUPERSEDED
    assert digits(delivering).served_digest == two.candidate.tree_digest

    before = deployments(delivering)
    equal = deliver(delivering, delivering.registered("equal", seed=3))
    assert equal.decision.outcome is Outcome.ALREADY_LIVE
    assert equal.version == two.version
    assert deliver(delivering, second).decision.outcome is Outcome.ALREADY_LIVE
    assert deployments(delivering) == before

    _swap_behind_our_back(delivering, one)
    seen = digits(delivering)
    assert not seen.agrees
    assert seen.served_digest == one.candidate.tree_digest
    assert "find out who changed it" in seen.reason
    assert deliver(delivering, second).decision.outcome is Outcome.DEPLOYED
    assert digits(delivering).agrees
    assert deployments(delivering) == before

    delivering.serving.provider.server.unload("digits")
    gone = digits(delivering)
    assert not gone.agrees
    assert gone.served_digest is None
    assert deliver(delivering, second).decision.deploy
    assert digits(delivering).agrees

    third = deliver(delivering, delivering.registered("third", seed=4))
    copies = {d.name for d in (delivering.applied.served / "digits").iterdir()}
    assert copies == {two.candidate.tree_digest, third.candidate.tree_digest}


def _swap_behind_our_back(platform: Platform, other: Delivered) -> None:
    settings = platform.applied.model_repository / "digits" / "model-settings.json"
    changed = json.loads(settings.read_text())
    digest = other.candidate.tree_digest
    changed["parameters"]["uri"] = str(platform.applied.served / "digits" / digest)
    changed["parameters"]["extra"] = {ids.VERSION: "99"}
    settings.write_text(json.dumps(changed))
    platform.serving.provider.server.load("digits")


def test_runs_at_once_for_one_checkpoint_make_one_deployment(delivering: Platform) -> None:
    key = delivering.registered("at-once", seed=5)
    before = deployments(delivering)
    outcomes: list[Outcome] = []
    runs = [
        threading.Thread(target=lambda: outcomes.append(deliver(delivering, key).decision.outcome))
        for _ in range(3)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join(120)
    assert sorted(outcomes) == [Outcome.ALREADY_LIVE, Outcome.ALREADY_LIVE, Outcome.DEPLOYED]
    assert deployments(delivering) == before + 1


def test_a_swap_that_was_not_recorded_is_concluded(delivering: Platform) -> None:
    """Killed between the server's answer and the ledger: the next attempt only records."""
    key = delivering.registered("unrecorded", seed=6)
    serving = delivering.serving
    candidate, version = candidate_of(key, serving.ledger)
    prefix = copy_prefix("digits", candidate.tree_digest)
    into = serving.provider.served / "digits"
    copy = fetch_copy(serving.provider.store, prefix, candidate.tree_digest, into)
    intended = intended_of(candidate, version, "digits", None, None)
    provider = serving.provider
    ensure_served(provider.server, provider.repository, intended, copy.directory)
    assert not digits(delivering).agrees

    concluded = deliver(delivering, key)
    assert concluded.decision.outcome is Outcome.DEPLOYED
    assert concluded.swap is not None
    assert not concluded.swap.changed
    assert digits(delivering).agrees
    assert digits(delivering).checkpoint == key


def test_a_model_without_entry_ends_registered(delivering: Platform) -> None:
    delivered = deliver(delivering, delivering.registered("one", model="letters"))
    assert delivered.decision.outcome is Outcome.REGISTERED
    assert "letters has no entry in the serving file" in delivered.decision.reason
    assert delivered.url is None


def test_a_format_that_mlserver_cannot_serve_ends_registered(delivering: Platform) -> None:
    key = delivering.registered("one", model="words", make=huggingface_checkpoint)
    delivered = deliver(delivering, key)
    assert delivered.decision.outcome is Outcome.REGISTERED
    assert "format huggingface cannot be served here" in delivered.decision.reason
    assert told_digest(delivering.serving.provider.server, "words") is None


def test_a_checkpoint_that_was_not_registered_is_told(delivering: Platform) -> None:
    with pytest.raises(NotRegistered, match="materialize models/published_copy first"):
        deliver(delivering, "digits.none.000000000000")


def _somebody_loads_a_model(platform: Platform) -> None:
    deliver(platform, platform.registered("known", seed=8))
    repository = platform.applied.model_repository
    settings = json.loads((repository / "digits" / "model-settings.json").read_text())
    settings["name"] = "stranger"
    write_in_one_step(
        repository / "stranger" / "model-settings.json", json.dumps(settings).encode()
    )
    platform.serving.provider.server.load("stranger")


@pytest.fixture
def stranger(delivering: Platform) -> Iterator[None]:
    _somebody_loads_a_model(delivering)
    yield
    shutil.rmtree(delivering.applied.model_repository / "stranger")
    shutil.rmtree(delivering.applied.checkpoint_root / "digits" / "known")
    delivering.serving.provider.server.unload("stranger")


@pytest.mark.usefixtures("stranger")
def test_a_model_that_somebody_loaded_is_seen(delivering: Platform) -> None:
    observed = observe_live(delivering.serving.provider, delivering.serving.ledger)
    (seen,) = [one for one in observed if one.endpoint == "stranger"]
    assert not seen.agrees
    assert "the ledger knows no deployment" in seen.reason


def test_a_declared_endpoint_without_deployment_is_shown(delivering: Platform) -> None:
    provider, ledger = delivering.serving.provider, delivering.serving.ledger
    (seen,) = [o for o in observe_live(provider, ledger, {"words"}) if o.endpoint == "words"]
    assert seen.agrees
    assert seen.reason == "nothing was deployed yet"


def test_a_server_that_is_down_is_cannot_tell(delivering: Platform) -> None:
    down = ModelServer(f"http://127.0.0.1:{free_port()}")
    assert not down.ready()
    with pytest.raises(ModelServerUnavailable, match="is the model server running"):
        observe_live(replace(delivering.serving.provider, server=down), delivering.serving.ledger)


@pytest.mark.usefixtures("stranger")
def test_the_assets_show_what_a_person_wants_to_see(delivering: Platform) -> None:
    key = delivering.registered("shown", seed=9)
    serving = delivering.serving
    resources = {
        "estate": delivering.applied,
        "mlflow": serving.mlflow,
        "provider": serving.provider,
        "ledger": serving.ledger,
    }
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions(str(CHECKPOINTS.name), [key])
        done = dg.materialize([endpoint], partition_key=key, instance=instance, resources=resources)
        (event,) = done.get_asset_materialization_events()
        shown = {name: value.value for name, value in event.materialization.metadata.items()}
        assert shown["outcome"] == "deployed"
        assert shown["endpoint_url"] == serving.provider.server.infer_url("digits")
        assert shown[ids.CHECKPOINT] == key
        assert shown["first_request"] == "answered"
        assert len(str(shown[ids.TREE_DIGEST])) == 64

        look = dg.define_asset_job("look", selection=dg.AssetSelection.assets(LIVE_ENDPOINTS))
        definitions = dg.Definitions(
            assets=[live_endpoints],
            asset_checks=[agree_with_ledger],
            jobs=[look],
            resources=resources,
        )
        seen = definitions.resolve_job_def("look").execute_in_process(instance=instance)
        (observation,) = seen.get_asset_observation_events()
        told = observation.asset_observation_data.asset_observation.metadata
        assert told["agrees"].value is False
        assert told["differing"].value == "stranger"
        (check,) = seen.get_asset_check_evaluations()
        assert not check.passed
        assert "stranger: the server serves" in str(check.description)
