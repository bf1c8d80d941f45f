"""Our own table loads and agrees with itself; a wrong one is refused in words."""

import re
from datetime import date
from pathlib import Path

import pytest
import yaml

from platform_assets.spec.compatibility import (
    COMPONENTS,
    DEFAULT_FILE,
    Compatibility,
    CompatibilityRefused,
    Pin,
    load_compatibility,
)
from platform_assets.spec.compatibility_rules import (
    END_OF_LIFE,
    UNKNOWN,
    check_compatibility,
)
from platform_assets.spec.findings import errors
from platform_assets.spec.versions import number

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / DEFAULT_FILE).read_text(encoding="utf-8")
FILE = Path("compatibility.yaml")


@pytest.fixture(scope="module")
def table() -> Compatibility:
    return load_compatibility(TEXT, FILE)


def pins(versions: dict[str, str]) -> dict[str, Pin]:
    return {name: Pin(version, ("versions", name)) for name, version in versions.items()}


def test_our_table_loads(table: Compatibility) -> None:
    assert tuple(sorted(table.components)) == tuple(sorted(COMPONENTS))
    assert next(iter(table.known_good)) == "current"
    assert table.recommended["kubernetes"] == "1.35.4"


def test_every_known_good_set_agrees_with_the_table(table: Compatibility) -> None:
    for known in table.known_good.values():
        found = check_compatibility(pins({**known.versions}), table, known.checked)
        assert errors(found) == []
        assert [finding for finding in found if finding.rule == UNKNOWN] == []


def test_the_recommended_set_is_maintained_on_its_day(table: Compatibility) -> None:
    known = table.known_good["current"]
    found = check_compatibility(pins(table.recommended), table, known.checked, production=True)
    assert [finding for finding in found if finding.rule == END_OF_LIFE] == []


def test_the_newest_release_of_an_entry_belongs_to_it(table: Compatibility) -> None:
    for component in table.components.values():
        for key, entry in component.entries.items():
            assert entry.newest is None or number(entry.newest).overlaps(number(key))


def test_every_source_is_public() -> None:
    sources = re.findall(r"source: *\"?([^\"},]+)", TEXT)
    assert len(sources) > 50
    public = ("https://", "github.com/")
    assert [source for source in sources if not source.startswith(public)] == []


def test_a_series_means_every_release_of_it(table: Compatibility) -> None:
    found = table.component("kubernetes").entry(number("1.33.7"))
    assert found is not None
    assert found[0] == "1.33"
    assert found[1].end_of_life == date(2026, 6, 28)
    assert table.component("kubernetes").entry(number("1.99")) is None


def test_a_series_without_patch_means_the_newest_entry_in_it(table: Compatibility) -> None:
    found = table.component("kubespray").entry(number("2.29"))
    assert found is not None
    assert found[0] == "2.29.1"


MINI = """\
schema: compatibility/1
known_good:
  current: {title: all, checked: 2026-01-01, versions: {loki: "3.7.6"}}
components:
  loki:
    title: Loki
    source: https://example.org
    entries:
      "3.7": {newest: "3.7.6"}
"""


def mini(**changed: object) -> str:
    declared = yaml.safe_load(MINI)
    loki = declared["components"]["loki"]
    declared["components"] = {name: {**loki} for name in COMPONENTS}
    declared["components"]["loki"] |= changed
    return yaml.safe_dump(declared, sort_keys=False)


def test_a_small_table_loads() -> None:
    assert load_compatibility(mini(), FILE).component("loki").title == "Loki"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", ": expected YAML, found: while parsing a flow node"),
        ("[]", ": expected a mapping with schema, known_good, components; mend"),
        ("", ": expected a mapping with schema, known_good, components; mend"),
        (
            MINI.replace("    title: Loki\n", "    title: Loki\n    title: Loki\n"),
            ": expected YAML, found: key 'title' stands here for the second time",
        ),
        (
            MINI,
            ":4: components: expected every component, missing os, kubespray,",
        ),
        (
            MINI.replace("compatibility/1", "compatibility/2"),
            (":1: schema: Input should be 'compatibility/1', found 'compatibility/2'"),
        ),
        (
            MINI.replace('"3.7":', "3.7:"),
            (
                ":9: components.loki.entries.3.7: Input should be a valid string, "
                "found 3.7; put it in quotes"
            ),
        ),
        (
            MINI.replace('{newest: "3.7.6"}', "{newest: 3.7}"),
            (
                ":9: components.loki.entries.3.7.newest: Input should be a valid "
                "string, found 3.7; put it in quotes"
            ),
        ),
        (
            MINI.replace("newest:", "newst:"),
            (
                ":9: components.loki.entries.3.7.newst: unknown key, did you "
                "mean newest; mend or remove it"
            ),
        ),
        (
            MINI.replace("    source: https://example.org\n", ""),
            (":5: components.loki: expected a source, found none for 3.7; name where it stands"),
        ),
        (
            MINI + '      "3.7.1": {}\n',
            (
                ":8: components.loki.entries: expected series apart from each other, "
                "found '3.7.1' inside another; remove one"
            ),
        ),
        (
            MINI.replace('"3.7":', '"new":'),
            (
                ":8: components.loki.entries: expected a version such as 1.35.4, "
                "v1.35.4 or 1.35, found 'new'"
            ),
        ),
        (
            MINI.replace('{newest: "3.7.6"}', '{needs: {os: {works: "soon"}}}'),
            (
                ":9: components.loki.entries.3.7.needs.os.works: expected a range "
                "such as `1.31.0 - 1.31.13, 1.32`, `1.32 or newer` or `1.35 or older`, found 'soon'"
            ),
        ),
        (
            MINI.replace('{newest: "3.7.6"}', '{needs: {os: {why: "so"}}}'),
            (
                ":9: components.loki.entries.3.7.needs.os: expected works, tested or "
                "both, found neither; add one or remove the need"
            ),
        ),
        (
            MINI.replace('{newest: "3.7.6"}', "{end_of_life: soon}"),
            (
                ":9: components.loki.entries.3.7.end_of_life: Input should be a "
                "valid date or datetime, input is too short, found 'soon'"
            ),
        ),
        (
            MINI.replace('versions: {loki: "3.7.6"}', 'versions: {loki: "x"}'),
            (
                ":3: known_good.current.versions: expected a version such as 1.35.4, "
                "v1.35.4 or 1.35, found 'x'"
            ),
        ),
    ],
)
def test_a_wrong_table_is_refused(text: str, message: str) -> None:
    with pytest.raises(CompatibilityRefused, match="^" + re.escape(f"{FILE}{message}")):
        load_compatibility(text, FILE)
