"""Bytes to a tree: each kind of bad input has a message that says where and what to do."""

import time

import pytest

from platform_assets.spec.findings import Severity
from platform_assets.spec.loading.source import MAX_BYTES, MAX_DEPTH, MAX_NODES, parse

NO_TOKEN = (
    "this is not YAML: while scanning for the next token: "
    "found character that cannot start any token"
)


def told(content):
    content = content if isinstance(content, bytes) else content.encode()
    return [(f.rule, f.line, f.column, f.message) for f in parse(content, "e.yaml").findings]


def tree(text):
    parsed = parse(text.encode(), "e.yaml")
    assert not parsed.findings
    return parsed.tree


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", ("not-an-estate", None, None, "expected an estate, found nothing")),
        (b"# only a comment\n", ("not-an-estate", None, None, "expected an estate, found nothing")),
        (b"~", ("not-an-estate", None, None, "expected an estate, found nothing")),
        (
            b"- a\n",
            (
                "not-an-estate",
                1,
                1,
                "expected keys such as `metadata:` and `clusters:`, found a list",
            ),
        ),
        (
            b"just words",
            (
                "not-an-estate",
                1,
                1,
                "expected keys such as `metadata:` and `clusters:`, found text",
            ),
        ),
        (
            b"a: [1, 2\nb: 3\n",
            (
                "not-yaml",
                2,
                2,
                "this is not YAML: while parsing a flow sequence: did not find expected ',' or ']'",
            ),
        ),
        (
            b"a:\n\tb: 1\n",
            (
                "not-yaml",
                2,
                1,
                NO_TOKEN,
            ),
        ),
        (
            b"a: 1\nb: 2\n---\nc: 3\n",
            ("several-documents", 3, 1, "expected one document, found another after `---`"),
        ),
        (
            "a: Ä\nb: ".encode() + b"\xe9\n",
            ("not-utf-8", 2, 4, "expected UTF-8, found the byte 0xe9"),
        ),
        ("a: 1\n".encode("utf-16"), ("not-utf-8", 1, 1, "expected UTF-8, found UTF-16")),
        ("a: 1\n".encode("utf-32"), ("not-utf-8", 1, 1, "expected UTF-8, found UTF-32")),
        (b"a: 1\nb: \x00\n", ("not-yaml", 2, 4, "the character U+0000 cannot stand in YAML")),
        (b"a: \x1b[31m", ("not-yaml", 1, 4, "the character U+001B cannot stand in YAML")),
        (
            b"a: !!python/object/apply:os.system [ls]\n",
            (
                "tag-refused",
                1,
                4,
                "expected a plain value, found one with the tag !!python/object/apply:os.system",
            ),
        ),
        (
            b"!hunter2 a: 1\n",
            ("tag-refused", 1, 1, "expected a plain value, found one with a tag"),
        ),
        (
            b"a: !hunter2\n",
            ("tag-refused", 1, 4, "expected a plain value, found one with a tag"),
        ),
        (
            b"a: *b\n",
            ("unknown-alias", 1, 4, "an alias `*name` without its anchor `&name` before it"),
        ),
        (b"a: &b [*b]\n", ("unknown-alias", 1, 8, "an alias inside of what it stands for")),
        (b"a: &b {c: d}\n*b : 1\n", ("not-a-key", 2, 1, "expected text as a key")),
        (
            b"{a: 1}: 2\n",
            ("not-a-key", 1, 1, "expected text as a key, found a list or a mapping"),
        ),
        (
            b"a: " + b"[" * 100_000,
            ("too-deep", 1, 43, "expected at most 40 lists and mappings inside each other"),
        ),
        (
            b"a: 1\na: 2\n",
            ("duplicate-key", 2, 1, "a: given twice, in line 1 and in line 2"),
        ),
        (
            b"a: 1\n<<: [b]\n",
            ("not-a-mapping", 2, 1, "<<: expected a mapping, or a list of mappings"),
        ),
    ],
)
def test_bad_input_is_told_with_its_place(content, found):
    assert told(content) == [found]


def test_every_finding_says_what_to_do():
    (finding,) = parse(b"a: 1\nb:\n  c: 1\n  c: 2\n", "e.yaml").findings
    assert finding.remedy == "keep one of them"
    assert finding.severity is Severity.ERROR
    assert finding.path == ("b", "c")
    assert finding.file == "e.yaml"


def test_a_file_that_is_too_large_is_refused_before_it_is_parsed():
    started = time.perf_counter()
    findings = told(b"a: b\n" * 10_000_000)
    assert findings == [("too-large", None, None, "expected at most 4 MiB, found 50,000,000 bytes")]
    assert time.perf_counter() - started < 1


def test_the_largest_file_is_read_in_bounded_time():
    started = time.perf_counter()
    content = b"a: [" + b"{x: y}," * ((MAX_BYTES - 10) // 7) + b"]"
    assert [finding[0] for finding in told(content)] == ["too-many-values"]
    assert time.perf_counter() - started < 10


def test_values_are_counted_without_aliases_too():
    found = told("a: [" + "b," * (MAX_NODES + 1) + "]")
    assert [each[3] for each in found] == ["expected at most 200,000 values, aliases written out"]


def test_an_alias_bomb_is_counted_before_it_is_written_out():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    started = time.perf_counter()
    message = "expected at most 200,000 values, aliases written out"
    assert told("\n".join(lines)) == [("too-many-values", 6, 10, message)]
    assert time.perf_counter() - started < 10


def test_aliases_cannot_be_nested_deeper_than_values():
    lines = ["a0: &a0 [x]", *(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, MAX_DEPTH + 5))]
    assert [finding[0] for finding in told("\n".join(lines))] == ["too-deep"]


@pytest.mark.parametrize("depth", range(MAX_DEPTH - 4, MAX_DEPTH + 2))
def test_what_an_alias_brings_may_lie_as_deep_as_what_is_written(depth):
    before, after = "[" * depth, "]" * depth
    written = told(f"a: [v]\nb: {before}[v]{after}")
    assert bool(told(f"a: &x [v]\nb: {before}*x{after}")) is bool(written)
    assert bool(written) is (depth > MAX_DEPTH - 2)


def test_scalars_stay_text_and_only_plain_nothings_are_none():
    text = "a: 1e36\nb: 24:00:00\nc: no\nd: 0755\ne: ~\nf:\ng: null\nh: 'null'\ni: ''\nj: !!str 5\n"
    assert tree(text).plain() == {
        "a": "1e36",
        "b": "24:00:00",
        "c": "no",
        "d": "0755",
        "e": None,
        "f": None,
        "g": None,
        "h": "null",
        "i": "",
        "j": "5",
    }


def test_keys_are_text_whatever_they_look_like():
    assert tree("1: a\nyes: b\n~: c\n").plain() == {"1": "a", "yes": "b", "~": "c"}


@pytest.mark.parametrize("text", ["\ufeffa: 1\r\nb:\r\n  - c\r\n", "a: 1\nb:\n  - c\n"])
def test_a_byte_order_mark_and_windows_line_ends_change_nothing(text):
    top = tree(text)
    assert top.plain() == {"a": "1", "b": ["c"]}
    assert (top.keys["a"].line, top.keys["a"].column) == (1, 1)
    item = top.keys["b"].items[0]
    assert (item.line, item.column) == (3, 5)


def test_tags_say_what_is_text_and_what_is_nothing():
    assert tree("a: !!null x\nb: !!str ~\nc: ! '~'\nd: '~'\ne: ~\n").plain() == {
        "a": None,
        "b": "~",
        "c": "~",
        "d": "~",
        "e": None,
    }


def test_the_name_of_a_key_may_come_from_an_anchor_and_be_one():
    assert tree("&k a: 1\nb: *k\nc: &v d\n*v : 2\n").plain() == {
        "a": "1",
        "b": "a",
        "c": "d",
        "d": "2",
    }


def test_a_value_has_the_place_of_its_key():
    node = tree("a:\n  b:\n    c\n").keys["a"].keys["b"]
    assert (node.text, node.line, node.column) == ("c", 2, 3)


def test_what_an_alias_brings_has_the_place_of_its_own_key_and_shares_nothing():
    top = tree("a: &small\n  x: 1\nb: *small\n")
    assert top.plain() == {"a": {"x": "1"}, "b": {"x": "1"}}
    assert top.keys["b"].line == 3
    top.keys["a"].keys["x"].value = "2"
    assert top.keys["b"].plain() == {"x": "1"}


def test_merge_keys_fill_what_is_absent_the_first_source_before_the_second():
    text = "s: &s {x: 1, y: 1}\nt: &t {y: 2, z: 2}\nu:\n  <<: [*s, *t]\n  x: 3\nv:\n  <<: *t\n"
    plain = tree(text).plain()
    assert plain["u"] == {"x": "3", "y": "1", "z": "2"}
    assert plain["v"] == {"y": "2", "z": "2"}
