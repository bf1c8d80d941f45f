"""From bytes to the estate: the messages a person sees, and what is left to be judged."""

import pytest

from platform_assets.spec.canonical import canonical
from platform_assets.spec.findings import Finding, Severity
from platform_assets.spec.loading.load import MAX_FINDINGS, load
from platform_assets.spec.loading.reading import MAX_GUESSES
from platform_assets.spec.loading.wording import FORMS
from platform_assets.spec.model.base import Declared
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.model.shapes import ROOT, keys_of

CANARY = "hunter2-canary"
WRONG_NAME = (
    "name: estate name 'Örtlich': expected 1 to 24 lower-case letters, digits and '-', "
    "beginning with a letter and not ending with '-'; rename it"
)


def loaded(text, **variables):
    return load(text.encode(), "e.yaml", variables)


def told(text, **variables):
    return [(f.rule, f.line, f.column, f.message) for f in loaded(text, **variables).findings]


def machine(line):
    """Return an estate with one machine in whose mapping `line` stands, in line 9."""
    return (
        "metadata:\n  name: e\nclusters:\n  hpc:\n    controller:\n      cpu_cores: 4\n"
        f"      memory_gb: 8\n      disk_gb: 50\n      {line}\n"
    )


def without(key):
    lines = machine("auto_start: true").splitlines()
    return "\n".join(line for line in lines if key not in line)


@pytest.mark.parametrize(
    ("line", "rule", "message"),
    [
        ("memroy_gb: 8", "unknown-key", "memroy_gb: unknown, did you mean memory_gb?"),
        ("ip_adress: 10.0.0.1", "unknown-key", "ip_adress: unknown, did you mean ip_address?"),
        ("colour: red", "unknown-key", "colour: unknown"),
        ("colour:", "unknown-key", "colour: unknown"),
        ("auto_start: maybe", "wrong-type", "auto_start: expected true or false, found 'maybe'"),
        ("ip: [a]", "wrong-type", "ip: expected text, found a list"),
        ("ip: {a: b}", "wrong-type", "ip: expected text, found keys and values"),
        ("services: mlflow", "wrong-type", "services: expected a list, found 'mlflow'"),
        ("services: [~]", "wrong-type", "this item: expected text, found nothing"),
        ("node_labels: a", "wrong-type", "node_labels: expected keys and values, found 'a'"),
        ("monitoring: a", "wrong-type", "monitoring: expected keys and values, found 'a'"),
        (
            "worker_type: tpu",
            "not-a-choice",
            "worker_type: expected 'cpu' or 'gpu', found 'tpu'",
        ),
        (
            "pcie_passthrough: {devices: [{pci_address: a, vendor_id: 10d}, {pci_address: b}]}",
            None,
            None,
        ),
        (
            "pcie_passthrough: {devices: [{pci_address: a, vendor_id: nvidia}]}",
            "wrong-form",
            "vendor_id: expected four hex digits, as in 10de, found 'nvidia'",
        ),
        (
            "pcie_passthrough: {devices: [{pci_address: a, iommu_group: -1}]}",
            "out-of-bounds",
            "iommu_group: expected at least 0, found '-1'",
        ),
        ("image: ${IMAGE}", "unresolved-reference", "image: the variable IMAGE is not set"),
        (
            "auto_start: ${HOME}",
            "wrong-type",
            "auto_start: expected true or false, found the value of ${HOME}",
        ),
        ("name: Größe", None, None),
    ],
)
def test_a_wrong_line_is_told(line, rule, message):
    found = told(machine(line), HOME=CANARY)
    assert [(f[0], f[1], f[3]) for f in found] == ([(rule, 9, message)] if rule else [])


@pytest.mark.parametrize(
    ("key", "value", "rule", "message"),
    [
        ("cpu_cores", "0", "out-of-bounds", "expected at least 1, found '0'"),
        ("cpu_cores", "-4", "out-of-bounds", "expected at least 1, found '-4'"),
        ("cpu_cores", "many", "wrong-type", "expected a whole number, found 'many'"),
        ("cpu_cores", "4.5", "wrong-type", "expected a whole number, found '4.5'"),
        (
            "cpu_cores",
            "9" * 30,
            "out-of-bounds",
            "expected at most 4,096, found '" + "9" * 30 + "'",
        ),
        ("cpu_cores", "9" * 9999, "out-of-bounds", None),
        (
            "memory_gb",
            "1000000000",
            "out-of-bounds",
            "expected at most 1,000,000, found '1000000000'",
        ),
        ("memory_gb", ".nan", "wrong-type", "expected a number, found '.nan'"),
        ("memory_gb", "nan", "out-of-bounds", "expected a finite number, found 'nan'"),
        ("memory_gb", "inf", "out-of-bounds", "expected a finite number, found 'inf'"),
        ("memory_gb", "1e400", "out-of-bounds", "expected a finite number, found '1e400'"),
        ("memory_gb", "8GB", "wrong-type", "expected a number, found '8GB'"),
        ("memory_gb", "0", "out-of-bounds", "expected more than 0, found '0'"),
        ("disk_gb", "", "missing-key", "missing"),
        ("disk_gb", "[1]", "wrong-type", "expected a number, found a list"),
    ],
)
def test_a_wrong_number_is_told_once_and_the_machine_stays(key, value, rule, message):
    sizes = {"cpu_cores": "4", "memory_gb": "8", "disk_gb": "50", key: value}
    text = machine("")
    for name, old in (("cpu_cores", "4"), ("memory_gb", "8"), ("disk_gb", "50")):
        text = text.replace(f"{name}: {old}", f"{name}: {sizes[name]}")
    result = loaded(text)
    (finding,) = result.findings
    assert finding.rule == rule
    assert message is None or finding.message == f"{key}: {message}"
    assert len(finding.message) < 200
    assert result.estate.clusters.hpc.controller.name == "controller"


@pytest.mark.parametrize("key", ["cpu_cores", "memory_gb", "disk_gb"])
def test_a_missing_key_is_told_at_the_machine(key):
    result = loaded(without(key))
    assert [(f.rule, f.line, f.message) for f in result.findings] == [
        ("missing-key", 5, f"{key}: missing")
    ]
    assert result.estate is not None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("version: '1.0'\n", ("missing-key", 1, 1, "metadata: missing")),
        ("metadata:\n", ("missing-key", 1, 1, "metadata: missing")),
        ("metadata: {}\n", ("missing-key", 1, 1, "name: missing")),
        (
            "metadata: local\n",
            ("wrong-type", 1, 1, "metadata: expected keys and values, found 'local'"),
        ),
        (
            "metadata:\n  name: Örtlich\n",
            (
                "wrong-value",
                2,
                3,
                WRONG_NAME,
            ),
        ),
        (
            "name: e\nversion: 2\n",
            ("not-a-choice", 2, 1, "version: expected '1.0', found '2'"),
        ),
    ],
)
def test_a_wrong_head_is_told_and_the_rest_can_be_judged(text, found):
    assert told(text) == [found]
    assert loaded(text).estate is not None


def test_what_is_wrong_and_optional_is_taken_out_and_positions_stay_those_of_the_file():
    text = (
        "name: e\nclusters:\n  cloud:\n    mlops:\n      minio:\n        buckets:\n"
        "          - nonsense\n          - name: models\n          - name: data\n"
    )
    result = loaded(text)
    (finding,) = result.findings
    buckets = ("clusters", "cloud", "mlops", "minio", "buckets")
    assert (finding.path, finding.line) == ((*buckets, 0), 7)
    assert [b.name for b in result.estate.clusters.cloud.mlops.minio.buckets] == ["models", "data"]
    rule_says = Finding("r", Severity.NOTE, (*buckets, 1, "name"), "m", "r")
    (located,) = result.located([rule_says])
    assert (located.path, located.line, located.column) == ((*buckets, 2, "name"), 9, 13)


def test_what_lacks_a_key_it_cannot_do_without_is_taken_out():
    result = loaded(machine("pcie_passthrough: {devices: [{vendor_id: 10de}]}"))
    assert [f.message for f in result.findings] == ["pci_address: missing"]
    assert result.estate.clusters.hpc.controller.pcie_passthrough.devices == ()


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("clusters", "hpc", "controller", "cpu_cores"), (6, 7)),
        (("clusters", "hpc", "controller", "mac"), (5, 5)),
        (("clusters", "hpc", "controller", "gpu", "devices", 3, "id"), (5, 5)),
        (("clusters", "hpc", "controller", "cpu_cores", "below"), (6, 7)),
        (("clusters", "hpc", "nothing", "controller"), (4, 3)),
        (("clusters", "hpc", "controller", "services", 7), (9, 7)),
        (("clusters", "cloud", "workers", 0), (3, 1)),
        ((), (1, 1)),
    ],
)
def test_a_finding_gets_the_place_of_what_it_is_about_or_stands_in(path, place):
    text = machine("services: [mlflow, minio]")
    (located,) = loaded(text).located([Finding("r", Severity.NOTE, path, "m", "r")])
    assert (located.file, located.line, located.column) == ("e.yaml", *place)
    assert located.path == path


def test_a_finding_that_has_its_place_keeps_it():
    finding = Finding("r", Severity.NOTE, ("clusters",), "m", "r", "e.yaml", 99, 7)
    assert loaded(machine("")).located([finding]) == [finding]


def test_a_key_with_another_name_in_the_model_is_found():
    text = "name: e\nclusters:\n  cloud:\n    mlops: {minio: {storage:\n      {class: fast}}}\n"
    path = ("clusters", "cloud", "mlops", "minio", "storage", "storage_class")
    (located,) = loaded(text).located([Finding("r", Severity.NOTE, path, "m", "r")])
    assert (located.line, located.column) == (5, 8)


def database(password):
    return (
        "name: e\nclusters:\n  cloud:\n    mlops:\n      postgresql:\n        database:\n"
        f"          password: {password}\n"
    )


def password_of(result):
    return result.estate.clusters.cloud.mlops.postgresql.database.password


@pytest.mark.parametrize("text", ["${DB}", "'${DB}'", "{secret: {env: DB}}", "${DB:-}"])
def test_a_variable_that_holds_a_secret_is_named_and_never_read(text):
    class Unreadable(dict):
        def get(self, *_):
            pytest.fail("a secret was read")

    result = load(database(text).encode(), "e.yaml", Unreadable())
    assert result.findings == ()
    assert password_of(result).secret.env == "DB"


def test_what_the_model_says_of_a_variable_does_not_show_its_value():
    (finding,) = loaded("name: ${NAME}\n", NAME=f"Wrong {CANARY}").findings
    assert finding.message.startswith("name: estate name '${NAME}': expected 1 to 24 ")
    assert CANARY not in repr(finding)


def test_the_path_of_a_secret_may_name_variables():
    result = loaded(database("{secret: {file: '${HOME}/pw'}}"), HOME="/h")
    assert password_of(result).secret.file == "/h/pw"


@pytest.mark.parametrize(
    ("text", "rule", "severity", "message"),
    [
        (
            f"${{DB:-{CANARY}}}",
            "literal-secret",
            "warning",
            "password: the default of ${DB:-…} is a secret in clear",
        ),
        (
            f"{CANARY}${{DB}}",
            "secret-in-parts",
            "error",
            "password: expected one reference as the whole secret, found one inside text",
        ),
        (
            f"[{CANARY}]",
            "wrong-type",
            "error",
            "password: expected a reference to a secret; what was found is not shown",
        ),
        (
            f"{{value: {CANARY}}}",
            "wrong-type",
            "error",
            "password: expected a reference to a secret; what was found is not shown",
        ),
        (
            f"{{secret: {CANARY}}}",
            "wrong-type",
            "error",
            "password: expected a reference to a secret; what was found is not shown",
        ),
        (
            f"{{secret: {{env: A, file: {CANARY}}}}}",
            "wrong-type",
            "error",
            "password: expected a reference to a secret; what was found is not shown",
        ),
        (
            "(literal, hidden)",
            "secret-hidden",
            "error",
            "password: the secret was hidden when this file was written",
        ),
    ],
)
def test_a_wrong_secret_is_told_and_not_shown(text, rule, severity, message):
    result = loaded(database(text))
    assert severity == "warning" or password_of(result) is None
    assert [(f.rule, f.severity.value, f.message) for f in result.findings] == [
        (rule, severity, message)
    ]
    assert CANARY not in repr(result.findings) + repr(result.estate)


@pytest.mark.parametrize("text", [CANARY, f"!{CANARY}", f"*{CANARY}", f"&{CANARY}", f"'{CANARY}"])
def test_a_literal_secret_is_shown_nowhere(text):
    result = loaded(database(text))
    shown = repr(result.findings) + repr(result.estate)
    assert CANARY not in shown + (repr(canonical(result.estate)) if result.estate else "")


def test_a_default_of_a_secret_is_an_error_in_production():
    (finding,) = loaded("profile: production\n" + database("${DB:-x}")).findings
    assert finding.severity is Severity.ERROR
    text = "profile: production\ntesting: {a: b}\n" + database("${DB:-x}")
    assert {(found.rule, found.severity) for found in loaded(text).findings} == {
        ("foreign-section", Severity.WARNING),
        ("literal-secret", Severity.ERROR),
    }


def test_secrets_among_settings_that_are_taken_as_they_are_stay_hidden():
    text = (
        "name: e\nclusters:\n  hpc:\n    slurm_accounting:\n"
        f"      storage_pass: {CANARY}\n      other_password: '${{DB}}'\n"
        f"      path: '${{HOME}}/x'\n      deep: {{token: [{CANARY}]}}\n"
        "      token: {secret: {file: '${HOME}/x'}}\n"
    )
    result = loaded(text, HOME="/h", DB=CANARY)
    assert canonical(result.estate)["clusters"]["hpc"]["slurm"]["accounting"] == {
        "storage_pass": "(literal, hidden)",
        "other_password": {"secret": {"env": "DB"}},
        "path": "/h/x",
        "deep": {"token": ["(literal, hidden)"]},
        "token": {"secret": {"file": "/h/x"}},
    }


def test_very_many_findings_are_cut_off():
    text = "name: e\n" + "".join(f"k{number}: 1\n" for number in range(MAX_FINDINGS + 10))
    findings = loaded(text).findings
    assert len(findings) == MAX_FINDINGS + 1
    assert findings[-1].message == "10 more findings are not shown"


def test_every_pattern_of_the_model_has_words():
    patterns, seen, open_ = set(), set(), [ROOT]
    while open_:
        shape = open_.pop()
        open_ += [inner for inner in (shape.item, shape.value) if inner is not None]
        if shape.part is not None and shape.part not in seen:
            seen.add(shape.part)
            open_ += keys_of(shape.part).values()
            patterns |= _patterns(shape.part)
    assert Estate in seen
    assert patterns
    assert patterns <= set(FORMS)


def _patterns(part: type[Declared]):
    def walk(value):
        if isinstance(value, dict):
            if isinstance(value.get("pattern"), str):
                yield value["pattern"]
            for content in value.values():
                yield from walk(content)
        elif isinstance(value, list):
            for content in value:
                yield from walk(content)

    return set(walk(part.model_json_schema()))


def test_after_many_unknown_keys_nobody_guesses_what_was_meant():
    text = "name: e\n" + "".join(f"metadat{number}: 1\n" for number in range(MAX_GUESSES + 1))
    messages = [finding.message for finding in loaded(text).findings[: MAX_GUESSES + 1]]
    assert messages[-2:] == [
        f"metadat{MAX_GUESSES - 1}: unknown, did you mean metadata?",
        f"metadat{MAX_GUESSES}: unknown",
    ]


def test_a_number_with_a_fraction_keeps_it_in_the_canonical_form():
    declared = canonical(loaded(machine("gpu_enabled: true").replace(": 8", ": 1.5")).estate)
    controller = declared["clusters"]["hpc"]["controller"]
    assert (controller["memory_gb"], controller["disk_gb"]) == (1.5, 50)
