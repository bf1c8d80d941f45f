"""One API server over HTTPS, as one identity of a kubeconfig: requests, bounded retries, errors.

The official client reads the kubeconfig (certificates, tokens, credential programs, proxies); the
requests are httpx's, so that answers stay plain dictionaries and one connection pool serves all
threads. What is asked is in `kubernetes.py`. References: "Organizing Cluster Access Using
kubeconfig Files"; Kubernetes API concepts.
"""

import ipaddress
import json
import ssl
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml

from resources.kubernetes_errors import (
    ChangesForgotten,
    KubeconfigRefused,
    KubernetesRefused,
    KubernetesUnavailable,
    error_of,
)

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 30.0
CREDENTIAL_PROGRAM_S = 30
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 3.0
_CONNECTIONS = httpx.Limits(max_connections=32, max_keepalive_connections=8)
_NOT_TRUSTED = "CERTIFICATE_VERIFY_FAILED"


@dataclass(frozen=True)
class KubernetesHttp:
    """A connection to the API server that `context` of `kubeconfig` names; opens on first use.

    `patience_s` is for how long a request that may succeed later is repeated.
    """

    kubeconfig: Path
    context: str | None
    patience_s: float

    @property
    def identity(self) -> str:
        """Whose credentials are used, in words."""
        context = f"context {self.context!r}" if self.context else "the current context"
        return f"{context} of {self.kubeconfig}"

    @property
    def url(self) -> str:
        """Where the API server answers."""
        return str(self._configuration.host)

    @cached_property
    def _declared(self) -> dict[str, Any]:
        expected = f"{self.kubeconfig}: expected a kubeconfig"
        try:
            read = yaml.safe_load(self.kubeconfig.read_text(encoding="utf-8"))
        except FileNotFoundError:
            message = f"{expected}, found nothing; let the estate name the right file"
            raise KubeconfigRefused(message) from None
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            # The parser's own words may quote a line of the file.
            message = f"{expected}, found what cannot be read: {type(error).__name__}"
            raise KubeconfigRefused(message) from None
        if not isinstance(read, dict) or not isinstance(read.get("contexts"), list):
            message = f"{expected} with a list of contexts, found none; write it anew"
            raise KubeconfigRefused(message)
        wanted = self.context or read.get("current-context")
        known = [str(one.get("name")) for one in read["contexts"] if isinstance(one, dict)]
        if wanted not in known:
            listed = ", ".join(known) or "none at all"
            named = f"context {wanted!r}" if wanted else "a current-context"
            raise KubeconfigRefused(f"{expected} with {named}, found {listed}; name one of them")
        return _with_bounded_programs(read)

    @cached_property
    def _configuration(self) -> Any:  # noqa: ANN401 - the client's types differ between versions
        # Keys that stand in the kubeconfig go through files, which are gone when they are read.
        with tempfile.TemporaryDirectory(prefix="kubernetes-") as directory:
            return self._loaded(directory)

    def _loaded(self, directory: str) -> Any:  # noqa: ANN401 - as above
        declared = self._declared
        from kubernetes.client import Configuration
        from kubernetes.config.config_exception import ConfigException
        from kubernetes.config.kube_config import KubeConfigLoader

        configuration = Configuration()
        configuration.proxy = None  # from here on: what the kubeconfig says
        try:
            loader = KubeConfigLoader(
                declared,
                active_context=self.context,
                config_base_path=str(self.kubeconfig.absolute().parent),
                temp_file_path=directory,
            )
            loader.load_and_set(configuration)
            if urlsplit(configuration.host).scheme == "https":
                configuration.trust = _trust(configuration)
            self._expect_credentials(configuration)
        except ConfigException as error:
            raise KubeconfigRefused(f"{self.kubeconfig}: {error}") from None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            message = (
                f"{self.identity}: expected a usable cluster and user, found what "
                f"cannot be used: {type(error).__name__}; write the file anew"
            )
            raise KubeconfigRefused(message) from None
        return configuration

    def _expect_credentials(self, configuration: Any) -> None:  # noqa: ANN401 - as above
        """Refuse a credential program that gave nothing, which the official client only logs."""
        declared = self._declared
        context = _named(declared["contexts"], self.context or declared["current-context"])
        user = _named(declared.get("users"), context["context"].get("user")).get("user") or {}
        if "exec" in user and not (configuration.api_key or configuration.cert_file):
            message = (
                f"{self.identity}: expected its credential program to give a token or a "
                f"certificate within {CREDENTIAL_PROGRAM_S} s, found that it gave none; run it"
            )
            raise KubeconfigRefused(message)

    @cached_property
    def client(self) -> httpx.Client:
        """The pool of connections, with the kubeconfig's trust and credentials; not to be closed.

        Raises:
            KubeconfigRefused: the kubeconfig cannot be used.
        """
        configuration = self._configuration
        trust = getattr(configuration, "trust", False)
        proxy = configuration.proxy or _proxy_of_environment(configuration.host)
        return httpx.Client(
            auth=_Token(configuration),
            timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            headers={"Accept": "application/json", "User-Agent": "ai-how"},
            transport=_Transport(trust, configuration.tls_server_name, proxy),
            trust_env=False,
            follow_redirects=False,
        )

    def ask(
        self,
        what: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> httpx.Response:
        """Send a request, again where that may help, and return its answer.

        Raises:
            KubernetesUnavailable: no answer, or a failing server, for as long as patience lasts.
            KubernetesError: the server refused.
        """
        where = f"{what} at {self.url}"
        headers = {} if body is None else {"Content-Type": content_type}
        content = None if body is None else json.dumps(body, separators=(",", ":"))
        deadline = time.monotonic() + self.patience_s
        for pause in pauses():
            left = max(deadline - time.monotonic(), CONNECT_TIMEOUT_S)
            try:
                with self._speaking(where):
                    request = self.client.build_request(
                        method,
                        self.url + path,
                        params=dict(params or {}),
                        content=content,
                        headers=headers,
                        timeout=httpx.Timeout(
                            min(ANSWER_TIMEOUT_S, left), connect=CONNECT_TIMEOUT_S
                        ),
                    )
                    answer = self.client.send(request)
                    return self._expect_success(answer, where)
            except ChangesForgotten:
                raise
            except KubernetesUnavailable:
                if time.monotonic() + pause >= deadline:
                    raise
                time.sleep(pause)
        raise AssertionError(where)

    @contextmanager
    def follow(
        self, what: str, path: str, params: Mapping[str, str | int], silence_s: float
    ) -> Iterator[Iterator[dict[str, Any]]]:
        """Give the JSON lines that the server sends; never repeated here.

        Raises:
            KubernetesUnavailable: the connection broke, or nothing came for `silence_s`.
            ChangesForgotten: the server does not know what happened since the version named.
            KubernetesError: the server refused.
        """
        where = f"{what} at {self.url}"
        timeout = httpx.Timeout(silence_s, connect=CONNECT_TIMEOUT_S)
        with (
            self._speaking(where),
            self.client.stream(
                "GET", self.url + path, params=dict(params), timeout=timeout
            ) as answer,
        ):
            if not answer.is_success:
                answer.read()
                self._expect_success(answer, where)
            yield (json.loads(line) for line in answer.iter_lines() if line)

    @contextmanager
    def _speaking(self, where: str) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            message = f"{where}: no answer in time ({type(error).__name__}); is the cluster up?"
            raise KubernetesUnavailable(message) from error
        except httpx.UnsupportedProtocol as error:
            message = f"{self.identity}: expected `server` as https://HOST, found {self.url!r}"
            raise KubeconfigRefused(message) from error
        except httpx.TransportError as error:
            if _NOT_TRUSTED in str(error):
                message = (
                    f"{where}: {error}; expected a certificate that certificate-authority of "
                    f"{self.identity} vouches for: is it the right cluster?"
                )
                raise KubeconfigRefused(message) from error
            message = f"{where}: {error or type(error).__name__}; is the cluster up and reachable?"
            raise KubernetesUnavailable(message) from error
        except json.JSONDecodeError as error:
            message = f"{where}: expected JSON, found other text: is that an API server?"
            raise KubernetesUnavailable(message) from error

    def _expect_success(self, answer: httpx.Response, where: str) -> httpx.Response:
        if answer.is_success:
            return answer
        try:
            status = answer.json()
        except ValueError:
            status = {"message": answer.text}
        if not isinstance(status, dict):
            status = {"message": str(status)}
        error = error_of(answer.status_code, status, where, self.identity)
        if answer.is_redirect:
            error = KubernetesRefused(f"{where}: redirected; expected an API server there")
        raise error


def pauses() -> Iterator[float]:
    """Return how long to wait before each new attempt; it never ends."""
    pause = FIRST_PAUSE_S
    while True:
        yield pause
        pause = min(pause * 2, LONGEST_PAUSE_S)


def _named(listed: Any, name: object) -> dict[str, Any]:  # noqa: ANN401 - from a person's file
    return next((one for one in listed or [] if one.get("name") == name), {})


def _with_bounded_programs(declared: dict[str, Any]) -> dict[str, Any]:
    """Let credential programs end in time, for the official client waits for them without limit."""
    for named in declared.get("users") or []:
        user = named.get("user") if isinstance(named, dict) else None
        program = user.get("exec") if isinstance(user, dict) else None
        if isinstance(program, dict) and isinstance(program.get("command"), str):
            words = [str(CREDENTIAL_PROGRAM_S), program["command"], *(program.get("args") or [])]
            program["command"], program["args"] = "timeout", words
    return declared


def _trust(configuration: Any) -> ssl.SSLContext:  # noqa: ANN401 - as above
    trust = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if not configuration.verify_ssl:
        trust.check_hostname = False
        trust.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        trust.load_cert_chain(configuration.cert_file, configuration.key_file)
    return trust


def _proxy_of_environment(url: str) -> str | None:
    """Return the proxy that the environment names for `url`, as kubectl takes it: not loopback."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    host = parts.hostname or ""
    if host == "localhost" or _is_loopback(host) or proxy_bypass(host):
        return None
    return getproxies().get(parts.scheme)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Token(httpx.Auth):
    """The bearer token of the kubeconfig, renewed by the official client when it expires."""

    def __init__(self, configuration: Any) -> None:  # noqa: ANN401 - as above
        self._configuration = configuration

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        token = self._configuration.auth_settings().get("BearerToken", {}).get("value")
        if token:
            request.headers["Authorization"] = token
        yield request


class _Transport(httpx.HTTPTransport):
    """Connections under the name that the kubeconfig gives the server, where it gives one."""

    def __init__(
        self, trust: ssl.SSLContext | bool, server_name: str | None, proxy: str | None
    ) -> None:
        super().__init__(verify=trust, proxy=proxy, limits=_CONNECTIONS)
        self._server_name = server_name

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self._server_name:
            request.extensions = {**request.extensions, "sni_hostname": self._server_name}
        return super().handle_request(request)
