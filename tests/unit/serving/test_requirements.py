"""What a model logged of its environment beside what the server has."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.serving.requirements import (
    Compared,
    Logged,
    RequirementsUnreadable,
    Size,
    compared_requirements,
    difference,
    installed_distributions,
    logged_requirements,
)
from platform_assets.spec.gates import RequirementsGate

HAS = {"scikit-learn": "1.9.1", "numpy": "2.3.5", "skops": "0.13.0"}
MLMODEL = """
flavors:
  python_function: {python_version: 3.11.7, loader_module: mlflow.sklearn}
  sklearn: {sklearn_version: 1.9.1}
"""


def compared(
    *lines: str, library: str = "1.9.1", rules: RequirementsGate | None = None
) -> dict[str, Compared]:
    logged = Logged("3.11.7", ("scikit-learn", library), lines)
    found = compared_requirements(logged, rules or RequirementsGate(), HAS, "3.11.9")
    return {one.name: one for one in found}


@pytest.mark.parametrize(
    ("logged", "found", "size"),
    [
        ("1.9.1", "1.9.1", Size.SAME), ("1.9", "1.9.0", Size.SAME), ("1.9.1", "1.9.2", Size.PATCH),
        ("1.9.1", "1.9.1+cu12", Size.PATCH), ("1.9.1", "1.8.1", Size.MINOR),
        ("1.9.1", "2.0.0", Size.MAJOR), ("0.13.0", "0.14.0", Size.MAJOR),
        ("0.13.0", "0.13.1", Size.PATCH), ("1!1.0", "1.0", Size.MAJOR),
        ("odd one", "odd one", Size.SAME), ("odd one", "1.0", Size.MAJOR),
    ],
)  # fmt: skip
def test_how_far_versions_are_apart(logged: str, found: str, size: Size) -> None:
    assert difference(logged, found) is size


versions = st.lists(st.integers(0, 30), min_size=1, max_size=4).map(
    lambda parts: ".".join(map(str, parts))
)


@settings(deadline=None)
@given(versions, versions)
def test_equal_versions_alone_are_alike(one: str, other: str) -> None:
    from packaging.version import Version

    assert (difference(one, other) is Size.SAME) == (Version(one) == Version(other))


@pytest.mark.parametrize(
    ("library", "limit", "passed"),
    [("1.9.1", "minor", True), ("1.8.0", "major", True), ("1.8.0", "minor", False),
     ("0.24.2", "major", False), ("0.24.2", "missing", True)],
)  # fmt: skip
def test_the_library_fails_from_its_limit_on(library: str, limit: str, passed: bool) -> None:
    rules = RequirementsGate.model_validate({"library": limit})
    assert compared(library=library, rules=rules)["scikit-learn"].passed is passed


def test_by_default_only_a_missing_requirement_fails_among_the_others() -> None:
    found = compared("numpy==1.0", "Skops>=0.12", "nobody.has_this", "scikit_learn")
    assert found["python"].size is Size.PATCH
    assert (found["numpy"].size, found["numpy"].passed) == (Size.MAJOR, True)
    assert found["skops"].size is Size.SAME
    assert (found["nobody-has-this"].size, found["nobody-has-this"].passed) == (Size.MISSING, False)
    assert len(found) == 5  # the library was compared by its version


def test_a_specifier_that_is_not_met_counts_as_another_major_version() -> None:
    rules = RequirementsGate(others="major")
    assert not compared("numpy<2", rules=rules)["numpy"].passed
    assert compared("numpy==2.*", rules=rules)["numpy"].passed


def test_what_is_for_other_machines_is_left_out_and_odd_lines_are_shown() -> None:
    found = compared('gone==1; python_version < "3.0"', "git+https://example.org/x.git")
    assert "gone" not in found
    assert found["git+https://example.org/x.git"].passed
    assert "not compared" in found["git+https://example.org/x.git"].found


def test_never_lets_everything_pass() -> None:
    rules = RequirementsGate(library="never", python="never", others="never")
    logged = Logged("2.7", ("scikit-learn", "0.1"), ("gone",))
    assert all(one.passed for one in compared_requirements(logged, rules, {}, "3.11.9"))


def test_a_model_directory_is_read(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text(MLMODEL)
    (tmp_path / "requirements.txt").write_text(
        "# by mlflow\n-r other.txt\nnumpy==2.3.5 \\\n  --hash=sha256:00\nskops  # for the model\n"
    )
    logged = logged_requirements(tmp_path)
    assert logged == Logged("3.11.7", ("scikit-learn", "1.9.1"), ("numpy==2.3.5", "skops"))


def test_without_requirements_the_conda_file_tells(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text(MLMODEL)
    (tmp_path / "conda.yaml").write_text("dependencies: [python=3.11.7, {pip: [numpy==2.3.5]}]")
    assert logged_requirements(tmp_path).lines == ("numpy==2.3.5",)


def test_a_model_that_logged_nothing_is_compared_with_nothing(tmp_path: Path) -> None:
    assert logged_requirements(tmp_path) == Logged(None, None, ())


@pytest.mark.parametrize("text", ["a: [", "[" * 5000, "\x00"])
def test_a_file_that_is_no_yaml_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "conda.yaml").write_text(text)
    with pytest.raises(RequirementsUnreadable, match=r"conda\.yaml: expected YAML"):
        logged_requirements(tmp_path)


def test_our_own_environment_is_read() -> None:
    import sklearn

    assert installed_distributions()["scikit-learn"] == sklearn.__version__
