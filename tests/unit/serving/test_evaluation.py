"""Rows of inputs and expected answers: the files, the requests, the answers, their worth."""

import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.serving.evaluation_metrics import metric_value
from platform_assets.serving.evaluation_request import (
    DoesNotFit,
    answered_rows,
    comes_out,
    inference_request,
    takes_batches,
)
from platform_assets.serving.evaluation_set import (
    EvaluationSetRefused,
    Row,
    read_evaluation_set,
)
from platform_assets.spec.gates import METRICS

ROOT = Path(__file__).parents[3]
VECTOR = {"inputs": [{"name": "input-0", "datatype": "FP64", "shape": [-1, 3]}]}
COLUMNS = {
    "inputs": [
        {"name": "size", "datatype": "INT64", "shape": [-1, 1]},
        {"name": "colour", "datatype": "BYTES", "shape": [-1, 1]},
    ]
}


def rows(tmp_path: Path, name: str, text: str | bytes) -> tuple[Row, ...]:
    data = text.encode() if isinstance(text, str) else text
    (tmp_path / name).write_bytes(data)
    found = read_evaluation_set(tmp_path, name)
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    return found.rows


def test_json_lines_are_read(tmp_path: Path) -> None:
    lines = [
        '{"inputs": [1, 2.5], "expected": "a"}',
        "",
        '{"name": "x", "inputs": {"b": 1}, "expected": [1]}',
    ]
    assert rows(tmp_path, "a.jsonl", "\n".join(lines)) == (
        Row("line 1", [1, 2.5], "a"),
        Row("x", {"b": 1}, [1]),
    )


def test_csv_is_read_with_numbers_texts_and_truth_values(tmp_path: Path) -> None:
    text = "\ufeffa,expected,b,name\n1,true,x,first\n2.5,false,nan,\n"
    assert rows(tmp_path, "a.csv", text) == (
        Row("first", {"a": 1, "b": "x"}, True),
        Row("line 3", {"a": 2.5, "b": "nan"}, False),
    )


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.txt", "", "expected a file ending in .jsonl or .csv"),
        ("a.jsonl", "", "expected at least one row"),
        ("a.jsonl", "{}\n", "a.jsonl:1: expected an object with inputs, expected"),
        ("a.jsonl", "[]\n", "found list"),
        ("a.jsonl", '{"inputs": 1, "expected": 1, "x": 1}', "found ['expected', 'inputs', 'x']"),
        ("a.jsonl", '\n{"inputs": NaN, "expected": 1}', "a.jsonl:2: expected one JSON object"),
        ("a.jsonl", "[" * 100_000, "a.jsonl:1: expected one JSON object"),
        ("a.csv", "a,b\n1,2\n", "a.csv:1: expected a header of different names"),
        ("a.csv", "a,a,expected\n1,2,3\n", "a.csv:1: expected a header of different names"),
        ("a.csv", "expected\n1\n", "a.csv:1: expected a header"),
        ("a.csv", "a,expected\n1\n", "a.csv:2: expected 2 cells as the header has, found 1"),
        ("a.csv", 'a,expected\n"1,2\n', "expected CSV"),
        ("a.csv", "a,expected\n", "expected at least one row"),
        ("a.csv", b"\xff\xfe", "expected UTF-8"),
        ("a.csv", "a,expected\n" + "1,2\n" * 10_001, "expected at most 10000 rows"),
    ],
)
def test_a_wrong_file_names_line_and_remedy(
    tmp_path: Path, name: str, text: str | bytes, words: str
) -> None:
    with pytest.raises(EvaluationSetRefused) as refused:
        rows(tmp_path, name, text)
    assert words in str(refused.value)
    assert str(tmp_path / name) in str(refused.value)


def test_a_file_that_is_absent_or_too_large_is_told(tmp_path: Path) -> None:
    with pytest.raises(EvaluationSetRefused, match="cannot be read: No such file"):
        read_evaluation_set(tmp_path, "none.csv")
    (tmp_path / "large.csv").write_bytes(b"x" * (16 * 2**20 + 1))
    with pytest.raises(EvaluationSetRefused, match="expected at most 16777216 bytes"):
        read_evaluation_set(tmp_path, "large.csv")


def test_one_tensor_takes_lists_nested_lists_and_columns_in_their_order() -> None:
    given_rows = [
        Row("a", [1, 2, 3], 0),
        Row("b", [[4], [5], [6]], 0),
        Row("c", {"z": 7, "y": 8, "x": 9}, 0),
    ]
    (tensor,) = inference_request(given_rows, VECTOR)["inputs"]
    assert tensor["shape"] == [3, 3]
    assert tensor["data"] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    assert takes_batches(VECTOR)


def test_named_inputs_take_their_own_values() -> None:
    given_rows = [
        Row("a", {"colour": "red", "size": 1.0}, 0),
        Row("b", {"size": 2, "colour": 3}, 0),
    ]
    size, colour = inference_request(given_rows, COLUMNS)["inputs"]
    assert (size["shape"], size["data"]) == ([2, 1], [1, 2])
    assert (colour["shape"], colour["data"]) == ([2, 1], ["red", "3"])
    assert json.dumps([size, colour])


def test_an_open_size_is_what_the_values_are() -> None:
    image = {"inputs": [{"name": "i", "datatype": "FP32", "shape": [1, -1, 2]}]}
    (tensor,) = inference_request([Row("a", [1, 2, 3, 4], 0)], image)["inputs"]
    assert tensor["shape"] == [1, 2, 2]
    assert not takes_batches(image)
    assert not takes_batches({})


@pytest.mark.parametrize(
    ("row", "metadata", "words"),
    [
        ([1, 2], VECTOR, "a: input input-0: expected 3 values, found 2"),
        ([1, 2, "x"], VECTOR, "input input-0: expected values of FP64, found 'x'"),
        ({"size": 1}, COLUMNS, "a: expected a value for input colour, found size"),
        ([1, 2], COLUMNS, "a: expected an object with a value for input size"),
        ({"size": 1.5, "colour": "x"}, COLUMNS, "expected values of INT64, found 1.5"),
        ({"size": math.inf, "colour": "x"}, COLUMNS, "expected values of INT64, found inf"),
        ([1], {"inputs": []}, "the model's signature tells no inputs"),
        (
            [1, 2, 3],
            {"inputs": [{"name": "i", "datatype": "FP32", "shape": [-1, -1, 2]}]},
            "3 values do not fill the shape",
        ),
    ],
)  # fmt: skip
def test_rows_for_another_model_are_told(row: Any, metadata: dict[str, Any], words: str) -> None:
    with pytest.raises(DoesNotFit) as misfit:
        inference_request([Row("a", row, 0)], metadata)
    assert words in str(misfit.value)


def test_answers_are_split_by_row() -> None:
    one = {"name": "output-1", "shape": [2, 1], "data": [5, 6]}
    wide = {"name": "probabilities", "shape": [2, 2], "data": [[0.1, 0.9], [0.8, 0.2]]}
    assert answered_rows({"outputs": [one]}, 2) == [5, 6]
    assert answered_rows({"outputs": [wide]}, 2) == [[0.1, 0.9], [0.8, 0.2]]
    assert answered_rows({"outputs": [one, wide]}, 2)[1] == {
        "output-1": 6,
        "probabilities": [0.8, 0.2],
    }
    for wrong in ({}, {"outputs": [{"name": "o", "data": []}]}, {"outputs": [one]}):
        with pytest.raises(DoesNotFit):
            answered_rows(wrong, 3)


@pytest.mark.parametrize(
    ("expected", "found", "right"),
    [
        (5, 5, True), (5, 5.0000001, True), (5, 5.1, False), ("a", "a", True), ("5", 5, False),
        (True, True, True), (True, 1, False), (1, True, False), ([1, 2], [1, 2.0], True),
        ([[1], [2]], [1, 2], True), ([1], [1, 2], False), ([1], 1, True),
        (math.nan, math.nan, False),
        ({"a": 1}, {"a": 1, "b": 9}, True), ({"a": 1}, {"b": 1}, False), ({"a": 1}, 1, False),
        (None, 1, False),
    ],
)  # fmt: skip
def test_an_answer_comes_out_or_not(expected: Any, found: Any, right: bool) -> None:
    assert comes_out(expected, found, 1e-6) is right


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_metrics_of_classes_are_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    import warnings

    from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

    expected, found = [one for one, _ in pairs], [other for _, other in pairs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = {
            "accuracy": accuracy_score(expected, found),
            "balanced_accuracy": balanced_accuracy_score(expected, found),
            "f1_macro": f1_score(expected, found, average="macro"),
        }
    ours = {metric: metric_value(metric, expected, found) for metric in theirs}
    assert ours == pytest.approx(theirs)


numbers = st.floats(-1e6, 1e6)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=40))
def test_metrics_of_numbers_are_scikit_learns(pairs: list[tuple[float, float]]) -> None:
    from sklearn.metrics import mean_absolute_error, mean_squared_error

    expected, found = [one for one, _ in pairs], [other for _, other in pairs]
    squared = mean_squared_error(expected, found)
    theirs = {
        "mean_absolute_error": mean_absolute_error(expected, found),
        "mean_squared_error": squared,
        "root_mean_squared_error": math.sqrt(squared),
    }
    ours = {metric: metric_value(metric, expected, found) for metric in theirs}
    assert ours == pytest.approx(theirs)


def test_r2_is_scikit_learns_and_undefined_without_spread() -> None:
    from sklearn.metrics import r2_score

    expected, found = [1.0, 2.0, 4.0], [1.5, 2.0, 3.0]
    assert metric_value("r2", expected, found) == pytest.approx(r2_score(expected, found))
    with pytest.raises(DoesNotFit, match="r2 is not defined"):
        metric_value("r2", [1, 1], [1, 2])


def test_probabilities_count_as_the_likeliest_class() -> None:
    assert metric_value("accuracy", [1, 0], [[0.1, 0.9], [0.3, 0.7]]) == 0.5
    with pytest.raises(DoesNotFit, match="expected one output, the model answers several: a, b"):
        metric_value("accuracy", [1], [{"a": 1, "b": 2}])


def test_a_metric_of_numbers_refuses_texts_and_survives_overflow() -> None:
    with pytest.raises(DoesNotFit, match="expected numbers, answered: 'x'"):
        metric_value("mean_absolute_error", [1], ["x"])
    assert metric_value("mean_squared_error", [1e300], [-1e300]) == math.inf


def test_every_metric_that_may_be_declared_is_there() -> None:
    for metric in METRICS:
        assert isinstance(metric_value(metric, [1, 2], [1, 2]), float)


def test_the_committed_rows_are_the_ones_that_training_never_sees(tmp_path: Path) -> None:
    command = [sys.executable, "examples/digits/held_out.py", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=300)
    for made in tmp_path.iterdir():
        assert made.read_bytes() == (ROOT / "config" / "gates" / made.name).read_bytes()
    assert len(read_evaluation_set(ROOT / "config", "gates/digits.csv").rows) == 180
