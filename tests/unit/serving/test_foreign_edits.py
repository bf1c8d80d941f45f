"""What others wrote is told from what was declared anew, and taken back whole."""

from copy import deepcopy
from typing import Any

import pytest

from platform_assets.serving.foreign_edits import (
    changed_fields,
    superfluous,
    taken_back,
    writers_of,
)
from platform_assets.serving.inference_service import differs, with_passing_of
from tests.unit.serving.cluster_model import manifest

URI: dict[str, Any] = {"f:spec": {"f:predictor": {"f:model": {"f:storageUri": {}}}}}
ENV: dict[str, Any] = {
    "f:spec": {
        "f:predictor": {"f:model": {"f:env": {'k:{"name":"THREADS"}': {".": {}, "f:value": {}}}}}
    }
}


def edited(fields: dict[str, Any], **model: Any) -> dict[str, Any]:
    found = manifest(1, {"gpus": 1})
    found["spec"]["predictor"]["annotations"]["ai-how.dev/dagster-run"] = "an earlier one"
    found["spec"]["predictor"]["minReplicas"] = 4
    found["spec"]["predictor"]["model"] |= model
    entry = {"manager": "kubectl-edit", "time": "2026-11-21T10:00:00Z", "fieldsV1": fields}
    found["metadata"]["managedFields"] = [entry]
    return found


@pytest.mark.parametrize(
    ("found", "field"),
    [
        (edited(URI, storageUri="s3://elsewhere/"), "model.storageUri"),
        (edited(ENV, env=[{"name": "THREADS", "value": "1"}]), "model.env"),
    ],
)
def test_what_only_others_wrote_is_taken_back_without_a_restart(
    found: dict[str, Any], field: str
) -> None:
    wanted = manifest(1, {"gpus": 1})
    assert changed_fields(found, wanted) == (field,)
    assert writers_of(found, (field,)) == ("kubectl-edit",)
    mended = taken_back(found, wanted)
    predictor = mended["spec"]["predictor"]
    assert differs(predictor, wanted["spec"]["predictor"]) == ()
    assert predictor["minReplicas"] == 4
    applied = with_passing_of(mended, wanted)["spec"]["predictor"]
    assert applied["annotations"]["ai-how.dev/dagster-run"] == "an earlier one"
    assert found["spec"]["predictor"] != predictor


def test_what_is_declared_anew_is_not_taken_back() -> None:
    found = edited(URI, storageUri="s3://elsewhere/")
    assert taken_back(found, manifest(1, {"gpus": 2})) is found
    assert taken_back(found, manifest(2, {"gpus": 1})) is found
    changed = changed_fields(found, manifest(1, {"gpus": 2}))
    assert "model.resources.limits.nvidia.com/gpu" in changed
    assert writers_of(found, ("model.resources.limits.nvidia.com/gpu",)) == ()


def test_only_what_nobody_declares_is_removed() -> None:
    wanted = manifest(1, {"gpus": 1})["spec"]
    found = deepcopy(wanted)
    found["transformer"] = {"minReplicas": 1}
    found["predictor"]["model"] |= {"env": [{"name": "A"}], "name": "", "storage": {}}
    found["predictor"]["model"]["resources"]["limits"]["cpu"] = "1"
    assert superfluous(found, wanted) == {
        "transformer": None,
        "predictor": {"model": {"env": None, "resources": {"limits": {"cpu": None}}}},
    }
    assert superfluous(wanted, wanted) == {}
