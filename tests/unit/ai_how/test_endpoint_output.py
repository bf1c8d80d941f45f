"""What `ai-how endpoint` prints fits 100 columns and tells a difference."""

import io
from dataclasses import replace

from rich.console import Console

from ai_how.cli.endpoint import WIDTH, _details, _table
from platform_assets.serving.live_endpoints import LiveEndpoint

ONE = LiveEndpoint(
    endpoint="digits-of-a-longer-name",
    url="http://127.0.0.1:54321/v2/models/digits-of-a-longer-name/infer",
    served_digest="a" * 64,
    expected_digest="b" * 64,
    agrees=False,
    model="digits",
    version="12",
    checkpoint="digits.first.0123456789ab",
    since="2026-01-01T00:00:00.000000Z",
    reason=f"the server serves digest {'a' * 64}, the ledger has {'b' * 64}: find out who",
)


def printed(shown: object) -> list[str]:
    console = Console(width=WIDTH, record=True, file=io.StringIO())
    console.print(shown)
    return console.export_text().splitlines()


def test_the_list_fits_and_tells_the_difference() -> None:
    never = replace(ONE, endpoint="e", served_digest=None, since=None, version=None, agrees=True)
    lines = printed(_table([ONE, never]))
    assert max(map(len, lines)) <= 100
    assert any("NO" in line for line in lines)


def test_the_details_show_both_digests_whole() -> None:
    lines = printed(_details(ONE))
    assert max(map(len, lines)) <= 100
    text = "\n".join(lines)
    assert "a" * 64 in text
    assert "b" * 64 in text
    assert ONE.url in text


def test_a_model_that_tells_no_digest_is_told_from_none() -> None:
    assert any("tells none" in line for line in printed(_details(replace(ONE, served_digest=""))))
