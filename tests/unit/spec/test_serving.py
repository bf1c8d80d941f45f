"""The serving file: what it may say, and what a person reads when it says something else."""

from pathlib import Path

import pytest

from platform_assets.spec.retention import Keep
from platform_assets.spec.serving import AliasPromotion, Approval, ServingRefused, read_serving

ROOT = Path(__file__).parents[3]


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "serving.yaml"
    file.write_text(text)
    return file


def test_our_own_file_serves_digits() -> None:
    config = read_serving(ROOT / "config" / "serving.yaml")
    entry = config.for_endpoint("digits")
    assert entry is not None
    assert entry == config.for_model("digits")
    assert (entry.model, entry.promotion, entry.owners) == ("digits", "automatic", None)
    assert config.for_endpoint("nothing") is None
    assert config.for_model("nothing") is None


def test_owners_and_pickles_are_read(tmp_path: Path) -> None:
    text = "models:\n  m:\n    endpoint: e\n    owners: [0, 1000]\n    allow_pickles: [a/b.pkl]\n"
    entry = read_serving(written(tmp_path, text)).models["m"]
    assert entry.owners == (0, 1000)
    alone = read_serving(written(tmp_path, "models: {m: {endpoint: e, owners: [1000]}}"))
    assert alone.models["m"].owners == (1000,)
    assert entry.allow_pickles == ("a/b.pkl",)


def test_a_rule_for_all_is_replaced_as_a_whole_by_that_of_a_model(tmp_path: Path) -> None:
    text = (
        "keep: {versions: 3, days: 90}\nmodels:\n  a: {endpoint: a}\n"
        "  b: {endpoint: b, keep: {versions: 1, pinned: [7, '8']}}\n"
    )
    config = read_serving(written(tmp_path, text))
    assert config.kept_of("a") == config.kept_of("unknown") == Keep(versions=3, days=90)
    assert config.kept_of("b") == Keep(versions=1, days=30, pinned=("7", "8"))
    assert read_serving(written(tmp_path, "models: {}")).kept_of("a") is None


def test_live_models_are_read_again_each_week_unless_the_file_says_otherwise(
    tmp_path: Path,
) -> None:
    config = read_serving(written(tmp_path, "models: {}"))
    assert (config.rehash_days, config.rehash_mib_per_s) == (7, 100)
    config = read_serving(written(tmp_path, "rehash_days: 0.5\nrehash_mib_per_s: 8\nmodels: {}"))
    assert (config.rehash_days, config.rehash_mib_per_s) == (0.5, 8)


def test_nothing_may_be_served(tmp_path: Path) -> None:
    assert read_serving(written(tmp_path, "models: {}")).models == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a mapping with the key models, found NoneType"),
        ("[]", "expected a mapping with the key models, found list"),
        ("{", "expected YAML"),
        ("models: 3", "serving.yaml:1: models:"),
        ("x: 1", "models: Field required"),
        ("models: {}\nx: 1", "serving.yaml:2: x: unknown key; expected models"),
        ("models:\n  Digits: {endpoint: a}", ":2: models.Digits: model name 'Digits'"),
        ("models:\n  a:\n    endpoint: B", ":3: models.a.endpoint: endpoint name 'B'"),
        ("models:\n  a: {}", ":2: models.a.endpoint: Field required"),
        ("models:\n  a: 3", ":2: models.a:"),
        (
            "models:\n  a:\n    endpoint: a\n    colour: red",
            ":4: models.a.colour: unknown key; expected endpoint, promotion",
        ),
        (
            "models:\n  a:\n    endpoint: a\n    promotion: manual",
            "models.a.promotion: expected automatic, or a mapping {alias: NAME}, found 'manual'",
        ),
        (
            "models:\n  a:\n    endpoint: x\n  b:\n    endpoint: x",
            ":5: models.b.endpoint: endpoint 'x' already belongs to model 'a'",
        ),
        ("models:\n  a: {endpoint: a}\n  a: {endpoint: b}", "'a' stands here for the second time"),
        ("models:\n  a:\n    endpoint: a\n    model: b", ":4: models.a.model: unknown key"),
        (
            "keep: {versions: 1, day: 2}\nmodels: {}",
            ":1: keep.day: unknown key; expected versions, days",
        ),
        ("models: {}\nkeep: {versions: 0}", ":2: keep.versions: "),
        (
            "models:\n  a:\n    endpoint: a\n    keep: {versions: 1, pinned: [x]}",
            ":4: models.a.keep.pinned: expected numbers of versions, found 'x'",
        ),
        (
            "models:\n  a:\n    endpoint: a\n    keep: {versions: 1, pinned: [true]}",
            ":4: models.a.keep.pinned: expected numbers of versions, found True",
        ),
        (
            "models:\n  a:\n    endpoint: a\n    keep: {versions: 1, pinned: 3}",
            ":4: models.a.keep.pinned: Input should be a valid tuple, found 3",
        ),
        ("models: {}\nrehash_days: 0", ":2: rehash_days: "),
        ("models:\n  a:\n    endpoint: a\n    owners: []", ":4: models.a.owners: expected at"),
        ("models:\n  a:\n    endpoint: a\n    owners: [-1]", "none negative"),
        ("models:\n  a:\n    endpoint: a\n    owners: [5, -1]", "none negative"),
        (
            "models:\n  a:\n    endpoint: a\n    allow_pickles: [../x]",
            "relative to the checkpoint, found '../x'",
        ),
        (
            "models:\n  a:\n    endpoint: a\n    allow_pickles: [/x]",
            "relative to the checkpoint, found '/x'",
        ),
        (
            "models:\n  a:\n    endpoint: a\n    allow_pickles: ['']",
            "relative to the checkpoint, found ''",
        ),
        (
            "models:\n  gates:\n    endpoint: a\n    colour: red",
            ":4: models.gates.colour: unknown key; expected endpoint, promotion",
        ),
        ("? [a]\n: 1", "expected YAML, found: while constructing a mapping"),
        ("!!python/object/apply:os.system [id]", "could not determine a constructor"),
    ],
)
def test_a_wrong_file_names_line_key_and_remedy(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ServingRefused) as refused:
        read_serving(written(tmp_path, text))
    assert words in str(refused.value)
    assert str(tmp_path / "serving.yaml") in str(refused.value)


@pytest.mark.parametrize("alias", ["a" * 24, "production", "later", "live", "v7-a"])
def test_an_alias_that_nobody_else_sets_is_taken(tmp_path: Path, alias: str) -> None:
    text = f"models:\n  a: {{endpoint: a, promotion: {{alias: {alias}}}}}"
    promotion = read_serving(written(tmp_path, text)).models["a"].promotion
    assert promotion == AliasPromotion(alias=alias)


def test_a_missing_key_is_told_alone(tmp_path: Path) -> None:
    file = written(tmp_path, "models:\n  a: {}")
    with pytest.raises(ServingRefused) as refused:
        read_serving(file)
    assert str(refused.value) == f"{file}:2: models.a.endpoint: Field required"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServingRefused, match="cannot be read") as refused:
        read_serving(tmp_path / "none.yaml")
    assert "none.yaml" in str(refused.value)


def test_promotion_approval_and_signers_are_read(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "models:\n  a:\n    endpoint: a\n    promotion: {alias: champion}\n    approval: true\n"
        "    signers: [keys/a.pub, /etc/b.pub]\n"
        "  b:\n    endpoint: b\n    approval: {by: [ada]}\n  c:\n    endpoint: c\n"
        "    approval: false\n",
    )
    models = read_serving(file).models
    assert models["a"].promotion == AliasPromotion(alias="champion")
    assert models["a"].approval == Approval()
    assert models["a"].signers == (str(tmp_path / "keys/a.pub"), "/etc/b.pub")
    assert models["b"].approval == Approval(by=("ada",))
    assert models["c"].approval is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("promotion: {alias: latest}", "none that is taken"),
        ("promotion: {alias: v7}", "none that is taken"),
        ("promotion: {alias: live-a}", "none that is taken"),
        ("promotion: {alias: A}", "found 'A'"),
        ("promotion: {alas: a}", "expected automatic, or a mapping {alias: NAME}"),
        ("approval: maybe", "expected true, or a mapping {by: [NAME, ...]}, found 'maybe'"),
        ("approval: {by: []}", "expected true, or a mapping {by: [NAME, ...]}"),
        ("approval: {by: [unknown]}", "expected true, or a mapping {by: [NAME, ...]}"),
        ("promotion: [alias]", "{alias: NAME}, found ['alias']"),
        ("approval: [by]", "{by: [NAME, ...]}, found ['by']"),
        ("promotion: {alias: a, by: b}", "{alias: NAME}, found {'alias': 'a', 'by': 'b'}"),
        ("approval: {by: [a], or: b}", "{by: [NAME, ...]}, found {'by': ['a'], 'or': 'b'}"),
        ("signers: [key.pub, 3]", "found 3"),
        ("approval: {by: [ada, unknown]}", "expected true, or a mapping {by: [NAME, ...]}"),
        ("approval: {by: [' ']}", "expected true, or a mapping {by: [NAME, ...]}"),
        ("approval: {by: [3]}", "expected true, or a mapping {by: [NAME, ...]}, found {'by': [3]}"),
        (f"promotion: {{alias: {'a' * 25}}}", f"found '{'a' * 25}'"),
        ("signers: []", "at least one file of a public key"),
        ("signers: key.pub", "found 'key.pub'"),
    ],
)
def test_a_wrong_word_on_promotion_is_told(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(ServingRefused) as refused:
        read_serving(written(tmp_path, f"models:\n  a:\n    endpoint: a\n    {line}\n"))
    assert words in str(refused.value)
    assert ":4: models.a." in str(refused.value)
