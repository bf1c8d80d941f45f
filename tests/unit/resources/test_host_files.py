"""The parsers of the kernel's texts: what is written is read, and nothing makes them stumble."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.host_files import (
    Cpu,
    FactUnread,
    parse_cpu,
    parse_groups,
    parse_memory_gib,
    parse_os_release,
)

words = st.from_regex(r"[A-Za-z][A-Za-z0-9 ._-]{0,20}[A-Za-z0-9]", fullmatch=True)
names = st.from_regex(r"[a-z_][a-z0-9_-]{0,10}", fullmatch=True)


@given(words, st.integers(1, 512), st.sampled_from(["vmx", "svm", None]), st.booleans())
def test_a_processor_is_read(model, threads, flag, is_virtual):
    flags = " ".join(filter(None, ["fpu", flag, "hypervisor" if is_virtual else None]))
    text = "".join(
        f"processor\t: {number}\nmodel name\t: {model}\nflags\t\t: {flags}\n\n"
        for number in range(threads)
    )
    assert parse_cpu(text) == Cpu(model, threads, flag, is_virtual)


def test_a_processor_that_tells_no_model_is_read():
    assert parse_cpu("processor\t: 0\nBogoMIPS\t: 50.00\n") == Cpu("unknown", 1, None, False)


def test_a_flag_is_a_whole_word():
    assert parse_cpu("processor: 0\nflags: avmx svmx\n").virtualization is None


@given(st.integers(0, 2**40))
def test_memory_is_read(kib):
    assert parse_memory_gib(f"MemTotal:   {kib} kB\nMemFree: 1 kB") == round(kib / 2**20, 2)


@given(names, st.from_regex(r"[0-9]{1,2}(\.[0-9]{2})?", fullmatch=True), words)
def test_a_distribution_is_read(name, version, pretty):
    text = f'# remark\nPRETTY_NAME="{pretty}"\nVERSION_ID="{version}"\nID={name}\n'
    release = parse_os_release(text)
    assert (release.id, release.version_id, release.name) == (name, version, pretty)


@given(st.dictionaries(names, st.tuples(st.integers(0, 2**32), st.frozensets(names)), max_size=5))
def test_groups_are_read(groups):
    text = "".join(
        f"{name}:x:{number}:{','.join(members)}\n" for name, (number, members) in groups.items()
    )
    by_number, members = parse_groups(text)
    assert members == {name: those for name, (_, those) in groups.items()}
    assert set(by_number) == {number for number, _ in groups.values()}


def test_entries_of_nis_are_no_groups():
    assert parse_groups("+:::\nkvm:x:1:\n") == ({1: "kvm"}, {"kvm": frozenset()})


@pytest.mark.parametrize("parse", [parse_cpu, parse_memory_gib, parse_os_release, parse_groups])
@given(text=st.text())
def test_any_text_is_read_or_refused(parse, text):
    with suppress(FactUnread):
        parse(text)
