"""Collections of a Kubernetes API: read page by page, and followed over dropped connections.

What is followed is named by a path and its selectors; who asks, and why, is in `kubernetes.py`.
Reference: Kubernetes API concepts, "Retrieving large results sets in chunks" and "Efficient
detection of changes".
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from resources.kubernetes_errors import ChangesForgotten, KubernetesUnavailable, error_of
from resources.kubernetes_http import KubernetesHttp, pauses

PAGE = 500
# The server ends a watch after this long, so that a dead connection is noticed.
SPAN_S = 60
GRACE_S = 5.0
SHORT_S = 1.0  # a watch that ended sooner is not opened again at once
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Collection:
    """The objects of one kind that a path and selectors name."""

    http: KubernetesHttp
    api_version: str
    kind: str
    path: str
    selectors: Mapping[str, str]

    @property
    def what(self) -> str:
        """The collection in words."""
        chosen = " ".join(self.selectors.values())
        return f"{self.kind} {self.path}{' with ' if chosen else ''}{chosen}"

    def pages(self) -> Iterator[tuple[list[dict[str, Any]], str]]:
        """Give the objects page by page, each page with the version to watch from."""
        continued = ""
        while True:
            params: dict[str, str | int] = {**self.selectors, "limit": PAGE}
            if continued:
                params["continue"] = continued
            try:
                page = self.http.ask(f"list {self.what}", "GET", self.path, params=params).json()
            except ChangesForgotten as forgotten:
                if not forgotten.continued:
                    raise
                # The rest is told as it is now, not as it was when the listing began.
                continued = forgotten.continued
                continue
            told = page.get("metadata") or {}
            items = [self._whole(item) for item in page.get("items") or []]
            yield items, str(told.get("resourceVersion", ""))
            continued = told.get("continue") or ""
            if not continued:
                return

    def _whole(self, item: dict[str, Any]) -> dict[str, Any]:
        """Return an item with what a list leaves out."""
        return {"apiVersion": self.api_version, "kind": self.kind, **item}

    def snapshot(self) -> tuple[list[dict[str, Any]], str]:
        """Return all objects and the version to watch from."""
        found: list[dict[str, Any]] = []
        version = ""
        for items, at in self.pages():
            found += items
            version = at
        return found, version

    def changes(
        self, since: str, timeout_s: float, known: Iterable[dict[str, Any]] = ()
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give `ADDED`, `MODIFIED`, `DELETED` with the object, until `timeout_s` have passed.

        `known` are the objects that are known to exist at version `since`. With `since` empty,
        everything that is there comes first as `ADDED`. Where the server forgot what happened in
        between, the difference to what is known is told.

        Raises:
            KubernetesUnavailable: at the end the server could not be reached.
            KubernetesError: it refused.
        """
        deadline = time.monotonic() + timeout_s
        following = _Following(self, since, {_uid(one): _identity(one) for one in known})
        trouble: KubernetesUnavailable | None = None
        waits = pauses()
        while (left := deadline - time.monotonic()) > 0:
            begun, following.opened = time.monotonic(), False
            try:
                if following.forgotten:
                    yield from following.differences()
                yield from following.stream(left, deadline)
                trouble = None
            except ChangesForgotten:
                following.forgotten = True
            except KubernetesUnavailable as error:
                trouble = None if following.opened else error
            if following.opened:
                waits = pauses()
            if time.monotonic() - begun < SHORT_S:
                time.sleep(max(0.0, min(next(waits), deadline - time.monotonic())))
        if trouble:
            raise trouble


@dataclass
class _Following:
    """How far a collection was followed, and what is known to be there."""

    collection: Collection
    version: str
    known: dict[str, dict[str, Any]]
    forgotten: bool = False
    opened: bool = False

    def stream(self, left: float, deadline: float) -> Iterator[tuple[str, dict[str, Any]]]:
        span = min(SPAN_S, math.ceil(left))
        params: dict[str, str | int] = {
            **self.collection.selectors,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": span,
        }
        if self.version:
            params["resourceVersion"] = self.version
        silence = max(min(span + GRACE_S, left), 0.1)
        what = f"watch {self.collection.what}"
        with self.collection.http.follow(what, self.collection.path, params, silence) as lines:
            self.opened = True
            for event in lines:
                kind, told = str(event["type"]), event["object"]
                if kind == "ERROR":
                    raise error_of(int(told.get("code") or 500), told, what, "the identity in use")
                self.version = told["metadata"]["resourceVersion"]
                if kind != "BOOKMARK" and self._is_news(kind, told):
                    yield kind, told
                if time.monotonic() >= deadline:
                    return

    def differences(self) -> Iterator[tuple[str, dict[str, Any]]]:
        found, version = self.collection.snapshot()
        gone = self.known.keys() - {_uid(one) for one in found}
        for uid in gone:
            yield "DELETED", self.known.pop(uid)
        for one in found:
            kind = "MODIFIED" if _uid(one) in self.known else "ADDED"
            if self._is_news(kind, one):
                yield kind, one
        self.version, self.forgotten = version, False

    def _is_news(self, kind: str, one: dict[str, Any]) -> bool:
        """Remember an event; say whether it tells something new."""
        uid, identity = _uid(one), _identity(one)
        if kind == "DELETED":
            self.known.pop(uid, None)
            return True
        if self.known.get(uid) == identity:
            return False
        self.known[uid] = identity
        return True


def _uid(one: Mapping[str, Any]) -> str:
    return str(one["metadata"]["uid"])


def _identity(one: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("name", "namespace", "uid", "resourceVersion")
    metadata = {name: one["metadata"][name] for name in kept if name in one["metadata"]}
    return {"apiVersion": one.get("apiVersion"), "kind": one.get("kind"), "metadata": metadata}


def persistently(ask: Callable[[], _Answer], deadline: float) -> _Answer:
    """Ask again and again while the API server is away, whatever the patience of one request."""
    while True:
        try:
            return ask()
        except KubernetesUnavailable:
            if time.monotonic() >= deadline:
                raise
