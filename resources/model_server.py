"""One model server over HTTP: the Open Inference Protocol v2 with its model repository extension.

Thin: names and dictionaries go in, the server's own answers come out. Which models belong there is
not known here. Reference: Open Inference Protocol, "Inference Protocol REST" and KServe's
"Model Repository Extension", as MLServer 1.7 speaks them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from resources.errors import ResourceError

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 30.0
LOAD_TIMEOUT_S = 600.0
_MAX_WORDS = 2000
_FAILING = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}


class ModelServerError(ResourceError):
    """The root of what can go wrong with a model server."""


class ModelServerUnavailable(ModelServerError):
    """The server cannot be reached or does not answer in time; it may later."""


class ModelServerTimedOut(ModelServerUnavailable):
    """The server did not answer one request in time; it may be that model alone."""


class ModelNotFound(ModelServerError):
    """The server has no such model."""


class ModelServerRefused(ModelServerError):
    """The server answered and said no: a model that does not load, a request it cannot serve."""


@dataclass(frozen=True)
class ModelServer:
    """A model server at `url`. Every call has a time limit; no connection is kept between calls.

    `connected` gives the client of whoever stands before it, with trust and credentials.
    """

    url: str
    connected: Callable[[], httpx.Client] | None = None

    @cached_property
    def _client(self) -> httpx.Client:
        if self.connected is not None:
            return self.connected()
        return httpx.Client(
            timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            # A server that restarted has closed what it kept open.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            trust_env=False,
            follow_redirects=False,
        )

    def ready(self) -> bool:
        """Say whether the server answers and calls itself ready; no answer is no."""
        try:
            return self._client.get(self._at("/v2/health/ready")).status_code == HTTPStatus.OK
        except httpx.TransportError:
            return False

    def index(self) -> list[dict[str, Any]]:
        """Return what the server says of every model: `name`, `state`, `reason`."""
        answer = self._ask("list the models", "", "POST", "/v2/repository/index", {})
        models: list[dict[str, Any]] = answer.json()
        return models

    def load(self, name: str) -> None:
        """Load model `name` from the repository, or load it anew; return when it serves.

        Raises:
            ModelNotFound: the repository has no such model.
            ModelServerRefused: it does not load; one that served before still does.
        """
        path = f"/v2/repository/models/{quote(name, safe='')}/load"
        self._ask("load model", name, "POST", path, timeout_s=LOAD_TIMEOUT_S)

    def unload(self, name: str) -> bool:
        """Unload model `name`; say whether there was one."""
        path = f"/v2/repository/models/{quote(name, safe='')}/unload"
        try:
            self._ask("unload model", name, "POST", path)
        except ModelNotFound:
            return False
        return True

    def metadata(self, name: str) -> dict[str, Any]:
        """Return what the server says of model `name`: inputs, outputs, parameters."""
        path = f"/v2/models/{quote(name, safe='')}"
        answer = self._ask("describe model", name, "GET", path)
        described: dict[str, Any] = answer.json()
        return described

    def infer(
        self, name: str, request: Mapping[str, Any], *, timeout_s: float = ANSWER_TIMEOUT_S
    ) -> dict[str, Any]:
        """Ask model `name` one inference request; return the server's answer."""
        path = f"/v2/models/{quote(name, safe='')}/infer"
        answer = self._ask("infer with model", name, "POST", path, request, timeout_s=timeout_s)
        outputs: dict[str, Any] = answer.json()
        return outputs

    def infer_url(self, name: str) -> str:
        """Return where model `name` answers inference requests."""
        return self._at(f"/v2/models/{quote(name, safe='')}/infer")

    def _at(self, path: str) -> str:
        return self.url.rstrip("/") + path

    def _ask(
        self,
        what: str,
        name: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> httpx.Response:
        where = " ".join(part for part in (what, name, "at", self.url) if part)
        try:
            answer = self._client.request(
                method,
                self._at(path),
                json=None if body is None else dict(body),
                timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            )
        except httpx.TimeoutException as error:
            message = f"{where}: no answer within {timeout_s:g} s; read the model server's log"
            raise ModelServerTimedOut(message) from error
        except httpx.TransportError as error:
            message = f"{where}: {error}; is the model server running? read its log"
            raise ModelServerUnavailable(message) from error
        if answer.is_success:
            return answer
        words = f"{where}: {answer.status_code}: {_words(answer)}"
        if answer.status_code == HTTPStatus.NOT_FOUND:
            raise ModelNotFound(f"{words}; it was never loaded, or was unloaded")
        if answer.status_code in _FAILING:
            raise ModelServerUnavailable(f"{words}; read the model server's log")
        raise ModelServerRefused(f"{words}; the model server's log may say more")


def _words(answer: httpx.Response) -> str:
    """Return the server's own explanation: the protocol's `error`, or the text it sent."""
    try:
        told: object = answer.json()
    except ValueError:
        return answer.text[:_MAX_WORDS] or answer.reason_phrase
    if isinstance(told, dict) and told.get("error"):
        return str(told["error"])[:_MAX_WORDS]
    return str(told)[:_MAX_WORDS]
