"""The key `gates` of the serving file, and what a person reads when it is wrong."""

from pathlib import Path

import pytest

from platform_assets.spec.gates import METRICS, EvaluationGate, Gates, LoadGate
from platform_assets.spec.serving import ServingRefused, read_serving

ROOT = Path(__file__).parents[3]
HEAD = "models:\n  a:\n    endpoint: a\n    gates:\n"


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "serving.yaml"
    file.write_text(text)
    return file


def gates(tmp_path: Path, text: str) -> Gates:
    found = read_serving(written(tmp_path, HEAD + text)).models["a"].gates
    assert found is not None
    return found


def test_no_gates_is_none_and_empty_gates_compare_requirements(tmp_path: Path) -> None:
    assert read_serving(written(tmp_path, "models: {a: {endpoint: a}}")).models["a"].gates is None
    empty = read_serving(written(tmp_path, "models: {a: {endpoint: a, gates: {}}}")).models["a"]
    assert empty.gates is not None
    rules = empty.gates.requirements
    assert (rules.library, rules.python, rules.others) == ("major", "major", "missing")
    assert (empty.gates.smoke, empty.gates.load, empty.gates.evaluation) == (None, None, None)


def test_everything_is_read(tmp_path: Path) -> None:
    found = gates(
        tmp_path,
        "      timeout_s: 2\n"
        "      smoke: {file: rows/a.jsonl, tolerance: 0.5}\n"
        "      load: {requests: 7, max_error_rate: 0.1, p50_ms: 1, p99_ms: 9}\n"
        "      evaluation: {file: b.csv, metric: r2, minimum: -1, recorded_as: test_r2}\n"
        "      requirements: {library: minor, others: never}\n",
    )
    assert found.timeout_s == 2
    assert found.smoke is not None
    assert (found.smoke.file, found.smoke.tolerance) == ("rows/a.jsonl", 0.5)
    assert found.load is not None
    assert found.load.bounds() == {50: 1.0, 99: 9.0}
    assert found.evaluation is not None
    assert found.evaluation.more_is_better
    assert found.requirements.library == "minor"


def test_our_own_file_gates_digits_with_rows_that_are_there() -> None:
    found = read_serving(ROOT / "config" / "serving.yaml").models["digits"].gates
    assert found is not None
    assert isinstance(found.evaluation, EvaluationGate)
    assert isinstance(found.load, LoadGate)
    assert found.smoke is not None
    assert (ROOT / "config" / found.smoke.file).is_file()
    assert (ROOT / "config" / found.evaluation.file).is_file()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("      colour: red", ":5: models.a.gates.colour: unknown key; expected timeout_s, smoke"),
        (
            "      load:\n        rate: 1",
            ":6: models.a.gates.load.rate: unknown key; expected requests, max_error_rate, p50_ms",
        ),
        ("      timeout_s: 0", ":5: models.a.gates.timeout_s: Input should be greater than 0"),
        ("      timeout_s: 61", "timeout_s: Input should be less than or equal to 60, found 61"),
        ("      smoke: {}", ":5: models.a.gates.smoke.file: Field required"),
        ("      smoke: {file: ../x.csv}", "expected a file relative to the serving file's folder"),
        ("      smoke: {file: /x.csv}", "found '/x.csv'"),
        ("      smoke: {file: a.csv, tolerance: -0.5}", "greater than or equal to 0, found -0.5"),
        ("      load: {requests: 10001}", "less than or equal to 10000, found 10001"),
        ("      load: {p50_ms: 0}", "models.a.gates.load.p50_ms: Input should be greater than 0"),
        ("      load: {requests: 0}", "models.a.gates.load.requests: Input should be greater"),
        ("      load: {max_error_rate: 1}", "should be less than 1"),
        ("      load: {p95_ms: .nan}", "models.a.gates.load.p95_ms"),
        ("      evaluation: {file: a.csv, metric: auc, minimum: 1}", "found 'auc'"),
        ("      evaluation: {file: a.csv, metric: r2}", "the gate would pass everything"),
        (
            "      evaluation: {file: a.csv, metric: r2, minimum: .nan}",
            "models.a.gates.evaluation.minimum: Input should be a finite number",
        ),
        (
            "      requirements: {library: patch}",
            "should be 'minor', 'major', 'missing' or 'never'",
        ),
    ],
)
def test_a_wrong_gate_names_line_key_and_remedy(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ServingRefused) as refused:
        read_serving(written(tmp_path, HEAD + text))
    assert words in str(refused.value)
    assert str(tmp_path / "serving.yaml") in str(refused.value)


def test_less_of_an_error_is_better_and_more_of_all_else() -> None:
    assert {name for name, more in METRICS.items() if not more} == {
        name for name in METRICS if name.endswith("_error")
    }


def test_the_bounds_of_a_load_gate_are_those_that_are_declared() -> None:
    assert LoadGate(p50_ms=1, p95_ms=2, p99_ms=3).bounds() == {50: 1, 95: 2, 99: 3}
    assert LoadGate(p95_ms=2).bounds() == {95: 2}
