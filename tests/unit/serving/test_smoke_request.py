"""The request that proves a candidate: built from what the model says of its inputs."""

from typing import Any

import pytest

from platform_assets.serving.smoke_request import smoke_request


def described(datatype: str, shape: list[int], name: str = "input-0") -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape}


def test_one_row_of_ones_is_asked() -> None:
    request = smoke_request({"inputs": [described("FP64", [-1, 64])]})
    assert request == {
        "inputs": [{"name": "input-0", "datatype": "FP64", "shape": [1, 64], "data": [1.0] * 64}]
    }


def test_every_column_is_given() -> None:
    columns = [described("INT64", [-1, 1], "age"), described("BOOL", [-1, 1], "member")]
    request = smoke_request({"inputs": columns})
    assert request is not None
    assert [(t["name"], t["data"]) for t in request["inputs"]] == [("age", [1]), ("member", [True])]


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"inputs": None},
        {"inputs": []},
        {"inputs": [described("BYTES", [-1, 1])]},
        {"inputs": [described("FP64", [-1, 1]), described("BYTES", [-1, 1], "text")]},
        {"inputs": [described("FP32", [-1, 4096, 4096])]},
    ],
)
def test_a_model_whose_inputs_do_not_tell_is_not_asked(metadata: dict[str, Any]) -> None:
    assert smoke_request(metadata) is None
