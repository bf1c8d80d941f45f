import pytest

from sensors.arrival_decision import Remembered
from sensors.arrival_memory import ArrivalMemory

TAKEN = Remembered("m1", "r1", "digits.a.0123456789ab", None)
REFUSED = Remembered("m2", "r1", None, "a symlink", 12.5)


@pytest.fixture
def memory(tmp_path):
    return ArrivalMemory(tmp_path / "sensors" / "arrivals.sqlite")


def test_it_remembers_what_a_committed_tick_found(memory):
    memory.recall("t0")
    memory.remember([("digits/a", TAKEN, "t1"), ("digits/b", REFUSED, None)])
    expected = {"digits/a": TAKEN, "digits/b": REFUSED}
    assert memory.recall("t1") == expected
    assert memory.recall("t2") == expected  # confirmed once is confirmed for good


def test_what_an_uncommitted_tick_asked_for_is_asked_for_again(memory):
    memory.recall("t0")
    memory.remember([("digits/a", TAKEN, "t1"), ("digits/b", REFUSED, None)])
    assert memory.recall("t0") == {"digits/b": REFUSED}


def test_without_any_committed_tick_it_begins_anew(memory):
    memory.recall("t0")
    memory.remember([("digits/b", REFUSED, None)])
    assert memory.recall(None) == {}


def test_a_later_finding_replaces_the_earlier_one(memory):
    memory.recall("t0")
    memory.remember([("digits/a", TAKEN, None)])
    memory.remember([("digits/a", REFUSED, None)])
    assert memory.recall("t1") == {"digits/a": REFUSED}


def test_vanished_directories_are_forgotten(memory):
    memory.recall("t0")
    memory.remember([("digits/a", TAKEN, None), ("digits/b", REFUSED, None)])
    memory.forget(["digits/a", "digits/never"])
    assert memory.recall("t1") == {"digits/b": REFUSED}


def test_a_name_that_is_not_utf8_is_kept_as_it_is(memory):
    name = "digits/\udcff"
    memory.recall("t0")
    memory.remember([(name, REFUSED, None)])
    assert memory.recall("t1") == {name: REFUSED}


def test_a_damaged_file_is_begun_anew(memory):
    memory.file.parent.mkdir()
    memory.file.write_bytes(b"this is no database, " * 500)
    assert memory.recall("t1") == {}
    memory.remember([("digits/a", TAKEN, None)])
    assert memory.recall("t1") == {"digits/a": TAKEN}
