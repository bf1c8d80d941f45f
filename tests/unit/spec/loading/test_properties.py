"""Whatever is in a file: findings or an estate, never an exception, in bounded time."""

import time
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from platform_assets.spec.canonical import canonical, effective
from platform_assets.spec.loading.load import load
from platform_assets.spec.model.shapes import ROOT

ESTATES = [
    Path(f"tests/fixtures/estates/{name}.yaml").read_bytes()
    for name in ("inference_cluster", "dual_stack")
]
KEYS = [
    "count",
    "ip_range",
    "worker_nodes",
    "gpu_workers",
    "cpu",
    "dns",
    "global",
    "networks",
    "hostname",
    "slurm_config",
    "database",
    "ha",
    "storage_class",
    "colour",
    "test_x",
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["${A}", "${", "10.0.0.1-3", "nan", "1e9", "true", "10de", "8", "a=b:c", "$$"]),
)


@st.composite
def like(draw, shape=ROOT, depth=0):
    """Draw something like what the model expects, with spellings and mistakes in it."""
    if depth > 7 or draw(st.integers(0, 11)) == 0:
        return draw(SCALARS)
    if shape is None:
        return draw(st.one_of(SCALARS, st.lists(SCALARS, max_size=3)))
    if shape.part is not None:
        keys = draw(st.lists(st.sampled_from([*shape.part.model_fields, *KEYS]), max_size=6))
        return {key: draw(like(shape.under(key), depth + 1)) for key in keys}
    if shape.item is not None:
        return [draw(like(shape.item, depth + 1)) for _ in range(draw(st.integers(0, 3)))]
    if shape.value is not None:
        return {draw(st.text(max_size=5)): draw(like(shape.value, depth + 1))}
    return draw(SCALARS)


def judged(content):
    started = time.perf_counter()
    result = load(content, "e.yaml", {"A": "value"})
    assert time.perf_counter() - started < 5
    assert result.estate is not None or result.findings
    for finding in result.findings:
        assert finding.file == "e.yaml"
        assert finding.message
        assert finding.remedy
    return result


@given(st.binary(max_size=200))
def test_any_bytes(content):
    judged(content)


@given(st.text(max_size=300))
def test_any_text(text):
    judged(text.encode("utf-8", "surrogatepass"))


@given(st.text(alphabet="ab: -[]{}&*!<>|'\"#,?\n\t~$", max_size=120))
def test_any_text_that_looks_like_yaml(text):
    judged(text.encode())


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(like())
def test_anything_like_an_estate(declared):
    result = judged(yaml.safe_dump(declared, allow_unicode=True).encode())
    if result.estate is not None:
        again = load(yaml.safe_dump(canonical(result.estate)).encode(), "e.yaml", {})
        hidden = [finding for finding in again.findings if finding.rule == "secret-hidden"]
        assert list(again.findings) == hidden
        if not hidden:
            assert again.estate == result.estate
            whole = load(yaml.safe_dump(effective(result.estate)).encode(), "e.yaml", {})
            assert whole.findings == ()
            assert effective(whole.estate) == effective(result.estate)


@settings(max_examples=60)
@given(st.sampled_from(ESTATES), st.data())
def test_an_estate_with_a_piece_cut_out(content, data):
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 200)))
    put = data.draw(st.sampled_from([b"", b"{", b"\n", b": ", b"  - ", b"\xff", b"&a *a"]))
    judged(content[:start] + put + content[end:])


@pytest.mark.parametrize(
    "content",
    [
        b"name: e\n" + b"".join(b"key%d: 1\n" % number for number in range(90_000)),
        b"name: e\ngpus: {devices: [" + b"[]," * 150_000 + b"]}",
        b"name: e\ngpus: {devices: [" + b"{}," * 150_000 + b"]}",
        b"name: e\nimages: {" + b"".join(b"k%d: []," % number for number in range(60_000)) + b"}",
        b"name: e\nclusters: {hpc: {compute_nodes: {count: 1000, x: [" + b"a," * 99_999 + b"]}}}",
        b"name: e\nclusters: {hpc: {compute_nodes: {count: 1000, colour: x}}}",
        b"name: e\nclusters: {hpc: {compute_nodes: {count: 1000, ip_range: 0.0.0.0-9.0.0.0}}}",
        b"name: e\ncheckpoint_root: " + b"${A}" * 500_000,
        b"name: e\nserving: '" + b"${" * 500_000 + b"'",
        b"name: e\nserving: '" + b"$$" * 500_000 + b"${A:-'",
        b"name: e\nhost: {cpu_cores: " + b"9" * 3_000_000 + b"}",
    ],
)
def test_files_made_to_take_long(content):
    started = time.process_time()
    load(content, "e.yaml", {"A": "value"})
    assert time.process_time() - started < 10
