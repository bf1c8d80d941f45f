"""ASGI middleware that answers only requests meant for this very server, and a login.

Any web page can make a browser post to a loopback port, and a name of the attacker's can be pointed
at 127.0.0.1 (DNS rebinding). So a request must name us in `Host`, and what the browser says about
its sender (`Origin`, and `Sec-Fetch-*` of the Fetch Metadata specification) must not be foreign.
Programs that are no browsers send neither; against them stands only a login, where there is one.
Which server is wrapped, and where logins come from, is not decided here.
"""

import base64
import binascii
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = "127.0.0.1"
_OUR_NAMES = (LOOPBACK, "localhost", "[::1]")
_POLICY_VIOLATION = 1008  # RFC 6455, 7.4.1


def headers_of(scope: "Scope") -> dict[str, list[str]]:
    """Return the headers of a request: lower-case names, every value that was sent."""
    headers: dict[str, list[str]] = {}
    for name, value in scope.get("headers", []):
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return headers


def foreign_objection(
    kind: str, method: str, headers: Mapping[str, list[str]], port: int
) -> str | None:
    """Return why a request is not meant for the server on `port`, or None.

    Args:
        kind: "http" or "websocket".
        method: of an HTTP request; a websocket handshake has none.
        headers: as `headers_of` returns them.
        port: the port this server listens on.
    """
    ours = [f"{name}:{port}" for name in _OUR_NAMES]
    hosts = headers.get("host", [])
    if len(hosts) != 1 or hosts[0].lower() not in ours:
        return f"header Host: expected one of {', '.join(ours)}, found {', '.join(hosts) or 'none'}"
    origins = headers.get("origin", [])
    our_origins = [f"http://{host}" for host in ours]
    if any(origin.lower() not in our_origins for origin in origins):
        return f"header Origin: another page than ours sent this request: {', '.join(origins)}"
    sites = headers.get("sec-fetch-site", [])
    if any(site not in ("same-origin", "none") for site in sites) and not _is_followed_link(
        kind, method, headers
    ):
        return f"header Sec-Fetch-Site: another page than ours sent this request: {sites[0]}"
    return None


def _is_followed_link(kind: str, method: str, headers: Mapping[str, list[str]]) -> bool:
    """Tell whether a person followed a link to us, into a tab and not into a frame."""
    return (
        kind == "http"
        and method in ("GET", "HEAD")
        and headers.get("sec-fetch-mode") == ["navigate"]
        and headers.get("sec-fetch-dest") == ["document"]
    )


class LoopbackGuard:
    """Refuses (403) what is not meant for the server on `port`, HTTP and websocket alike."""

    def __init__(self, app: "ASGIApp", port: int) -> None:
        self._app = app
        self._port = port

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one request, or let the wrapped application answer it."""
        if scope["type"] in ("http", "websocket"):
            method = scope.get("method", "")
            objection = foreign_objection(scope["type"], method, headers_of(scope), self._port)
            if objection is not None:
                await refuse(scope, send, 403, f"Refused. {objection}")
                return
        await self._app(scope, receive, send)


@dataclass(frozen=True)
class Login:
    """A user name and a password; neither shows when the login is printed."""

    username: str
    password: str

    def __repr__(self) -> str:
        """Keep the secret out of logs and tracebacks."""
        return "Login(...)"

    def is_given_in(self, headers: Mapping[str, list[str]]) -> bool:
        """Tell whether a request carries this login (HTTP Basic), in constant time."""
        values = headers.get("authorization", [])
        scheme, _, encoded = (values[0] if len(values) == 1 else "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            given = base64.b64decode(encoded.strip(), validate=True)
        except binascii.Error:
            return False
        return hmac.compare_digest(given, f"{self.username}:{self.password}".encode())


class BasicLogin:
    """Lets only requests with the login through; the paths in `open_paths` need none."""

    def __init__(self, app: "ASGIApp", login: Login, open_paths: frozenset[str]) -> None:
        self._app = app
        self._login = login
        self._open_paths = open_paths

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one request, or let the wrapped application answer it."""
        if scope["type"] in ("http", "websocket"):
            is_open = scope["type"] == "http" and scope["path"] in self._open_paths
            if not is_open and not self._login.is_given_in(headers_of(scope)):
                await refuse(scope, send, 401, "This server needs a login (HTTP Basic).")
                return
        await self._app(scope, receive, send)


async def refuse(scope: "Scope", send: "Send", status: int, message: str) -> None:
    """Answer a request with `status` and `message`; a websocket is closed before it opens."""
    if scope["type"] == "websocket":
        closing = {"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": message[:120]}
        await send(closing)
        return
    body = json.dumps({"error_code": "PERMISSION_DENIED", "message": message}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if status == 401:  # RFC 9110, 15.5.2
        headers.append((b"www-authenticate", b'Basic realm="ai-how", charset="UTF-8"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
