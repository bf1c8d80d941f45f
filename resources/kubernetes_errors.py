"""What can go wrong with a Kubernetes cluster: one class per thing a caller can do differently.

Reference: Kubernetes API conventions, "Response Status Kind".
"""

import re
from collections.abc import Mapping
from typing import Any

from resources.errors import ResourceError

_MAX_WORDS = 2000
_WRONG_MANIFEST = "failed to create typed patch object"
_DENIED = "denied the request"
_NO_CONNECTION = re.compile(r"dial tcp|connection refused|connection reset|i/o timeout|: EOF$")
_MANAGER = re.compile(r'conflict with "([^"]*)"')


class KubernetesError(ResourceError):
    """The root of what can go wrong with a cluster."""


class KubernetesUnavailable(KubernetesError):
    """The API server cannot be reached or is failing; the same request may succeed later."""


class ChangesForgotten(KubernetesUnavailable):
    """The API server no longer knows what happened since the version that was named."""

    def __init__(self, message: str, continued: str = "") -> None:
        """`continued` is where a listing that took too long may go on, if the server told."""
        super().__init__(message)
        self.continued = continued


class KubernetesRefused(KubernetesError):
    """The API server answered and said no; the same request will be refused again."""


class KubeconfigRefused(KubernetesError):
    """The kubeconfig cannot be used: missing, damaged, or without the context that is named."""


class KindUnknown(KubernetesRefused):
    """The cluster has no such kind."""


class ObjectMissing(KubernetesRefused):
    """There is no such object."""


class Conflict(KubernetesRefused):
    """Somebody else's change stands against ours.

    `managers` are the field managers that own what was to be applied, `fields` those fields. Both
    are empty where the object itself is another one than the request named (uid or version).
    """

    def __init__(
        self, message: str, managers: tuple[str, ...] = (), fields: tuple[str, ...] = ()
    ) -> None:
        """Keep who owns what."""
        super().__init__(message)
        self.managers = managers
        self.fields = fields


class WaitExpired(KubernetesError):
    """What was waited for did not come in time; the message explains how things stand."""


def error_of(code: int, status: Mapping[str, Any], where: str, identity: str) -> KubernetesError:
    """Return the error that an answer with this HTTP code and Status means.

    `identity` says in words whose credentials were used.
    """
    told = str(status.get("message") or "")[:_MAX_WORDS] or "no explanation"
    words = f"{where}: {code}: {told}"
    if code == 401:
        return KubernetesRefused(
            f"{words}; {identity} is not accepted: its credentials are wrong or expired, renew them"
        )
    if code == 403 and _DENIED in told:
        # A webhook that asks the API server itself says no while that starts anew.
        if _NO_CONNECTION.search(told):
            return KubernetesUnavailable(f"{words}; a webhook of the cluster is failing")
        return KubernetesRefused(f"{words}; a webhook of the cluster does not allow it")
    if code == 403:
        return KubernetesRefused(f"{words}; {identity} lacks that right: ask the cluster's owner")
    if code == 404:
        return ObjectMissing(f"{words}; it was never made, or was deleted")
    if code == 409:
        return _conflict(status, words)
    if code == 410:
        continued = str((status.get("metadata") or {}).get("continue") or "")
        return ChangesForgotten(f"{words}; list anew", continued)
    # The API server answers 500 to a manifest whose fields its schema does not have.
    if (code >= 500 and _WRONG_MANIFEST not in told) or code in {408, 429}:
        return KubernetesUnavailable(f"{words}; the API server, or a webhook it asks, is failing")
    return KubernetesRefused(words)


def _conflict(status: Mapping[str, Any], words: str) -> Conflict:
    causes = [
        cause
        for cause in (status.get("details") or {}).get("causes") or []
        if cause.get("reason") == "FieldManagerConflict"
    ]
    fields = tuple(sorted({str(cause.get("field", "")) for cause in causes}))
    named = (_MANAGER.search(str(cause.get("message", ""))) for cause in causes)
    managers = tuple(sorted({match.group(1) for match in named if match}))
    if not causes:
        return Conflict(f"{words}; the object is not the one that was meant: look at it anew")
    message = (
        f"{words}; {', '.join(fields)} belong to {', '.join(managers)}: let them be given up "
        "there, or apply with force"
    )
    return Conflict(message, managers, fields)
