"""Every hop behind a served endpoint is read again; whatever is changed is named, by file and hop.

All parts are real. Each test changes one thing, verifies, and puts it back.
"""

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest

from platform_assets.audits import live_verification
from platform_assets.audits.verification import Places, verify_endpoint
from platform_assets.lineage import facts, ids
from platform_assets.lineage.manifest import copy_prefix
from platform_assets.lineage.verdict import Hop, Verdict, Verification
from platform_assets.lineage.verification import VERIFICATION
from platform_assets.models.verification_reading import MIB, Memory, Reading
from platform_assets.serving.endpoint import deliver_endpoint
from resources.mlflow import Mlflow
from resources.object_store import ObjectStore
from tests.integration.guards.programs import free_port
from tests.integration.serving.conftest import Platform


@pytest.fixture(scope="module")
def live(delivering: Platform) -> SimpleNamespace:
    """An endpoint with one deployment, and the names of everything behind it."""
    key = delivering.registered("verified", seed=1)
    serving = delivering.serving
    deliver_endpoint(key, delivering.applied.serving_file, serving, "run", print)
    fact = serving.ledger.latest(facts.DEPLOYMENT, "digits")
    assert fact is not None
    digest = fact.body["tree_digest"]
    places = Places(serving.provider.store, serving.mlflow, serving.provider, serving.ledger)
    return SimpleNamespace(
        key=key,
        digest=digest,
        places=places,
        prefix=copy_prefix("digits", digest),
        source=delivering.applied.checkpoint_root / "digits" / "verified",
        fetched=serving.provider.served / "digits" / digest,
        version=fact.body["version"],
    )


def verified(live: SimpleNamespace, places: Places | None = None) -> Verification:
    return verify_endpoint(places or live.places, "digits", Reading())


def told(found: Verification) -> list[tuple[Hop, str]]:
    return [(one.hop, one.file) for one in found.differences]


def flipped(data: bytes, at: int | None = None) -> bytes:
    at = len(data) // 2 if at is None else at
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@contextmanager
def changed_file(file: Path, change: Callable[[bytes], bytes]) -> Iterator[None]:
    before, mode = file.read_bytes(), file.stat().st_mode
    file.chmod(0o644)
    file.write_bytes(change(before))
    try:
        yield
    finally:
        file.write_bytes(before)
        file.chmod(mode)


@contextmanager
def changed_object(
    store: ObjectStore, key: str, change: Callable[[bytes], bytes]
) -> Iterator[None]:
    before = store.get(key, 64 * MIB)
    store.put(key, change(before))
    try:
        yield
    finally:
        store.put(key, before)


def test_all_hops_agree_and_each_byte_is_read_once_per_hop(live) -> None:
    counted: dict[str, int] = {}

    def said(place: str, count: int) -> None:
        counted[place] = counted.get(place, 0) + count

    found = verify_endpoint(live.places, "digits", Reading(said=said))
    assert found.verdict is Verdict.AGREE, found
    assert [hop.hop for hop in found.hops] == list(Hop)
    with_files = [hop for hop in found.hops if hop.files]
    assert [hop.hop for hop in with_files] == [Hop.CHECKPOINT, Hop.COPY, Hop.FETCHED]
    assert len({(hop.files, hop.bytes) for hop in with_files}) == 1
    assert [hop.read_bytes for hop in with_files] == [hop.bytes for hop in with_files]
    assert counted == {hop.where: hop.bytes for hop in with_files}


def test_a_flipped_bit_in_the_source_is_named(live) -> None:
    with changed_file(live.source / "MLmodel", flipped):
        found = verified(live)
    assert told(found) == [(Hop.CHECKPOINT, "MLmodel")]
    assert found.verdict is Verdict.DIFFER
    assert "SHA-256" in found.differences[0].found


def test_a_flipped_bit_in_a_stored_object_is_named(live) -> None:
    with changed_object(live.places.store, live.prefix + "model.skops", flipped):
        assert told(verified(live)) == [(Hop.COPY, "model.skops")]


def test_a_flipped_bit_in_the_manifest_is_named_and_the_objects_are_read_all_the_same(live) -> None:
    store = live.places.store
    with (
        changed_object(store, live.prefix + "manifest.json", flipped),
        changed_object(store, live.prefix + "MLmodel", flipped),
    ):
        assert told(verified(live)) == [(Hop.COPY, "manifest.json"), (Hop.COPY, "MLmodel")]


def test_a_flipped_bit_in_the_marker_is_named(live) -> None:
    with changed_file(live.source / "_COMPLETE.json", flipped):
        assert told(verified(live)) == [(Hop.CHECKPOINT, "_COMPLETE.json")]


def test_a_flipped_bit_in_the_fetched_copy_is_named(live) -> None:
    with changed_file(live.fetched / "model.skops", flipped):
        assert told(verified(live)) == [(Hop.FETCHED, "model.skops")]
    with changed_file(live.fetched / "manifest.json", flipped):
        assert told(verified(live)) == [(Hop.FETCHED, "manifest.json")]


def test_a_changed_tag_and_a_moved_alias_are_named(live) -> None:
    registry = live.places.mlflow._registry
    from mlflow.entities.model_registry import ModelVersionTag

    def tag(value: str) -> None:
        changed = ModelVersionTag(ids.TREE_DIGEST, value)
        registry.set_model_version_tag("digits", live.version, changed)

    tag(flipped(live.digest.encode()).decode())
    try:
        assert told(verified(live)) == [(Hop.VERSION, f"tag {ids.TREE_DIGEST}")]
    finally:
        tag(live.digest)
    registry.delete_registered_model_alias("digits", "live-digits")
    try:
        assert told(verified(live)) == [(Hop.VERSION, "alias live-digits")]
    finally:
        live.places.mlflow.set_alias("digits", "live-digits", live.version)


def test_missing_and_extra_objects_and_files_are_named(live) -> None:
    store = live.places.store
    key = live.prefix + "requirements.txt"
    before = store.get(key, MIB)
    store.put(live.prefix + "stranger.bin", b"stranger")
    store.delete(key)
    (live.fetched / "stranger.txt").write_text("stranger")
    (live.source / "requirements.txt").rename(live.source.parent / "elsewhere")
    try:
        found = verified(live)
    finally:
        store.put(key, before)
        store.delete(live.prefix + "stranger.bin")
        (live.fetched / "stranger.txt").unlink()
        (live.source.parent / "elsewhere").rename(live.source / "requirements.txt")
    assert told(found) == [
        (Hop.CHECKPOINT, "requirements.txt"),
        (Hop.COPY, "requirements.txt"),
        (Hop.COPY, "stranger.bin"),
        (Hop.FETCHED, "stranger.txt"),
    ]
    assert verified(live).verdict is Verdict.AGREE


def test_a_link_in_the_place_of_a_file_is_named(live, tmp_path) -> None:
    file = live.source / "MLmodel"
    file.rename(tmp_path / "MLmodel")
    file.symlink_to(tmp_path / "MLmodel")
    try:
        found = verified(live)
    finally:
        file.unlink()
        shutil.move(tmp_path / "MLmodel", file)
    assert told(found) == [(Hop.CHECKPOINT, "MLmodel")]
    assert found.differences[0].found == "a symbolic link"


def test_a_source_that_is_gone_cannot_be_told_and_does_not_hide_a_difference(live) -> None:
    aside = live.source.with_name("aside")
    live.source.rename(aside)
    try:
        found = verified(live)
        with changed_file(live.fetched / "MLmodel", flipped):
            both = verified(live)
    finally:
        aside.rename(live.source)
    assert found.verdict is Verdict.CANNOT_TELL
    assert "is gone" in str(found.hops[0].unknown)
    assert [hop.verdict for hop in found.hops[1:]] == [Verdict.AGREE] * 4
    assert both.verdict is Verdict.DIFFER


def test_places_that_are_down_cannot_be_told(live) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    places = dataclasses.replace(
        live.places,
        store=ObjectStore(nowhere, "models", live.places.store.credentials_file),
        mlflow=Mlflow(nowhere, live.places.mlflow.credentials_file),
    )
    found = verified(live, places)
    assert found.verdict is Verdict.CANNOT_TELL
    assert [hop.hop for hop in found.hops if hop.unknown] == [Hop.COPY, Hop.VERSION]
    assert all(nowhere in str(hop.unknown) for hop in found.hops if hop.unknown)


def test_a_model_that_is_not_served_any_more_is_named(live) -> None:
    live.places.provider.server.unload("digits")
    try:
        found = verified(live)
    finally:
        live.places.provider.server.load("digits")
    assert {hop for hop, _ in told(found)} == {Hop.SERVER}
    assert found.differences[0].found == "none"


def test_an_endpoint_without_deployment_cannot_be_told(live) -> None:
    found = verify_endpoint(live.places, "words", Reading())
    assert found.verdict is Verdict.CANNOT_TELL
    assert "no deployment" in str(found.unknown)


def test_a_killed_verification_goes_on_where_it_stopped(live, tmp_path) -> None:
    class KilledError(BaseException):
        pass

    def reading(said: Callable[[str, int], None]) -> Reading:
        memory = Memory(tmp_path / "memory.sqlite")
        return Reading(memory=memory, policy=timedelta(days=7), said=said)

    def dies_in_the_store(place: str, _count: int) -> None:
        if place.startswith("s3://"):
            raise KilledError

    with pytest.raises(KilledError):
        verify_endpoint(live.places, "digits", reading(dies_in_the_store))
    found = verify_endpoint(live.places, "digits", reading(lambda _place, _count: None))
    read = {hop.hop: hop.read_bytes for hop in found.hops}
    assert found.verdict is Verdict.AGREE
    assert read[Hop.CHECKPOINT] == 0
    assert read[Hop.COPY] > 0
    again = verify_endpoint(live.places, "digits", reading(lambda _place, _count: None))
    assert again.verdict is Verdict.AGREE
    assert sum(hop.read_bytes for hop in again.hops) == 0
    with changed_object(live.places.store, live.prefix + "MLmodel", flipped):
        changed = verify_endpoint(live.places, "digits", reading(lambda _place, _count: None))
        assert told(changed) == [(Hop.COPY, "MLmodel")]


def test_the_checks_tell_dagster_and_record_only_what_is_new(live, delivering) -> None:
    resources = {
        "estate": delivering.applied,
        "reader_store": live.places.store,
        "mlflow": live.places.mlflow,
        "provider": live.places.provider,
        "ledger": live.places.ledger,
    }
    checks = dg.load_asset_checks_from_modules([live_verification])
    definitions = dg.Definitions(
        assets=[dg.AssetSpec(check.key.asset_key) for c in checks for check in c.check_specs],
        asset_checks=checks,
        jobs=[live_verification.verify_live_models],
        resources=resources,
    )
    job = definitions.resolve_job_def(live_verification.JOB_NAME)

    def run() -> dict[str, bool]:
        with dg.DagsterInstance.ephemeral() as instance:
            result = job.execute_in_process(instance=instance)
        return {"/".join(e.asset_key.path): e.passed for e in result.get_asset_check_evaluations()}

    fine = {"models/published_copy": True, "models/registered_version": True}
    assert run() == fine | {"serving/endpoint": True}
    recorded = live.places.ledger.facts(VERIFICATION)
    assert {fact.subject for fact in recorded} == {f"digits/{hop.value}" for hop in Hop}
    assert run() == fine | {"serving/endpoint": True}
    assert len(live.places.ledger.facts(VERIFICATION)) == len(recorded)
    with changed_file(live.fetched / "MLmodel", flipped):
        assert run() == fine | {"serving/endpoint": False}
    latest = live.places.ledger.latest(VERIFICATION, f"digits/{Hop.FETCHED.value}")
    assert latest is not None
    assert latest.body["verdict"] == "differ"
    assert latest.body["differences"][0]["file"] == "MLmodel"
    assert json.loads(json.dumps(latest.body)) == latest.body
    assert datetime.fromisoformat(latest.recorded_at) <= datetime.now(UTC)
