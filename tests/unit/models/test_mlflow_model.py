"""What of an MLflow model is served, and every hostile `MLmodel` that is not."""

import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from platform_assets.models.checkpoint_directory import (
    CheckpointRefused,
    JudgedCheckpoint,
    judge_checkpoint,
)
from platform_assets.models.seal import seal
from platform_assets.spec.serving import ServedModel
from tests.sample_checkpoints import mlflow_checkpoint


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    return mlflow_checkpoint(tmp_path, "digits", "first", seal=False)


def _judge(directory: Path, *pickles: str) -> JudgedCheckpoint:
    seal(str(directory))
    served = ServedModel(model="digits", endpoint="digits", allow_pickles=pickles)
    return judge_checkpoint(directory, directory.parent.parent, served, datetime.now(UTC))


def _refusal(directory: Path, *pickles: str) -> str:
    with pytest.raises(CheckpointRefused) as refused:
        _judge(directory, *pickles)
    return str(refused.value)


def _edit(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = yaml.safe_load((directory / "MLmodel").read_text())
    change(document)
    (directory / "MLmodel").write_text(yaml.safe_dump(document))


def _flavor(document: dict[str, Any], name: str) -> dict[str, Any]:
    flavor: dict[str, Any] = document["flavors"][name]
    return flavor


def test_what_mlflow_saves_as_skops_is_taken(trained: Path) -> None:
    judged = _judge(trained)
    assert judged.format == "mlflow"
    assert [file.path for file in judged.manifest.files] == [
        "MLmodel",
        "conda.yaml",
        "model.skops",
        "python_env.yaml",
        "requirements.txt",
    ]


@pytest.mark.parametrize(
    "module", ["mlflow.pyfunc.model", "os", "mlflow.pyfunc.loaders.code_model", None, ["os"], 1]
)
def test_a_foreign_loader_and_a_python_model_are_refused(trained: Path, module: Any) -> None:
    _edit(trained, lambda d: _flavor(d, "python_function").update(loader_module=module))
    message = _refusal(trained)
    assert (
        f"MLmodel: flavors.python_function.loader_module: expected mlflow.sklearn, found {module!r}"
    ) in message


@pytest.mark.parametrize("flavor", ["python_function", "sklearn"])
def test_code_beside_the_model_is_refused(trained: Path, flavor: str) -> None:
    _edit(trained, lambda d: _flavor(d, flavor).update(code="code"))
    assert f"MLmodel: flavors.{flavor}.code: expected none, found 'code'" in _refusal(trained)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda d: d.update(model_code_path="model.py"), "model_code_path"),
        (lambda d: _flavor(d, "python_function").update(model_code_path="m.py"), "model_code_path"),
        (lambda d: _flavor(d, "python_function").update(python_model="m.pkl"), "python_model"),
        (lambda d: _flavor(d, "python_function").update(data="../other"), "data"),
        (lambda d: _flavor(d, "python_function").update(artifacts={"a": 1}), "artifacts"),
        (lambda d: d.update(auth_policy={"a": 1}), "auth_policy"),
    ],
)
def test_keys_that_may_run_code_are_refused(
    trained: Path, change: Callable[[dict[str, Any]], object], key: str
) -> None:
    _edit(trained, change)
    message = _refusal(trained)
    assert f"{key}: this key is not allowed, for it may run code or point elsewhere" in message


def test_another_flavor_is_refused(trained: Path) -> None:
    _edit(trained, lambda d: d["flavors"].update(langchain={}))
    assert "flavors: expected python_function and sklearn, found 'langchain'" in _refusal(trained)


def test_a_missing_flavor_is_refused(trained: Path) -> None:
    _edit(trained, lambda d: d["flavors"].pop("sklearn"))
    assert "flavors: expected sklearn, found none" in _refusal(trained)


@pytest.mark.parametrize("form", ["pickle", "cloudpickle", None, "surprise"])
def test_pickles_are_refused(trained: Path, form: str | None) -> None:
    _edit(trained, lambda d: _flavor(d, "sklearn").update(serialization_format=form))
    message = _refusal(trained)
    assert f"serialization_format: expected skops, found {form!r}, which runs code" in message


def test_a_pickle_is_taken_only_where_it_is_allowed_by_name(trained: Path) -> None:
    (trained / "model.skops").rename(trained / "model.pkl")

    def say_pickle(document: dict[str, Any]) -> None:
        _flavor(document, "python_function")["model_path"] = "model.pkl"
        _flavor(document, "sklearn")["pickled_model"] = "model.pkl"
        _flavor(document, "sklearn")["serialization_format"] = "cloudpickle"

    _edit(trained, say_pickle)
    assert "model.pkl: expected serving files of the kinds" in _refusal(trained)
    assert "model.pkl" in [file.path for file in _judge(trained, "model.pkl").manifest.files]


@pytest.mark.parametrize("name", ["code/evil.py", "python_model.pkl", "model.joblib", "a.so"])
def test_serving_files_of_another_kind_are_refused(trained: Path, name: str) -> None:
    (trained / name).parent.mkdir(exist_ok=True)
    (trained / name).touch()
    assert f"{name}: expected serving files of the kinds that an MLflow model" in _refusal(trained)


@pytest.mark.parametrize("trusted", [["os.system"], ["builtins.dict", "sklearn.evil"], "os.system"])
def test_trusted_types_outside_our_list_are_refused(trained: Path, trusted: Any) -> None:
    _edit(trained, lambda d: _flavor(d, "sklearn").update(skops_trusted_types=trusted))
    message = _refusal(trained)
    assert "MLmodel: flavors.sklearn.skops_trusted_types: expected types of our list" in message


def test_trusted_types_inside_our_list_are_taken(trained: Path) -> None:
    kind = "sklearn.neural_network._stochastic_optimizers.AdamOptimizer"
    _edit(trained, lambda d: _flavor(d, "sklearn").update(skops_trusted_types=[kind]))
    assert _judge(trained).run == "first"


@pytest.mark.parametrize("file", ["other.skops", "../../etc/passwd", None, ["model.skops"]])
def test_a_model_file_that_is_not_listed_is_refused(trained: Path, file: Any) -> None:
    _edit(trained, lambda d: _flavor(d, "sklearn").update(pickled_model=file))
    assert "pickled_model: expected a serving file that python_function.model_path" in _refusal(
        trained
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected a mapping, found NoneType"),
        ("[1]", "expected a mapping, found list"),
        ("flavors: 1\n", "flavors: expected a mapping, found int"),
        ("flavors: {sklearn: 1}\n", "flavors.sklearn: expected a mapping"),
        ("a: [", "expected YAML, found text that does not parse"),
        ("a: !!python/object/apply:os.system [id]\n", "text that does not parse"),
        ("a: &a [x]\nb: [*a, *a]\n", "expected no YAML aliases"),
        ("? [a]\n: b\n", "text that does not parse"),
        ("[" * 500_000, "found text nested deeper"),
        ("# " + "x" * 2**20, "expected at most 1048576 bytes"),
    ],
)
def test_an_mlmodel_that_is_no_description_is_refused(trained: Path, text: str, told: str) -> None:
    (trained / "MLmodel").write_text(text)
    message = _refusal(trained)
    assert "MLmodel: " in message
    assert told in message


def _with_schema(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    with zipfile.ZipFile(file) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(contents["schema.json"])
    change(schema)
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in contents.items():
            archive.writestr(name, json.dumps(schema) if name == "schema.json" else data)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"__module__": "os", "__class__": "system"}, "found 'os.system' by 'ObjectNode'"),
        ({"__module__": "sklearn.tree._tree", "__class__": "Tree"}, "'sklearn.tree._tree.Tree'"),
        ({"__loader__": "OperatorFuncNode"}, "by 'OperatorFuncNode'"),
        ({"__loader__": "MethodNode"}, "by 'MethodNode'"),
        ({"__loader__": ["ObjectNode"]}, "by ['ObjectNode']"),
        ({"protocol": 0}, "expected skops protocol 2, found 0"),
    ],
)
def test_a_skops_file_with_other_types_is_refused(
    trained: Path, change: dict[str, Any], told: str
) -> None:
    _with_schema(trained / "model.skops", lambda schema: schema.update(change))
    message = _refusal(trained)
    assert "model.skops: expected" in message
    assert told in message


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04pickle", b"x" * 100])
def test_bytes_that_are_no_skops_file_are_refused(trained: Path, content: bytes) -> None:
    (trained / "model.skops").write_bytes(content)
    assert "model.skops: expected a skops file, found one that cannot be read" in _refusal(trained)


def test_a_schema_that_unpacks_to_too_much_is_refused(trained: Path) -> None:
    with zipfile.ZipFile(trained / "model.skops", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b" " * (33 * 2**20))
    assert "model.skops: expected a schema of at most" in _refusal(trained)


def test_our_list_is_inside_what_skops_itself_trusts_but_for_a_few() -> None:
    from skops.io import _trusted_types as theirs

    from platform_assets.models.skops_types import TRUSTED_TYPES

    trusted = {*theirs.SKLEARN_ESTIMATOR_TYPE_NAMES, *theirs.SKLEARN_INTERNAL_TYPE_NAMES}
    ours = {name for name in TRUSTED_TYPES if name.startswith("sklearn.")}
    assert ours - trusted == {
        "sklearn.metrics._scorer._PassthroughScorer",
        "sklearn.model_selection._split.KFold",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    }
