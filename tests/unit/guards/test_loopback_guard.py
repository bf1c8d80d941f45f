"""What the guard takes for a request to this server, and what for a foreign one."""

import asyncio
import base64
from typing import Any

import pytest

from ai_how.loopback_guard import BasicLogin, Login, LoopbackGuard, foreign_objection

PORT = 3000
NAVIGATION = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


def objection(method: str = "POST", kind: str = "http", **headers: str) -> str | None:
    sent = {"host": "127.0.0.1:3000"} | {k.replace("_", "-"): v for k, v in headers.items()}
    listed = {name: [value] for name, value in sent.items()}
    return foreign_objection(kind, method, listed, PORT)


@pytest.mark.parametrize(
    "host", ["127.0.0.1:3000", "localhost:3000", "LocalHost:3000", "[::1]:3000"]
)
def test_requests_that_name_this_server_are_taken(host: str) -> None:
    assert objection(host=host) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:3000",
        "127.0.0.1",
        "127.0.0.1:3001",
        "127.0.0.1:3000.evil.example",
        "",
        "0:3000",
    ],
)
def test_other_hosts_are_refused_with_what_was_expected(host: str) -> None:
    found = objection(host=host)
    assert found is not None
    assert "expected one of 127.0.0.1:3000" in found


def test_a_missing_or_doubled_host_is_refused() -> None:
    assert foreign_objection("http", "GET", {}, PORT) is not None
    doubled = {"host": ["127.0.0.1:3000", "evil.example"]}
    assert foreign_objection("http", "GET", doubled, PORT) is not None


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:8888", "https://127.0.0.1:3000"]
)
def test_foreign_origins_are_refused(kind: str, origin: str) -> None:
    assert objection(kind=kind, origin=origin) is not None


def test_our_own_pages_are_taken() -> None:
    assert objection(origin="http://127.0.0.1:3000", sec_fetch_site="same-origin") is None
    assert objection(kind="websocket", origin="http://localhost:3000") is None


def test_a_followed_link_is_taken_but_not_a_frame_an_image_or_a_form() -> None:
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}
    assert objection("GET", **link, sec_fetch_dest="document") is None
    assert objection("GET", **link, sec_fetch_dest="iframe") is not None
    assert objection("POST", **link, sec_fetch_dest="document") is not None
    image = {"sec_fetch_site": "same-site", "sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"}
    assert objection("GET", **image) is not None


def answer(app: Any, scope: dict[str, Any]) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    asyncio.run(app(scope, receive, send))
    return sent


async def reached(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "reached"})


def test_a_foreign_websocket_is_closed_before_it_opens() -> None:
    headers = [(b"host", b"127.0.0.1:3000"), (b"origin", b"http://evil.example")]
    sent = answer(LoopbackGuard(reached, PORT), {"type": "websocket", "headers": headers})
    assert [message["type"] for message in sent] == ["websocket.close"]


def test_start_and_stop_messages_of_the_server_pass() -> None:
    assert answer(LoopbackGuard(reached, PORT), {"type": "lifespan"}) == [{"type": "reached"}]


def with_login(value: str | None, path: str = "/", kind: str = "http") -> list[dict[str, Any]]:
    app = BasicLogin(reached, Login("ai-how", "pässword:with:colons"), frozenset({"/health"}))
    headers = [] if value is None else [(b"authorization", value.encode())]
    return answer(app, {"type": kind, "path": path, "headers": headers})


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_the_login_lets_through_and_everything_else_does_not() -> None:
    assert with_login(basic("ai-how:pässword:with:colons")) == [{"type": "reached"}]
    for wrong in (None, "", "Basic", "Basic !!", basic("ai-how:x"), basic(":"), "Bearer x"):
        sent = with_login(wrong)
        assert sent[0]["status"] == 401
        assert (b"www-authenticate", b'Basic realm="ai-how", charset="UTF-8"') in sent[0]["headers"]


def test_health_is_open_but_no_websocket_is() -> None:
    assert with_login(None, "/health") == [{"type": "reached"}]
    assert with_login(None, "/health/../api")[0]["status"] == 401
    assert with_login(None, "/health", "websocket")[0]["type"] == "websocket.close"


def test_a_login_does_not_show_when_printed() -> None:
    assert "secret" not in repr(Login("ai-how", "secret"))
