"""`ai-how config`: what a person and a machine see, and that no secret is among it."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from ai_how.cli import findings_output
from ai_how.cli.config import app
from ai_how.cli.main import app as everything
from ai_how.estate_file import PROJECT
from ai_how.estate_templates import TemplateNotWritten, TemplateUnknown, template_names
from platform_assets.infrastructure.estate_file import EstateUnreadable
from platform_assets.spec import judgement
from platform_assets.spec.findings import Finding, Severity

SOUND = "metadata: {name: small}\n"
WRONG = """\
metadata:
  name: small
  descripton: a lab
"""
CLOUD = """\
metadata: {{name: small}}
clusters:
  cloud:
    kubernetes: {{version: "{version}", kubespray: v2.31.0, runtime_version: 2.0.8}}
"""
CANARIES = """\
metadata: {name: leaky}
clusters:
  hpc:
    controller:
      {cpu_cores: 2, memory_gb: 4, disk_gb: 50, munge: {key: canary-0, a: {secret: [canary-1]}}}
    slurm_config: {database: {password: "canary-2$x"}, accounting: {storage_pass: "${CANARY}"}}
  cloud:
    mlops:
      mlflow:
        database: {password: "${CANARY}"}
        artifact_store: {credentials: "${NOT_SET:-canary-3}"}
      minio: {credentials: {root_user: admin, root_password: "12canary34"}}
    monitoring:
      grafana: {admin_password: {secret: {env: CANARY}}}
      alerting: {smtp_password: canary-4}
"""
BAD_TYPES = """\
metadata: {name: leaky}
clusters:
  cloud:
    mlops:
      mlflow: {database: {password: [canary-1]}, artifact_store: {credentials: {a: canary-2}}}
      postgresql: {database: {password: {secret: canary-3}}}
    monitoring: {grafana: {admin_pasword: canary-4, admin_password: {secret: {envv: canary-5}}}}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CANARY", "canary-of-the-environment")
    monkeypatch.delenv("AI_HOW_CONFIG", raising=False)
    return tmp_path


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def written(text: str, name: str = "estate.yaml") -> str:
    Path(name).write_text(text)
    return name


def findings_of(result: Result) -> list[dict[str, object]]:
    answer = json.loads(result.stdout)
    assert list(answer) == ["findings"]
    return answer["findings"]


@pytest.mark.parametrize("name", template_names())
def test_every_template_is_clean_from_the_start(here: Path, name: str) -> None:
    assert invoke("init", "--template", name, "mine.yaml").exit_code == 0
    result = invoke("validate", "mine.yaml", "--json")
    wrong = [one for one in findings_of(result) if one["severity"] != "note"]
    assert (result.exit_code, wrong) == (0, [])
    schema = PROJECT / "config" / "estate.schema.json"
    assert f"$schema={schema}\n" in Path("mine.yaml").read_text()


def test_the_help_names_every_template() -> None:
    shown = " ".join(invoke("init", "--help").output.replace("│", " ").split())
    assert all(name in shown for name in template_names())


def test_init_overwrites_nothing(here: Path) -> None:
    written("mine\n")
    result = invoke("init", "--template", "minimal", "estate.yaml")
    assert isinstance(result.exception, TemplateNotWritten)
    assert str(result.exception) == (
        "estate.yaml: it is there already; name another file, or move that one away"
    )
    assert Path("estate.yaml").read_text() == "mine\n"
    result = invoke("init", "--template", "minimal", "no/such/folder.yaml")
    assert "no/such/folder.yaml: it cannot be written" in str(result.exception)


def test_init_knows_its_templates(here: Path) -> None:
    result = invoke("init", "--template", "huge", "estate.yaml")
    assert isinstance(result.exception, TemplateUnknown)
    assert str(result.exception).startswith("'huge': no such template; choose one of hpc-and-cloud")


def test_init_for_a_machine(here: Path) -> None:
    result = invoke("init", "--template", "mig", "estate.yaml", "--json")
    assert json.loads(result.stdout) == {"file": "estate.yaml", "template": "mig"}


def test_a_finding_is_shown_with_place_rule_and_remedy(here: Path) -> None:
    result = invoke("validate", written(WRONG))
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "Errors",
        "  estate.yaml:3:3  unknown-key",
        "      metadata.descripton",
        "      descripton: unknown, did you mean description?",
        "      → write description",
        "",
        "estate.yaml: 1 error",
    ]


def test_a_finding_for_a_machine(here: Path) -> None:
    result = invoke("validate", written(WRONG), "--json")
    assert result.exit_code == 1
    assert findings_of(result) == [
        {
            "rule": "unknown-key",
            "severity": "error",
            "path": ["metadata", "descripton"],
            "message": "descripton: unknown, did you mean description?",
            "remedy": "write description",
            "file": "estate.yaml",
            "line": 3,
            "column": 3,
        }
    ]


def test_a_warning_is_an_error_when_strict(here: Path) -> None:
    file = written(SOUND + "timeouts: {boot: 3}\n")
    result = invoke("validate", file)
    assert (result.exit_code, "estate.yaml: 1 warning" in result.stdout) == (0, True)
    result = invoke("validate", file, "--strict")
    assert (result.exit_code, "estate.yaml: 1 error" in result.stdout) == (1, True)
    [finding] = findings_of(invoke("validate", file, "--strict", "--json"))
    assert finding["severity"] == "error"


def test_findings_of_every_severity_fit_a_terminal(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rule(_estate: object, _grounds: object) -> list[Finding]:
        words = "long words " * 30
        return [
            Finding(f"rule-{severity}", severity, ("metadata", "name"), words, "mend\x1b[31m it")
            for severity in reversed(Severity)
        ]

    monkeypatch.setattr(judgement, "RULES", (rule,))
    shown = invoke("validate", written(SOUND)).stdout
    assert all(len(line) <= findings_output.WIDTH for line in shown.splitlines())
    assert shown.index("Errors") < shown.index("Warnings") < shown.index("Notes")
    assert "estate.yaml: 1 error, 1 warning, 1 note" in shown
    assert "\x1b" not in shown
    assert r"→ mend\x1b[31m it" in shown


def test_a_missing_file_cannot_be_told(here: Path) -> None:
    for command in ("validate", "show", "migrate", "suggest"):
        result = invoke(command, "nowhere.yaml")
        assert isinstance(result.exception, EstateUnreadable)
        assert str(result.exception) == (
            "nowhere.yaml: the estate's file cannot be read (No such file or directory); set "
            "AI_HOW_CONFIG to the file that declares the estate, or make one with "
            "`ai-how config init`"
        )


def test_the_file_is_the_one_that_the_environment_names(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AI_HOW_CONFIG", str(here / written(SOUND, "other.yaml")))
    assert invoke("validate").stdout == "other.yaml: no findings\n"
    monkeypatch.delenv("AI_HOW_CONFIG")
    monkeypatch.chdir(PROJECT)
    assert invoke("validate").stdout == "config/clusters/local.yaml: no findings\n"


@pytest.mark.parametrize("command", ["show", "migrate", "suggest"])
def test_what_does_not_load_is_not_shown(here: Path, command: str) -> None:
    result = invoke(command, written(WRONG))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "descripton: unknown, did you mean description?" in result.stderr
    assert "estate.yaml: it does not load; mend the errors above" in result.stderr


def test_show_prints_the_canonical_form(here: Path) -> None:
    file = written(CLOUD.format(version="1.35.4"))
    declared = yaml.load(invoke("show", file).stdout, yaml.BaseLoader)
    assert declared["clusters"]["cloud"] == {
        "kubernetes": {"version": "1.35.4", "kubespray": "v2.31.0", "runtime_version": "2.0.8"}
    }
    whole = invoke("show", file, "--effective", "--json").stdout
    assert json.loads(whole)["clusters"]["cloud"]["kubernetes"]["runtime"] == "containerd"


def test_diff_tells_paths_with_old_and_new(here: Path) -> None:
    old = written(CLOUD.format(version="v1.35.4"), "old.yaml")
    same = written(CLOUD.format(version="1.35.4") + "profile: development\n", "same.yaml")
    new = written(CLOUD.format(version="1.36.1") + "profile: production\n", "new.yaml")
    result = invoke("diff", old, same)
    assert (result.exit_code, result.stdout) == (0, "they mean the same\n")
    result = invoke("diff", old, new)
    assert (result.exit_code, result.stdout.splitlines()) == (
        1,
        [
            "profile: development → production",
            "clusters.cloud.kubernetes.version: 1.35.4 → 1.36.1",
        ],
    )
    result = invoke("diff", new, written(SOUND, "bare.yaml"), "--json")
    assert result.exit_code == 1
    [_, cloud] = json.loads(result.stdout)["differences"]
    assert (cloud["path"], cloud["new"]) == (["clusters", "cloud"], None)
    assert cloud["old"]["kubernetes"]["kubespray"] == "2.31.0"
    assert invoke("diff", old, written(WRONG, "wrong.yaml")).exit_code == 2


def test_migrate_writes_a_file_that_means_the_same(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIZE", "8")
    worker = "{cpu_cores: 4, memory_gb: '${SIZE}', disk_gb: 50}"
    old = written(f"name: old\nclusters:\n  cloud: {{worker_nodes: [{worker}]}}\n")
    result = invoke("migrate", old)
    assert result.exit_code == 0
    assert "comments are lost, and every ${VAR} outside of secrets is now its" in result.stderr
    new = written(result.stdout, "new.yaml")
    assert yaml.safe_load(result.stdout)["metadata"] == {"name": "old"}
    assert invoke("diff", old, new).exit_code == 0
    assert invoke("migrate", new).stdout == result.stdout
    assert json.loads(invoke("migrate", new, "--json").stdout) == yaml.safe_load(result.stdout)


def test_suggest_proposes_only_what_must_change(here: Path) -> None:
    result = invoke("suggest", written(CLOUD.format(version="1.35.4")))
    assert result.exit_code == 0
    assert result.stdout == (
        "stays: kubespray v2.31.0, kubernetes 1.35.4, containerd 2.0.8\n"
        "estate.yaml: the versions work together\n"
    )
    old = written(CLOUD.format(version="1.28.0"), "old.yaml")
    result = invoke("suggest", old)
    assert result.exit_code == 1
    assert all(len(line) <= findings_output.WIDTH for line in result.stdout.splitlines())
    assert "kubernetes: 1.28.0 → 1." in result.stdout
    assert "clusters.cloud.kubernetes.version: 1.28.0 reached its end of life on" in result.stdout
    rows = {
        row["component"]: row
        for row in json.loads(invoke("suggest", old, "--json").stdout)["suggestions"]
    }
    assert rows["kubespray"]["reason"] is None
    assert rows["kubernetes"]["path"] == ["clusters", "cloud", "kubernetes", "version"]


def test_schema_and_reference_are_what_is_committed() -> None:
    assert invoke("schema").stdout == (PROJECT / "config/estate.schema.json").read_text()
    assert invoke("reference").stdout == (PROJECT / "docs/configuration.md").read_text()


@pytest.mark.parametrize("text", [CANARIES, BAD_TYPES], ids=["values", "bad types"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("validate",),
        ("validate", "--strict"),
        ("show",),
        ("show", "--effective"),
        ("diff", "sound.yaml"),
        ("diff", "other.yaml"),
        ("migrate",),
        ("suggest",),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
def test_no_command_shows_a_secret(
    here: Path, text: str, arguments: tuple[str, ...], form: tuple[str, ...]
) -> None:
    written(SOUND, "sound.yaml")
    written(text.replace("canary", "cagedcanary"), "other.yaml")
    result = invoke(*arguments, written(text), *form)
    assert result.exit_code in {0, 1, 2}
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "canary" not in result.output
    assert result.exit_code == 2 or text == CANARIES or arguments[0] == "validate"


def test_two_literal_secrets_differ_without_being_shown(here: Path) -> None:
    one = written(CANARIES, "one.yaml")
    two = written(CANARIES.replace("12canary34", "canary-5"), "two.yaml")
    assert invoke("diff", one, one).exit_code == 0
    result = invoke("diff", one, two)
    assert " ".join(result.stdout.split()) == (
        "clusters.cloud.mlops.minio.credentials.root_password: "
        "(literal, hidden) → (another literal, hidden)"
    )


def test_migrate_puts_references_in_the_place_of_literal_secrets(here: Path) -> None:
    result = invoke("migrate", written(CANARIES))
    declared = yaml.safe_load(result.stdout)
    store = declared["clusters"]["cloud"]["mlops"]["minio"]["credentials"]["root_password"]
    assert store == {"secret": {"env": "MINIO_CREDENTIALS_ROOT_PASSWORD"}}
    told = " ".join(result.stderr.split())
    assert (
        "clusters.cloud.mlops.minio.credentials.root_password: the literal secret is now a "
        "reference; put its value into the environment variable MINIO_CREDENTIALS_ROOT_PASSWORD"
    ) in told
    assert declared["clusters"]["cloud"]["monitoring"]["alerting"] == {
        "smtp_password": {"secret": {"env": "MONITORING_ALERTING_SMTP_PASSWORD"}}
    }


def test_the_whole_command_line_is_told() -> None:
    shown = CliRunner().invoke(everything, ["--help"]).output
    for group in ("checkpoint", "config", "down", "endpoint", "lineage", "retention", "up"):
        assert f"│ {group} " in shown


def test_a_misspelt_group_is_mended() -> None:
    result = CliRunner().invoke(everything, ["confg"])
    assert "No such command 'confg'. Did you mean 'config'?" in result.output
