import hashlib
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.lineage.ledger import ChainBroken, Ledger, LedgerDenied, LedgerMissing
from platform_assets.lineage.tables import metadata

START = datetime(2026, 1, 1, tzinfo=UTC)


def tamper(path, *statements):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("DROP TRIGGER facts_no_update")
    connection.execute("DROP TRIGGER facts_no_delete")
    for statement, *values in statements:
        connection.execute(statement, values)
    connection.close()


def test_facts_are_numbered_and_chained(ledger):
    facts = [ledger.append("test/1", "a", {"n": n}) for n in range(3)]
    assert [fact.seq for fact in facts] == [1, 2, 3]
    assert facts[1].prev == facts[0].hash
    assert ledger.facts("test/1") == facts
    assert ledger.verify_chain().head == facts[-1].hash


def test_a_chain_is_verified_by_the_published_formula_alone(ledger, tmp_path):
    ledger.append("test/1", "a", {"x": "é"})
    rows = sqlite3.connect(tmp_path / "ledger.sqlite").execute(
        "SELECT canonical, hash FROM facts ORDER BY seq"
    )
    prev = bytes(32)
    for canonical, digest in rows:
        prev = hashlib.sha256(prev + hashlib.sha256(canonical).digest()).digest()
        assert prev.hex() == digest


def test_the_latest_fact_is_the_one_recorded_last(ledger):
    ledger.append("test/1", "a", {"n": 1}, START + timedelta(days=2))
    last = ledger.append("test/1", "a", {"n": 2}, START + timedelta(days=1))
    ledger.append("test/1", "b", {"n": 3})
    ledger.append("other/1", "a", {"n": 4})
    assert ledger.latest("test/1", "a") == last
    assert ledger.latest("test/1", "nobody") is None


def test_until_asks_what_held_at_a_moment(ledger):
    first = ledger.append("test/1", "a", {"n": 1}, START + timedelta(days=1))
    second = ledger.append("test/1", "a", {"n": 2}, START + timedelta(days=3))
    assert ledger.latest("test/1", "a", START) is None
    assert ledger.latest("test/1", "a", START + timedelta(days=2)) == first
    assert ledger.facts("test/1", "a", START + timedelta(days=3)) == [first, second]


def test_append_if_sees_what_is_there(ledger):
    def nobody(reader):
        return reader.latest("gpu/1", "0") is None

    assert ledger.append_if(nobody, "gpu/1", "0", {"to": "a"}) is not None
    assert ledger.append_if(nobody, "gpu/1", "0", {"to": "b"}) is None
    assert len(ledger.facts("gpu/1")) == 1


@pytest.mark.parametrize("statement", ["UPDATE facts SET subject = 'x'", "DELETE FROM facts"])
def test_an_export_refuses_changes_too(ledger, tmp_path, statement):
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        sqlite3.connect(tmp_path / "ledger.sqlite").execute(statement)


def test_two_ledgers_have_two_ids(ledger, tmp_path):
    other = Ledger(f"sqlite:///{tmp_path}/other.sqlite")
    other.migrate()
    assert other.verify_chain().ledger_id != ledger.verify_chain().ledger_id


def test_named_locks_need_postgresql(ledger):
    with pytest.raises(LedgerDenied, match="use PostgreSQL"), ledger.lock("a", 1):
        pass


def test_an_empty_database_is_no_ledger(tmp_path):
    with pytest.raises(LedgerMissing, match="ai-how up"):
        Ledger(f"sqlite:///{tmp_path}/none.sqlite").append("test/1", "a", {})


def test_a_ledger_without_fact_zero_takes_no_facts(tmp_path):
    url = f"sqlite:///{tmp_path}/bare.sqlite"
    metadata.create_all(sa.create_engine(url))
    with pytest.raises(LedgerMissing, match="fact 0"):
        Ledger(url).append("test/1", "a", {})
    with pytest.raises(ChainBroken, match="fact 0"):
        Ledger(url).verify_chain()


@pytest.fixture(scope="module")
def five_facts(tmp_path_factory):
    file = tmp_path_factory.mktemp("tampered") / "ledger.sqlite"
    ledger = Ledger(f"sqlite:///{file}")
    ledger.migrate()
    for number in range(4):
        ledger.append("test/1", f"s{number}", {"n": number, "text": "é" * number})
    return file.read_bytes()


COLUMNS = ["kind", "subject", "valid_from", "recorded_at", "canonical", "prev", "hash"]


@settings(deadline=None, max_examples=60)
@given(seq=st.integers(0, 4), column=st.sampled_from(COLUMNS), data=st.data())
def test_a_change_of_any_byte_of_any_column_is_found_at_its_fact(
    five_facts, tmp_path_factory, seq, column, data
):
    file = tmp_path_factory.mktemp("one") / "ledger.sqlite"
    file.write_bytes(five_facts)
    connection = sqlite3.connect(file)
    (value,) = connection.execute(f"SELECT {column} FROM facts WHERE seq = {seq}").fetchone()
    connection.close()
    changed = bytearray(value if isinstance(value, bytes) else value.encode())
    place = data.draw(st.integers(0, len(changed) - 1))
    if isinstance(value, bytes):
        changed[place] ^= data.draw(st.integers(1, 255))
        new = bytes(changed)
    else:
        changed[place] = data.draw(st.sampled_from([c for c in b"0aZ~" if c != changed[place]]))
        new = changed.decode()
    tamper(file, (f"UPDATE facts SET {column} = ? WHERE seq = ?", new, seq))
    with pytest.raises(ChainBroken) as broken:
        Ledger(f"sqlite:///{file}").verify_chain()
    assert broken.value.seq == seq
    file.unlink()


@settings(deadline=None, max_examples=10)
@given(seq=st.integers(0, 3))
def test_a_removed_fact_is_found(five_facts, tmp_path_factory, seq):
    file = tmp_path_factory.mktemp("one") / "ledger.sqlite"
    file.write_bytes(five_facts)
    tamper(file, ("DELETE FROM facts WHERE seq = ?", seq))
    with pytest.raises(ChainBroken, match=f"fact {seq}: missing"):
        Ledger(f"sqlite:///{file}").verify_chain()


@pytest.mark.parametrize("canonical", [b"[]", b"{", b'{"a": 1}', b"\xff", b'{"seq":5}'])
def test_a_forged_end_with_a_right_hash_is_found(five_facts, tmp_path, canonical):
    file = tmp_path / "ledger.sqlite"
    file.write_bytes(five_facts)
    ledger = Ledger(f"sqlite:///{file}")
    head = ledger.verify_chain().head
    digest = hashlib.sha256(bytes.fromhex(head) + hashlib.sha256(canonical).digest()).hexdigest()
    row = (5, "test/1", "s", "", "", canonical, head, digest)
    tamper(file, ("INSERT INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *row))
    with pytest.raises(ChainBroken, match="fact 5: its bytes are no canonical"):
        ledger.verify_chain()
