import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from rich.console import Console

from ai_how.cli.lineage import EXIT_CODES, WIDTH, lineage_tree
from platform_assets.audits.endpoint_lineage import (
    Agreement,
    EndpointLineage,
    endpoint_lineage,
    endpoint_lineage_schema,
)
from platform_assets.lineage.facts import (
    record_checkpoint,
    record_copy,
    record_deployment,
    record_version,
)
from platform_assets.spec.names import NameRefused

ROOT = Path(__file__).parents[3]
DIGEST = "a" * 64
OTHER = "f" * 64
KEY = "digits.run-1.0123456789ab"
MLFLOW_RUN = "c" * 32
TRAINING = {
    "started": "2026-01-01T11:00:00Z",
    "user": "ada\x1b[2J",
    "code": {"commit": "d" * 40, "dirty": True, "repository": "https://example.org/" + "x" * 120},
    "command": ["python", "train.py", "--seed", "7"],
    "hyper_parameters": {"C": 0.5},
    "metrics": {"accuracy": 0.97},
    "datasets": [{"name": "digits", "digest": "sha256:" + "e" * 64, "licence": "CC-BY-4.0"}],
    "mlflow_run_id": MLFLOW_RUN,
}


def checkpoint(ledger, key=KEY, digest=DIGEST, training=TRAINING):
    record_checkpoint(
        ledger,
        key=key,
        model="digits",
        run="run-1",
        path="/data/" + "deep/" * 30 + "digits/run-1",
        marker_sha256="b" * 64,
        tree_digest=digest,
        format="mlflow",
        sealed_at=datetime(2025, 12, 31, tzinfo=UTC),
        files=3,
        bytes=123456,
        training=training,
    )


def copy(ledger, digest=DIGEST, prefix=f"models/digits/sha256-{DIGEST}/", model="digits"):
    record_copy(
        ledger,
        checkpoint=KEY,
        model=model,
        tree_digest=digest,
        bucket="models",
        prefix=prefix,
        files=3,
        bytes=123456,
        dagster_run="r1",
    )


def version(ledger, digest=DIGEST, number="1", training_run=MLFLOW_RUN):
    record_version(
        ledger,
        model="digits",
        version=number,
        tree_digest=digest,
        source=f"s3://models/models/digits/sha256-{digest}/",
        checkpoint=KEY,
        training_run=training_run,
        dagster_run="r1",
    )


def deployment(ledger, digest=DIGEST, number="1"):
    return record_deployment(
        ledger,
        endpoint="digits",
        model="digits",
        version=number,
        tree_digest=digest,
        checkpoint=KEY,
        server="http://127.0.0.1:8080",
        dagster_run="r1",
    )


def whole(ledger):
    for record in (checkpoint, copy, version, deployment):
        record(ledger)


def printed(lineage):
    out = io.StringIO()
    Console(file=out, width=WIDTH).print(lineage_tree(lineage))
    return out.getvalue()


def test_a_whole_chain_shows_one_digest_at_every_hop(ledger):
    whole(ledger)
    lineage = endpoint_lineage(ledger, "digits")
    assert lineage.agreement is Agreement.AGREE
    hops = (lineage.endpoint, lineage.version, lineage.copy_, lineage.checkpoint)
    assert [hop.tree_digest for hop in hops] == [DIGEST] * 4
    assert [hop.fact.seq for hop in hops] == [4, 3, 2, 1]
    assert all(hop.agrees for hop in hops)
    assert (lineage.training.run, lineage.training.mlflow_run_id) == ("run-1", MLFLOW_RUN)
    assert (lineage.missing, lineage.findings) == ((), ())


def test_the_json_answer_fits_its_published_schema_and_comes_back(ledger):
    whole(ledger)
    lineage = endpoint_lineage(ledger, "digits")
    text = lineage.model_dump_json(by_alias=True)
    published = json.loads((ROOT / "docs/schemas/endpoint-lineage-1.json").read_text())
    assert published == endpoint_lineage_schema(), "docs/schemas/endpoint-lineage-1.json is old"
    Draft202012Validator(published).validate(json.loads(text))
    assert EndpointLineage.model_validate_json(text) == lineage


def test_an_endpoint_that_nobody_deployed_is_incomplete(ledger):
    lineage = endpoint_lineage(ledger, "digits")
    assert lineage.agreement is Agreement.INCOMPLETE
    assert "no fact says that endpoint 'digits' serves anything" in lineage.missing[0]


@pytest.mark.parametrize(
    ("left_out", "message"),
    [
        (checkpoint, f"checkpoint: no fact about checkpoint '{KEY}'"),
        (copy, "copy: no fact about a copy of 'digits' with digest aaa"),
        (version, "version: no fact about version 1 of 'digits'"),
    ],
)
def test_a_hop_that_was_never_recorded_is_said(ledger, left_out, message):
    for record in (checkpoint, copy, version, deployment):
        if record is not left_out:
            record(ledger)
    lineage = endpoint_lineage(ledger, "digits")
    assert lineage.agreement is Agreement.INCOMPLETE
    assert message in lineage.missing[0]
    assert "missing" in printed(lineage)


def test_unknown_training_is_said(ledger):
    checkpoint(ledger, training={})
    for record in (copy, version, deployment):
        record(ledger)
    lineage = endpoint_lineage(ledger, "digits")
    assert lineage.training is None
    assert "training: nothing was recorded" in lineage.missing[0]


def test_a_copy_of_another_model_with_equal_bytes_is_not_taken_for_this_one(ledger):
    for record in (checkpoint, version, deployment):
        record(ledger)
    copy(ledger, model="other", prefix=f"models/other/sha256-{DIGEST}/")
    assert endpoint_lineage(ledger, "digits").copy_ is None


def test_a_version_with_another_digest_is_a_finding_that_names_both_facts(ledger):
    checkpoint(ledger)
    copy(ledger, OTHER, f"models/digits/sha256-{OTHER}/")
    version(ledger, OTHER)
    deployment(ledger)
    lineage = endpoint_lineage(ledger, "digits")
    assert lineage.agreement is Agreement.DISAGREE
    assert [hop.agrees for hop in (lineage.version, lineage.copy_, lineage.checkpoint)] == [
        False,
        False,
        True,
    ]
    assert "version (fact 3)" in lineage.findings[0]
    assert "(fact 4)" in lineage.findings[0]
    assert "DISAGREE" in printed(lineage)


def test_a_checkpoint_with_another_digest_is_a_finding_though_hops_are_missing(ledger):
    checkpoint(ledger, digest=OTHER)
    deployment(ledger)
    lineage = endpoint_lineage(ledger, "digits")
    assert lineage.agreement is Agreement.DISAGREE
    assert lineage.missing


def test_a_copy_under_a_prefix_of_other_bytes_is_a_finding(ledger):
    checkpoint(ledger)
    copy(ledger, prefix=f"models/digits/sha256-{OTHER}/")
    version(ledger)
    deployment(ledger)
    assert "does not name its tree digest" in endpoint_lineage(ledger, "digits").findings[0]


def test_a_version_that_names_another_training_run_is_a_finding(ledger):
    checkpoint(ledger)
    copy(ledger)
    version(ledger, training_run="9" * 32)
    deployment(ledger)
    assert "training run 999" in endpoint_lineage(ledger, "digits").findings[0]


def test_a_moment_in_the_past_is_answered_as_it_was(ledger):
    whole(ledger)
    version(ledger, number="2")
    second = deployment(ledger, number="2")
    before = datetime.fromisoformat(second.valid_from) - timedelta(seconds=1)
    assert endpoint_lineage(ledger, "digits").endpoint.version == "2"
    assert endpoint_lineage(ledger, "digits", before).endpoint.version == "1"


def test_a_name_outside_the_rule_is_refused(ledger):
    with pytest.raises(NameRefused):
        endpoint_lineage(ledger, "Digits!")


def test_what_is_printed_fits_100_columns_and_cannot_steer_the_terminal(ledger):
    whole(ledger)
    text = printed(endpoint_lineage(ledger, "digits"))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "\x1b" not in text
    assert text.count(DIGEST) == 4
    for told in ("every recorded digest agrees", "python train.py --seed 7", "accuracy=0.97", KEY):
        assert told in text


def test_every_agreement_has_an_exit_code():
    assert EXIT_CODES == {"agree": 0, "disagree": 1, "incomplete": 2}
