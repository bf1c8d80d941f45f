"""A removal ends a fact; what comes back is recorded anew; what was seen before adds nothing."""

from platform_assets.lineage import facts
from platform_assets.lineage.retention import record_copy_removed, record_version_removed
from platform_assets.lineage.verdict import Difference, Hop, HopResult
from platform_assets.lineage.verification import (
    VERIFICATION,
    expected_behind,
    record_verification,
)

DIGEST = "a" * 64
PREFIX = f"models/digits/sha256-{DIGEST}/"


def copy(ledger, model="digits"):
    return facts.record_copy(
        ledger,
        checkpoint=f"{model}.one.0123456789ab",
        model=model,
        tree_digest=DIGEST,
        bucket="models",
        prefix=PREFIX,
        files=1,
        bytes=1,
        dagster_run=None,
    )


def remove_copy(ledger, model="digits"):
    return record_copy_removed(
        ledger,
        model=model,
        tree_digest=DIGEST,
        bucket="models",
        prefix=PREFIX,
        objects=2,
        dagster_run="run",
    )


def remove_version(ledger):
    return record_version_removed(
        ledger,
        model="digits",
        version="1",
        tree_digest=DIGEST,
        reason="older than 7 days",
        dagster_run="run",
    )


def version(ledger):
    return facts.record_version(
        ledger,
        model="digits",
        version="1",
        tree_digest=DIGEST,
        source=f"s3://models/{PREFIX}",
        checkpoint="digits.one.0123456789ab",
        training_run=None,
        dagster_run=None,
    )


def test_a_removal_is_recorded_once_and_never_of_what_was_not_there(ledger):
    assert remove_copy(ledger) is None
    assert remove_version(ledger) is None
    copy(ledger)
    version(ledger)
    assert remove_copy(ledger) is not None
    assert remove_copy(ledger) is None
    assert remove_version(ledger) is not None
    assert remove_version(ledger) is None
    assert ledger.verify_chain().facts == 5


def test_a_copy_that_comes_back_is_a_new_fact_and_can_be_removed_again(ledger):
    first = copy(ledger)
    assert copy(ledger) == first
    remove_copy(ledger)
    second = copy(ledger)
    assert second.seq > first.seq
    assert copy(ledger) == second
    assert remove_copy(ledger) is not None


def test_models_with_equal_content_do_not_end_each_others_copies(ledger):
    copy(ledger, "digits")
    kept = copy(ledger, "letters")
    remove_copy(ledger, "digits")
    assert copy(ledger, "letters") == kept


def test_only_what_is_new_about_a_hop_is_recorded(ledger):
    version(ledger)
    deployed = facts.record_deployment(
        ledger,
        endpoint="digits",
        model="digits",
        version="1",
        tree_digest=DIGEST,
        checkpoint="digits.one.0123456789ab",
        server="http://127.0.0.1:1",
        dagster_run=None,
    )
    expected = expected_behind(ledger, deployed)
    agrees = HopResult(hop=Hop.COPY, where="there", read_bytes=1)
    one = Difference(hop=Hop.COPY, file="a", expected="x", found="y")
    differs = agrees.model_copy(update={"differences": (one,)})
    unknown = agrees.model_copy(update={"unknown": "down"})

    def recorded(result, run):
        return record_verification(ledger, expected, result, run) is not None

    assert recorded(agrees, "run-1")
    assert not recorded(agrees.model_copy(update={"read_bytes": 9}), "run-2")
    assert not recorded(unknown, "run-3")
    assert recorded(differs, "run-4")
    assert not recorded(differs, "run-5")
    assert recorded(agrees, "run-6")
    assert [fact.body["verdict"] for fact in ledger.facts(VERIFICATION)] == [
        "agree",
        "differ",
        "agree",
    ]
