"""What Kubernetes takes as names, labels and taints.

Kubernetes documentation: "Object Names and IDs" (RFC 1123, RFC 1035) and "Labels and Selectors".
Each question returns what is expected where the text is wrong, and None where it is right.
"""

import re

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SERVICE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")

_SMALL = "lower-case letters, digits and '-', beginning and ending with a letter or digit"
_MIXED = "letters, digits, '-', '_' and '.', beginning and ending with a letter or digit"


def wrong_label_name(text: str) -> str | None:
    """Judge an RFC 1123 label: namespaces, and whatever becomes a part of a host name."""
    if len(text) <= 63 and _LABEL.fullmatch(text):
        return None
    return f"at most 63 {_SMALL}"


def wrong_service_name(text: str) -> str | None:
    """Judge an RFC 1035 label, as names of Services must be."""
    if len(text) <= 63 and _SERVICE.fullmatch(text):
        return None
    return "at most 63 lower-case letters, digits and '-', beginning with a letter"


def wrong_subdomain(text: str, length: int = 253) -> str | None:
    """Judge an RFC 1123 subdomain, as names of most objects are; nodes have at most 63."""
    if len(text) <= length and _SUBDOMAIN.fullmatch(text):
        return None
    return f"at most {length} {_SMALL}, in parts divided by '.'"


def wrong_key(text: str) -> str | None:
    """Judge the key of a label or taint: `name`, or `prefix/name`."""
    prefix, slash, name = text.rpartition("/")
    if slash and (wrong_subdomain(prefix) is not None):
        return "a DNS name before the '/', as in nvidia.com/gpu"
    if len(name) > 63 or not _QUALIFIED.fullmatch(name):
        return f"at most 63 {_MIXED}"
    return None


def wrong_value(text: str) -> str | None:
    """Judge the value of a label or taint; empty is right."""
    if not text or (len(text) <= 63 and _QUALIFIED.fullmatch(text)):
        return None
    return f"at most 63 {_MIXED}"


TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
