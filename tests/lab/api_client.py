"""The few requests that the lab itself sends to its API server, as the administrator.

Tests of the platform speak to the cluster through the platform's own connection.
"""

import ssl
from pathlib import Path
from typing import Any

import httpx

from tests.lab.commands import LabFailed

TIMEOUT_S = 20.0


class ApiClient:
    """Requests to one API server; `certificates` holds the administrator's and the authority's."""

    def __init__(self, url: str, certificates: Path, administrator: str) -> None:
        trust = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
        trust.load_cert_chain(
            certificates / f"{administrator}.crt", certificates / f"{administrator}.key"
        )
        self._http = httpx.Client(base_url=url, verify=trust, timeout=TIMEOUT_S, trust_env=False)

    def find(self, path: str, **query: str) -> dict[str, Any] | None:
        """Return an object or list; nothing where there is none."""
        answer = self._http.get(path, params=query)
        return None if answer.status_code == 404 else self._taken(answer)

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """Return an object or list that must be there."""
        return self._taken(self._http.get(path, params=query))

    def create(self, path: str, manifest: dict[str, Any]) -> dict[str, Any]:
        """Create an object in the collection at `path`."""
        return self._taken(self._http.post(path, json=manifest))

    def patch(self, path: str, operations: list[dict[str, Any]]) -> dict[str, Any]:
        """Change an object by a JSON patch."""
        kind = {"Content-Type": "application/json-patch+json"}
        return self._taken(self._http.patch(path, json=operations, headers=kind))

    def delete(self, path: str, **query: str) -> None:
        """Ask for the removal of an object, which may take longer; one that is gone is no error."""
        answer = self._http.delete(path, params=query)
        if answer.status_code != 404:
            self._taken(answer)

    def close(self) -> None:
        self._http.close()

    @staticmethod
    def _taken(answer: httpx.Response) -> dict[str, Any]:
        if answer.is_error:
            request = answer.request
            message = f"{request.method} {request.url}: {answer.status_code} {answer.text[:2000]}"
            raise LabFailed(message)
        return dict(answer.json())
