"""A Kubernetes cluster as one identity of a kubeconfig sees it: objects applied, read, watched.

Objects are plain dictionaries in the API's own spelling; which objects belong there is not known
here. What we apply is ours by server-side apply under one field manager, so that fields of others
stay theirs. Every request is repeated while the API server is away, for it is idempotent: a second
apply, delete or question does no harm. References: Kubernetes API concepts; Server-Side Apply.
"""

import builtins
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import httpx

from resources.kubernetes_errors import (
    KubernetesError,
    ObjectMissing,
    WaitExpired,
)
from resources.kubernetes_http import KubernetesHttp
from resources.kubernetes_places import Places, safe
from resources.kubernetes_watching import Collection, persistently
from resources.kubernetes_words import explanation, labels_of_its_pods, silent_containers

FIELD_MANAGER = "ai-how"
PATIENCE_S = 20.0
LOG_LINES = 5
_MAX_PODS = 8  # whose events and logs are looked at when something is explained


@dataclass(frozen=True)
class Kubernetes:
    """One cluster as one identity of a kubeconfig sees it. Connects on first use; serves threads.

    `patience_s` is for how long a request is repeated while the API server is away.
    """

    kubeconfig: Path
    context: str | None = None
    field_manager: str = FIELD_MANAGER
    patience_s: float = PATIENCE_S

    @cached_property
    def _http(self) -> KubernetesHttp:
        return KubernetesHttp(self.kubeconfig, self.context, self.patience_s)

    @cached_property
    def _places(self) -> Places:
        return Places(self._http)

    def http(self) -> httpx.Client:
        """Return the client with the kubeconfig's trust and credentials; it is not to be closed.

        Raises:
            KubeconfigRefused: the kubeconfig cannot be used.
        """
        return self._http.client

    @property
    def url(self) -> str:
        """Where the API server answers."""
        return self._http.url

    def service_url(self, namespace: str, service: str, port: int = 80) -> str:
        """Return where the API server passes requests on to a service; ask it with `http()`."""
        name = f"http:{safe(service)}:{port}"
        return f"{self.url}/api/v1/namespaces/{safe(namespace)}/services/{name}/proxy"

    def version(self) -> str:
        """Return the API server's version, such as `v1.35.4`."""
        return str(self._http.ask("ask for the version", "GET", "/version").json()["gitVersion"])

    def apply(
        self,
        manifest: Mapping[str, Any],
        *,
        force: bool = False,
        subresource: str = "",
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Let the object have these fields, and own them; return the object. Repeating is harmless.

        Fields that were ours and are no longer named are given up. With `force` fields are taken
        from others. With `metadata.uid` or `metadata.resourceVersion` it must be that very object.

        Raises:
            Conflict: others own a field, with another value; or it is another object.
            KubernetesRefused: the manifest is wrong, or not allowed.
        """
        metadata = manifest["metadata"]
        api_version, kind, name = manifest["apiVersion"], manifest["kind"], metadata["name"]
        path = self._places.path(api_version, kind, metadata.get("namespace"), name)
        params = {
            "fieldManager": self.field_manager,
            "fieldValidation": "Strict",
            "force": str(force).lower(),
        }
        answer = self._http.ask(
            f"apply {kind} {_full(metadata.get('namespace'), name)}",
            "PATCH",
            f"{path}/{subresource}" if subresource else path,
            params=params | ({"dryRun": "All"} if dry_run else {}),
            body=manifest,
            content_type="application/apply-patch+yaml",
        )
        return _object(answer)

    def remove_fields(
        self, api_version: str, kind: str, name: str, namespace: str, fields: Mapping[str, Any]
    ) -> None:
        """Remove fields that only others own: nested as in the object, with None for each."""
        path = self._places.path(api_version, kind, namespace, name)
        what = f"remove fields of {kind} {_full(namespace, name)}"
        params = {"fieldManager": self.field_manager}
        kind_of_body = "application/merge-patch+json"
        self._http.ask(what, "PATCH", path, params=params, body=fields, content_type=kind_of_body)

    def get(
        self, api_version: str, kind: str, name: str, namespace: str | None = None
    ) -> dict[str, Any]:
        """Return an object.

        Raises:
            ObjectMissing: there is none.
        """
        path = self._places.path(api_version, kind, namespace, name)
        return _object(self._http.ask(f"get {kind} {_full(namespace, name)}", "GET", path))

    def list(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        labels: Mapping[str, str | None] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Give the objects of a kind, of one namespace or of all, page by page.

        `labels` choose by value, or with None by being there.
        """
        collection = self._collection(api_version, kind, namespace, labels=labels)
        for items, _ in collection.pages():
            yield from items

    def delete(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        wait_s: float = 0,
    ) -> bool:
        """Delete an object; say whether there was one. What it owns goes after it.

        With `wait_s` return when that object is gone, with `uid` delete that very object only.

        Raises:
            Conflict: the object has another uid.
            WaitExpired: it was still there after `wait_s`.
        """
        path = self._places.path(api_version, kind, namespace, name)
        body: dict[str, Any] = {"propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        what = f"delete {kind} {_full(namespace, name)}"
        try:
            if wait_s and not uid:
                uid = self.get(api_version, kind, name, namespace)["metadata"]["uid"]
            self._http.ask(what, "DELETE", path, body=body)
        except ObjectMissing:
            return False
        if wait_s:
            self.wait(
                api_version,
                kind,
                name,
                namespace,
                lambda one: one is None or one["metadata"]["uid"] != uid,
                what="to be gone",
                timeout_s=wait_s,
            )
        return True

    def watch(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        *,
        name: str | None = None,
        labels: Mapping[str, str | None] | None = None,
        since: str = "",
        timeout_s: float,
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give `ADDED`, `MODIFIED`, `DELETED` with the object, until `timeout_s` have passed.

        Goes on over dropped connections and new starts of the API server. With `since` empty,
        everything that is there comes first as `ADDED`; else it is the `resourceVersion` to go on
        from (objects of before that vanish while the server forgets changes are then not told).

        Raises:
            KubernetesUnavailable: at the end the API server could not be reached.
        """
        deadline = time.monotonic() + timeout_s
        follow = partial(self._collection, api_version, kind, namespace, name=name, labels=labels)
        collection = persistently(follow, deadline)
        yield from collection.changes(since, deadline - time.monotonic())

    def wait(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None,
        until: Callable[[dict[str, Any] | None], bool],
        *,
        what: str,
        timeout_s: float,
    ) -> dict[str, Any]:
        """Return the object when it is `until` says so; `{}` if that is when there is none.

        `until` is asked at first and at every change; what it raises passes. `what` says in words
        what is waited for: "to be ready".

        Raises:
            WaitExpired: it did not come within `timeout_s`; the message explains how things stand.
            KubernetesUnavailable: at the end the API server could not be reached.
        """
        deadline = time.monotonic() + timeout_s
        follow = partial(self._collection, api_version, kind, namespace, name=name)
        collection = persistently(follow, deadline)
        found, since = persistently(collection.snapshot, deadline)
        if until(found[0] if found else None):
            return found[0] if found else {}
        left = max(deadline - time.monotonic(), 0)
        for change, one in collection.changes(since, left, found):
            now = None if change == "DELETED" else one
            if until(now):
                return now or {}
        told = self.explain(api_version, kind, name, namespace)
        message = f"{kind} {_full(namespace, name)}: expected {what} within {timeout_s:g} s, found "
        raise WaitExpired(message + told)

    def explain(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> str:
        """Return how an object stands, in words: conditions, pods, containers, warnings, logs.

        Never raises for the cluster: what cannot be asked is said so.
        """
        try:
            found, _ = self._collection(api_version, kind, namespace, name=name).snapshot()
            if not found:
                return explanation(None, (), (), {}, {})
            one = found[0]
            beside, pods = self._belonging(one)
            suspects = [one, *beside, *pods[:_MAX_PODS]]
            events = {each["metadata"]["uid"]: self.events(each) for each in suspects}
            logs = {pod["metadata"]["uid"]: self._last_words(pod) for pod in pods[:_MAX_PODS]}
            return explanation(one, beside, pods[:_MAX_PODS], events, logs)
        except KubernetesError as error:
            return f"cannot tell how it stands: {error}"

    def _belonging(
        self, one: Mapping[str, Any]
    ) -> tuple[builtins.list[dict[str, Any]], builtins.list[dict[str, Any]]]:
        """Return the workloads and the pods that belong to an object."""
        if one["kind"] == "Pod":
            return [], [dict(one)]
        labels, namespace = labels_of_its_pods(one), one["metadata"].get("namespace")
        if not labels:
            return [], []
        beside = [
            owned
            for workload in ("Deployment", "ReplicaSet")
            for owned in self.list("apps/v1", workload, namespace, labels)
            # Those without replicas are of earlier versions.
            if owned["spec"].get("replicas") and owned["metadata"]["uid"] != one["metadata"]["uid"]
        ]
        return beside, [*self.list("v1", "Pod", namespace, labels)]

    def _last_words(self, pod: Mapping[str, Any]) -> str:
        """Return the end of the log of a container that failed without saying why."""
        metadata = pod["metadata"]
        for name, previous in silent_containers(pod):
            with suppress(KubernetesError):
                return self.logs(
                    metadata["name"], metadata["namespace"], name, LOG_LINES, previous=previous
                )
        return ""

    def events(self, about: Mapping[str, Any]) -> builtins.list[dict[str, Any]]:
        """Return the events about an object, in no order."""
        metadata = about["metadata"]
        namespace = metadata.get("namespace") or "default"
        chosen = f"involvedObject.uid={metadata['uid']}"
        collection = self._collection("v1", "Event", namespace, fields=chosen)
        return collection.snapshot()[0]

    def logs(
        self,
        pod: str,
        namespace: str,
        container: str,
        tail_lines: int,
        *,
        previous: bool = False,
    ) -> str:
        """Return the end of a container's log; with `previous` of the container before it.

        Raises:
            KubernetesRefused: the container has written none yet.
        """
        path = self._places.path("v1", "Pod", namespace, pod) + "/log"
        params: dict[str, str | int] = {
            "container": container,
            "tailLines": tail_lines,
            "previous": str(previous).lower(),
        }
        what = f"read the log of {container} of Pod {namespace}/{pod}"
        return self._http.ask(what, "GET", path, params=params).text

    def can_i(self, verb: str, group: str, resource: str, namespace: str | None = None) -> bool:
        """Say whether this identity may do `verb` with `resource` (`pods`, `pods/log`) of `group`.

        Without a namespace: in all of them.
        """
        resource, _, subresource = resource.partition("/")
        wanted = {
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": subresource,
            "namespace": namespace or "",
        }
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": wanted},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        what = f"ask whether {verb} {resource} is allowed"
        return bool(self._http.ask(what, "POST", path, body=body).json()["status"]["allowed"])

    def _collection(
        self,
        api_version: str,
        kind: str,
        namespace: str | None,
        *,
        name: str | None = None,
        labels: Mapping[str, str | None] | None = None,
        fields: str = "",
    ) -> Collection:
        if name:
            fields = f"metadata.name={name}"
        selectors = {"fieldSelector": fields} if fields else {}
        if labels:
            selectors["labelSelector"] = ",".join(
                key if value is None else f"{key}={value}" for key, value in sorted(labels.items())
            )
        path = self._places.path(api_version, kind, namespace)
        return Collection(self._http, api_version, kind, path, selectors)


def _full(namespace: str | None, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name


def _object(answer: httpx.Response) -> dict[str, Any]:
    one: dict[str, Any] = answer.json()
    return one
