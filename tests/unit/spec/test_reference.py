"""The page of all keys and rules: fresh, whole and readable."""

from collections.abc import Iterator
from pathlib import Path

from ai_how.described_rules import described_rules
from platform_assets.spec.findings import Finding, Severity, not_checked
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.reference import configuration_page
from platform_assets.spec.rules.all_rules import RULES
from platform_assets.spec.rules.grounds import Grounds

COMMITTED = Path(__file__).parents[3] / "docs" / "configuration.md"
WIDEST_ROW = 200


def odd_name(_estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A name is odd | strange.

    Nobody likes that.
    """
    yield Finding("odd-name", Severity.NOTE, (), "odd", "mend it")


def strange(_estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Something is strange."""
    yield not_checked("strange-part", (), "facts", "give them")
    yield from _whole()


def _whole() -> Iterator[Finding]:
    yield Finding("strange-whole", Severity.NOTE, (), "strange", "mend it")


def test_the_committed_page_is_fresh() -> None:
    renew = "`ai-how config reference > docs/configuration.md` renews it"
    assert COMMITTED.read_text() == configuration_page(described_rules(RULES)), renew


def test_rules_are_told_by_their_docstrings() -> None:
    page = configuration_page(described_rules((strange, odd_name)))
    assert page.index(r"| `odd-name` | A name is odd \| strange. |") < page.index(
        "| `strange-part`, `strange-whole` | Something is strange. |"
    )


def test_each_key_has_its_row() -> None:
    page = configuration_page(())
    known = set(page.splitlines())
    for row in [
        "| `memory_gb` | number, above 0, at most 1,000,000 | GiB | required | Memory. |",
        "| `object_store` | `host`, `cloud` |  | `host` | Where the object store stands. |",
        "| `name` | text |  | made | Name of the machine, unique in its cluster. |",
        "| `devices` | list of [section](#gpusdevices) |  |  | The GPUs. |",
        "| `password` | [secret](#secrets) |  |  | Its password, as a reference. |",
        "| `class` | text |  |  | Its storage class; absent: the default one. |",
    ]:
        assert row in known
    assert "| `size: 50Gi`, `retention: 30d` | Its volume, and how long figures are kept. |" in page


def test_every_link_leads_to_a_heading() -> None:
    page = configuration_page(())
    lines = page.splitlines()
    headings = [line.lstrip("# ").lower() for line in lines if line.startswith("#")]
    anchors = {
        "".join(one for one in heading.replace(" ", "-") if one.isalnum() or one in "-_")
        for heading in headings
    }
    links = {part.partition(")")[0] for part in page.split("](#")[1:]}
    assert links - anchors == set()


def test_no_row_is_too_wide() -> None:
    page = configuration_page(described_rules(RULES))
    assert [line for line in page.splitlines() if len(line) > WIDEST_ROW] == []


def test_no_key_is_without_meaning() -> None:
    rows = [line for line in configuration_page(()).splitlines() if line.startswith("| `")]
    assert [row for row in rows if row.endswith("|  |")] == []
