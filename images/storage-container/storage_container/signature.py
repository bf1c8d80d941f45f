"""AWS Signature Version 4 of requests without a body.

Reference: Amazon S3 API, "Authenticating Requests: Using the Authorization Header".
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

_EMPTY = hashlib.sha256(b"").hexdigest()
_UNRESERVED = "-_.~"


def encoded_path(path: str) -> str:
    """Return a path as it is requested and signed."""
    return quote(path, safe=_UNRESERVED + "/")


def encoded_query(query: Mapping[str, str]) -> str:
    """Return the query string as it is requested and signed: sorted, each with its `=`."""
    pairs = sorted(
        (quote(k, safe=_UNRESERVED), quote(v, safe=_UNRESERVED)) for k, v in query.items()
    )
    return "&".join(f"{name}={value}" for name, value in pairs)


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


@dataclass
class Signer:
    """Signs requests of one identity; serves all threads."""

    access_key: str
    secret_key: str = field(repr=False)
    region: str
    session_token: str = field(default="", repr=False)
    _day_key: tuple[str, bytes] = field(default=("", b""), init=False, repr=False)

    def signed(
        self, method: str, path: str, query: str, headers: Mapping[str, str], now: datetime
    ) -> dict[str, str]:
        """Return `headers` (names in lower case, `host` among them) with the signature."""
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        signed = dict(headers)
        signed["x-amz-content-sha256"] = _EMPTY
        signed["x-amz-date"] = stamp
        if self.session_token:
            signed["x-amz-security-token"] = self.session_token
        names = sorted(signed)
        named = ";".join(names)
        lines = "".join(f"{name}:{signed[name]}\n" for name in names)
        request = f"{method}\n{path}\n{query}\n{lines}\n{named}\n{_EMPTY}"
        scope = f"{stamp[:8]}/{self.region}/s3/aws4_request"
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
        signed["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, "
            f"SignedHeaders={named}, Signature={_hmac(self._key(stamp[:8]), text).hex()}"
        )
        return signed

    def _key(self, day: str) -> bytes:
        known_day, key = self._day_key
        if known_day != day:
            key = f"AWS4{self.secret_key}".encode()
            for part in (day, self.region, "s3", "aws4_request"):
                key = _hmac(key, part)
            self._day_key = (day, key)
        return key
