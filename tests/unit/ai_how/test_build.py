"""The definitions load from an applied estate without contacting anything."""

import itertools

import dagster as dg
import pytest

from ai_how.build import build_defs, connections
from platform_assets import keys
from platform_assets.serving.kserve_provider import KserveProvider
from tests.applied_estates import applied_estate


@pytest.fixture
def estate(tmp_path):
    # Nothing listens on any of these: loading must not notice.
    return applied_estate(tmp_path / "no-state")


def test_the_definitions_load_and_contact_nothing(estate):
    defs = build_defs(estate)
    dg.Definitions.validate_loadable(defs)


def test_every_asset_tells_what_it_is_and_whose(estate):
    graph = build_defs(estate).resolve_asset_graph()
    expected = {
        keys.TRAINED_CHECKPOINT,
        keys.PUBLISHED_COPY,
        keys.REGISTERED_VERSION,
        keys.ENDPOINT,
        keys.LIVE_ENDPOINTS,
        keys.OBJECT_STORE,
        keys.MLFLOW,
        keys.MODEL_SERVER,
        keys.ESTATE,
        keys.CAPACITY_PLAN,
        keys.HOST_FACTS,
        keys.GPU_INVENTORY,
    }
    assert set(graph.get_all_asset_keys()) == expected
    for key in expected:
        node = graph.get(key)
        assert node.description, f"{key} has no description"
        assert len(node.description) > 60, f"{key}: {node.description}"
        assert node.kinds, f"{key} has no kinds"
        assert node.owners, f"{key} has no owner"
        assert node.group_name == key.path[0]


def test_the_chain_runs_from_checkpoint_to_endpoint(estate):
    graph = build_defs(estate).resolve_asset_graph()
    chain = [
        keys.TRAINED_CHECKPOINT,
        keys.PUBLISHED_COPY,
        keys.REGISTERED_VERSION,
        keys.ENDPOINT,
    ]
    for upstream, downstream in itertools.pairwise(chain):
        assert upstream in graph.get(downstream).parent_keys


def test_a_test_puts_its_own_connection_in(estate):
    other = object()
    defs = build_defs(estate, resource_overrides={"model_server": other})
    assert defs.resources is not None
    assert defs.resources["model_server"] is other


def test_a_delivery_does_not_verify_everything_that_is_live(estate):
    defs = build_defs(estate)
    verified = {
        f"{key.to_python_identifier()}_{keys.VERIFIED_CHECK}"
        for key in (keys.PUBLISHED_COPY, keys.REGISTERED_VERSION, keys.ENDPOINT)
    }
    verifying = {node.name for node in defs.resolve_job_def("verify_live_models").nodes}
    delivering = {node.name for node in defs.resolve_job_def("deliver_checkpoint").nodes}
    assert verifying == verified
    assert not delivering & verified


def on_kubernetes(tmp_path, **kserve):
    kserve |= {"object_store": {"url": "http://10.0.0.1:1"}}
    cloud = {
        "kubernetes": {"kubeconfig": "/nowhere"},
        "mlops": {"serving": {"kserve": kserve}},
    }
    declared = {
        "metadata": {"name": "test"},
        "placement": {"serving": "kubernetes"},
        "clusters": {"cloud": cloud},
    }
    return applied_estate(tmp_path / "no-state", declared=declared)


def test_an_estate_on_kubernetes_loads_and_contacts_nothing(tmp_path):
    estate = on_kubernetes(tmp_path, managed=False)
    defs = build_defs(estate)
    dg.Definitions.validate_loadable(defs)
    graph = defs.resolve_asset_graph()
    assert keys.KSERVE in graph.get_all_asset_keys()
    for carried in (keys.ENDPOINT, keys.LIVE_ENDPOINTS):
        assert graph.get(carried).kinds == {"kserve", "openinference"}
    assert isinstance(connections(estate).provider, KserveProvider)


@pytest.mark.parametrize("managed", [True, False])
def test_kserve_is_kept_daily_and_its_owners_is_only_looked_at(tmp_path, managed):
    defs = build_defs(on_kubernetes(tmp_path, managed=managed))
    [schedule] = [one for one in defs.schedules if one.name == "daily_kserve_upkeep"]
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    steps = {node.name for node in defs.resolve_job_def(schedule.job_name).nodes}
    names = ("definitions", "webhooks", "manager", "certificate", "endpoint_ground")
    checks = {f"services__kserve_{name}" for name in names}
    assert steps == (checks | {"services__kserve"} if managed else checks)


def test_an_estate_without_kubernetes_keeps_no_kserve(estate):
    defs = build_defs(estate)
    assert [one.name for one in defs.schedules] == ["hourly_verification"]
    assert "keep_kserve" not in {one.name for one in defs.jobs}
