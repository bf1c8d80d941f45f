"""Whether `services/kserve` is there, and when it is out of date."""

from pathlib import Path

import dagster as dg

from ai_how.build import build_defs
from platform_assets import keys
from platform_assets.spec.applied import AppliedEstate
from tests.applied_estates import applied_estate

KSERVE = {
    "images": {"storage_container": "registry.example.org/sc@sha256:" + "0" * 64},
    "managed": False,
    "object_store": {"url": "http://10.0.0.1:8333"},
}


def estate(tmp_path: Path, serving: str = "kubernetes", **changes: object) -> AppliedEstate:
    cloud = {
        "kubernetes": {"kubeconfig": "kubeconfig"},
        "mlops": {"serving": {"kserve": KSERVE | changes}},
    }
    declared = {
        "metadata": {"name": "made"},
        "placement": {"serving": serving},
        "clusters": {"cloud": cloud},
    }
    return applied_estate(tmp_path, declared=declared)


def version_of(found: AppliedEstate) -> str | None:
    graph = build_defs(found).resolve_asset_graph()
    return graph.get(keys.KSERVE).code_version if graph.has(keys.KSERVE) else None


def test_it_is_there_only_where_models_are_served_on_a_cluster(tmp_path: Path) -> None:
    assert version_of(estate(tmp_path, "host")) is None
    assert version_of(estate(tmp_path)) is not None


def test_an_edit_of_its_part_makes_it_out_of_date(tmp_path: Path) -> None:
    first = version_of(estate(tmp_path))
    assert version_of(estate(tmp_path)) == first
    assert version_of(estate(tmp_path, namespace="kserve-2")) != first


def test_it_has_its_checks(tmp_path: Path) -> None:
    graph = build_defs(estate(tmp_path)).resolve_asset_graph()
    checks = {key.name for key in graph.asset_check_keys if key.asset_key == keys.KSERVE}
    assert checks == {"definitions", "webhooks", "manager", "certificate", "endpoint_ground"}
    assert dg.AssetKey(["services", "mlflow"]) in set(graph.get_all_asset_keys())
