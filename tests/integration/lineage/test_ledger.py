import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import psycopg2
import psycopg2.errors
import pytest
import sqlalchemy as sa
from sqlalchemy import event

from platform_assets.lineage.canonical import FIRST_PREV, FactRefused, timestamp
from platform_assets.lineage.deployments import AskedOnce
from platform_assets.lineage.ledger import (
    ChainBroken,
    Ledger,
    LedgerDenied,
    LedgerMissing,
    LedgerUnreachable,
    LockLost,
    LockTimeout,
)
from platform_assets.lineage.tables import metadata

DEADLINE_S = 120


def _append_many(url: str, name: str, count: int) -> None:
    ledger = Ledger(url)
    for number in range(count):
        ledger.append("test/1", name, {"number": number})


def test_fact_zero_carries_a_random_id_and_follows_32_zero_bytes(ledger):
    (first,) = ledger.facts()
    assert (first.seq, first.kind, first.prev) == (0, "ledger/1", FIRST_PREV)
    assert len(first.body["ledger_id"]) == 32


def test_migrating_again_or_at_once_changes_nothing(database, ledger):
    before = ledger.facts()
    owner = database.url("ledger_owner")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: Ledger(owner).migrate(), range(4)))
    assert ledger.facts() == before


def test_first_migrations_at_once_make_one_ledger(database):
    owner = database.url("ledger_owner")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: Ledger(owner).migrate(), range(4)))
    assert Ledger(database.url("ledger_writer")).verify_chain().facts == 1


def test_the_migrated_schema_is_the_declared_one(database, ledger):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    engine = sa.create_engine(database.url("ledger_owner"))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_processes_that_append_at_once_leave_no_gap_and_no_double(database, ledger):
    spawn = multiprocessing.get_context("spawn")
    url = database.url("ledger_writer")
    processes = [spawn.Process(target=_append_many, args=(url, f"p{n}", 20)) for n in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(DEADLINE_S)
        assert process.exitcode == 0
    facts = ledger.facts()
    assert [fact.seq for fact in facts] == list(range(81))
    for name in ("p0", "p1", "p2", "p3"):
        assert [f.body["number"] for f in facts if f.subject == name] == list(range(20))
    assert ledger.verify_chain().facts == 81


def test_of_those_who_append_if_nobody_did_one_wins(ledger):
    def take(owner):
        return ledger.append_if(
            lambda reader: reader.latest("gpu/1", "gpu-0") is None, "gpu/1", "gpu-0", {"to": owner}
        )

    with ThreadPoolExecutor(8) as pool:
        taken = [fact for fact in pool.map(take, range(16)) if fact is not None]
    assert len(taken) == 1
    assert ledger.facts("gpu/1") == taken


def test_a_refused_fact_and_a_failing_predicate_leave_nothing_and_block_nobody(ledger):
    with pytest.raises(FactRefused):
        ledger.append("test/1", "a", {"loss": 0.5})
    with pytest.raises(ZeroDivisionError):
        ledger.append_if(lambda _reader: 1 / 0 == 1, "test/1", "a", {})
    assert ledger.append("test/1", "a", {}).seq == 1


def test_what_is_recorded_comes_back_whatever_characters_it_holds(ledger):
    body = {"nul": "a\x00b", "emoji": "\U0001f600", "nested": {"l": [None, True, -1]}, "é": "é"}
    fact = ledger.append("test/1", "x'; DROP TABLE facts; --%s", body)
    assert fact.body == body
    assert ledger.latest("test/1", "x'; DROP TABLE facts; --%s") == fact
    assert ledger.verify_chain().head == fact.hash


KILLED_INSIDE = """
import sys, time
from platform_assets.lineage.ledger import Ledger
def hold(reader):
    print("inside", flush=True)
    time.sleep(600)
    return True
Ledger(sys.argv[1]).append_if(hold, "test/1", "killed", {})
"""

HOLDS_LOCK = """
import sys, time
from platform_assets.lineage.ledger import Ledger
with Ledger(sys.argv[1]).lock("endpoint digits", 60):
    print("inside", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def process_inside(database, ledger):
    started = []

    def start(program):
        process = subprocess.Popen(
            [sys.executable, "-c", program, database.url("ledger_writer")],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        )
        started.append(process)
        assert process.stdout.readline() == b"inside\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_writer_killed_in_the_middle_leaves_nothing_half(ledger, process_inside):
    os.kill(process_inside(KILLED_INSIDE).pid, signal.SIGKILL)
    assert ledger.append("test/1", "after", {}).seq == 1
    assert ledger.facts("test/1", "killed") == []
    assert ledger.verify_chain().facts == 2


def test_a_lock_keeps_others_out_says_who_holds_it_and_ends_with_its_process(
    ledger, process_inside
):
    process = process_inside(HOLDS_LOCK)
    with (
        pytest.raises(LockTimeout, match=rf"held by 'ai-how process {process.pid}: lock endpoint"),
        ledger.lock("endpoint digits", 0.3),
    ):
        pass
    with ledger.lock("endpoint other", 0):
        pass
    os.kill(process.pid, signal.SIGKILL)
    with ledger.lock("endpoint digits", DEADLINE_S):
        pass


def test_a_lock_lets_one_in_at_a_time(ledger):
    inside = []
    most = []

    def work(number):
        with ledger.lock("tree", DEADLINE_S):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.02)
            inside.remove(number)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(12)))
    assert most == [1] * 12


def test_a_lock_is_free_again_after_an_error(ledger):
    with pytest.raises(KeyError), ledger.lock("tree", 0):
        raise KeyError
    with ledger.lock("tree", 0):
        pass


def test_a_lock_that_the_database_let_go_of_is_an_error(database, ledger):
    with pytest.raises(LockLost, match="tree"), ledger.lock("tree", 0):
        database.execute(
            "postgres",
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )


def test_appending_goes_on_while_locks_are_held(ledger):
    with ledger.lock("tree", 0), ledger.lock("endpoint", 0):
        assert ledger.append("test/1", "a", {}).seq == 1


@pytest.mark.parametrize("role", ["ledger_writer", "ledger_owner", "postgres"])
@pytest.mark.parametrize(
    "statement",
    ["UPDATE facts SET kind = 'x/1'", "DELETE FROM facts", "TRUNCATE facts"],
)
def test_nobody_changes_a_fact(database, ledger, role, statement):
    before = ledger.facts()
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        database.execute(role, statement)
    assert ledger.facts() == before


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE facts",
        "ALTER TABLE facts DISABLE TRIGGER facts_append_only",
        "DROP TRIGGER facts_chained ON facts",
        "CREATE TABLE mine (a int)",
        "CREATE OR REPLACE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE sql AS ''",
        "UPDATE alembic_version SET version_num = '0'",
        "SET session_replication_role = replica",
    ],
)
def test_the_writer_cannot_get_round_the_rules(database, ledger, statement):
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        database.execute("ledger_writer", statement)


INSERT = (
    "INSERT INTO facts SELECT {seq}, kind, subject, valid_from, recorded_at, "
    "canonical || '\\x20', {prev}, {hash} FROM facts WHERE seq = 0"
)


@pytest.mark.parametrize(
    ("seq", "prev", "hash_"),
    [
        ("7", "hash", "encode(sha256(decode(hash, 'hex') || sha256(canonical || '\\x20')), 'hex')"),
        ("1", "repeat('1', 64)", "repeat('2', 64)"),
        ("1", "hash", "repeat('2', 64)"),
        ("-1", "hash", "repeat('2', 64)"),
    ],
)
def test_the_database_refuses_a_row_that_does_not_continue_the_chain(
    database, ledger, seq, prev, hash_
):
    with pytest.raises(psycopg2.errors.IntegrityConstraintViolation):
        database.execute("ledger_writer", INSERT.format(seq=seq, prev=prev, hash=hash_))
    assert ledger.verify_chain().facts == 1


@pytest.mark.parametrize(
    ("statement", "seq"),
    [
        ("UPDATE facts SET canonical = canonical || '\\x20' WHERE seq = 2", 2),
        ("UPDATE facts SET subject = 'other' WHERE seq = 3", 3),
        ("UPDATE facts SET recorded_at = '2020-01-01T00:00:00.000000Z' WHERE seq = 1", 1),
        ("UPDATE facts SET hash = repeat('0', 64) WHERE seq = 1", 1),
        ("DELETE FROM facts WHERE seq = 2", 2),
        ("DELETE FROM facts WHERE seq = 0", 0),
    ],
)
def test_what_the_superuser_tampers_with_breaks_the_chain_there(database, ledger, statement, seq):
    for number in range(4):
        ledger.append("test/1", f"s{number}", {"n": number})
    assert ledger.verify_chain().facts == 5
    database.execute("postgres", "SET session_replication_role = replica", statement)
    with pytest.raises(ChainBroken) as broken:
        ledger.verify_chain()
    assert broken.value.seq == seq


def test_a_long_chain_is_verified_across_batches(ledger, monkeypatch):
    monkeypatch.setattr("platform_assets.lineage.ledger._BATCH", 3)
    for number in range(7):
        ledger.append("test/1", "s", {"n": number})
    assert ledger.verify_chain().facts == 8


def test_a_database_without_a_ledger_says_what_to_do(database):
    with pytest.raises(LedgerMissing, match="ai-how up"):
        Ledger(database.url("ledger_owner")).facts()


def test_a_server_that_is_down_says_where_and_what_to_do(tmp_path):
    ledger = Ledger(f"postgresql+psycopg2://ledger_writer:geheim@/ledger?host={tmp_path}&port=1")
    with pytest.raises(LedgerUnreachable, match="ai-how status") as unreachable:
        ledger.append("test/1", "a", {})
    assert "geheim" not in f"{unreachable.value}{ledger!r}"


def test_the_writer_cannot_migrate(database, ledger):
    database.execute("ledger_owner", "REVOKE SELECT ON alembic_version FROM ledger_writer")
    with pytest.raises(LedgerDenied):
        Ledger(database.url("ledger_writer")).migrate()


def test_what_holds_for_each_subject_is_one_question(ledger):
    for number in range(3):
        for subject in ("a", "b"):
            ledger.append("test/1", subject, {"number": number})
    ledger.append("other/1", "c", {})
    asked = []
    with ledger.reader() as reader:
        event.listen(ledger._engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
        known = AskedOnce(reader)
        found = {name: known.latest("test/1", name) for name in "abc"}
    assert found == {name: ledger.latest("test/1", name) for name in "abc"}
    assert [found[name] and found[name].body for name in "abc"] == [{"number": 2}] * 2 + [None]
    assert len([words for words in asked if "GROUP BY" in words]) == 1


def test_what_held_for_each_subject_at_a_moment_is_told(ledger):
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    for moment in (early, late):
        ledger.append("test/1", "a", {"at": timestamp(moment)}, moment)
    ledger.append("test/1", "b", {}, late)
    assert set(ledger.latest_of_each("test/1")) == {"a", "b"}
    assert ledger.latest_of_each("test/1", early) == {"a": ledger.latest("test/1", "a", early)}
    assert AskedOnce(ledger).latest("test/1", "b", early) is None
