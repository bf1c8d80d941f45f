"""Where a Kubernetes API keeps the objects of each kind: asked of the server, never guessed.

Reference: Kubernetes API concepts, "Resource URIs" and "API discovery".
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from resources.kubernetes_errors import KindUnknown, ObjectMissing
from resources.kubernetes_http import KubernetesHttp


@dataclass(frozen=True)
class _Place:
    base: str
    plural: str
    namespaced: bool


@dataclass(frozen=True)
class Places:
    """The paths of one API server. What was asked is remembered, what was missing is not."""

    http: KubernetesHttp
    _known: dict[tuple[str, str], _Place] = field(default_factory=dict)

    def path(
        self, api_version: str, kind: str, namespace: str | None, name: str | None = None
    ) -> str:
        """Return the path of an object, or without `name` that of all of them.

        Raises:
            KindUnknown: the cluster has no such kind.
        """
        place = self._place(api_version, kind)
        if place.namespaced and name and not namespace:
            message = f"{kind} {name}: expected a namespace, for objects of this kind live in one"
            raise ValueError(message)
        inside = f"/namespaces/{safe(namespace)}" if place.namespaced and namespace else ""
        return f"{place.base}{inside}/{place.plural}" + (f"/{safe(name)}" if name else "")

    def _place(self, api_version: str, kind: str) -> _Place:
        if (api_version, kind) not in self._known:
            base = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
            for one in self._resources(api_version, base):
                if "/" not in one["name"]:
                    place = _Place(base, one["name"], one["namespaced"])
                    self._known[api_version, one["kind"]] = place
        try:
            return self._known[api_version, kind]
        except KeyError:
            message = (
                f"{kind} of {api_version}: expected {self.http.url} to know that kind, found that "
                "it does not; is its CustomResourceDefinition installed?"
            )
            raise KindUnknown(message) from None

    def _resources(self, api_version: str, base: str) -> Iterable[dict[str, Any]]:
        try:
            answer = self.http.ask(f"ask for the kinds of {api_version}", "GET", base).json()
        except ObjectMissing:
            return ()
        return list(answer["resources"])


def safe(name: str | None) -> str:
    """Return a name as one part of a path."""
    return quote(name or "", safe="")
