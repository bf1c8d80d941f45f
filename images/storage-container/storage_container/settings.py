"""What KServe tells this container: two arguments, and the environment made from the Secret.

KServe sets the names of the AWS tools and a few of its own (`S3_...`) from the Secret that the
service account names and from its annotations. Names that begin with AI_HOW are ours.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from storage_container.errors import Misused
from storage_container.manifest import is_digest

PATIENCE_S = 60.0
_SOURCE = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/([^\x00-\x1f]*)\Z")
_NAMED = re.compile(r"sha256-([0-9a-f]{64})\Z")
_NO = {"0", "false"}


@dataclass(frozen=True)
class Source:
    """The copy to download: everything under `prefix`, which ends in a slash."""

    bucket: str
    prefix: str
    tree_digest: str

    def url(self, path: str = "") -> str:
        """Return the place of a file of the copy, for people."""
        return f"s3://{self.bucket}/{self.prefix}{path}"


@dataclass(frozen=True)
class Endpoint:
    """Where the object store is, and who asks it."""

    tls: bool
    host: str
    port: int
    netloc: str
    region: str
    virtual_bucket: bool
    authority: Path | None  # certificates to trust; None: those of the system
    verify: bool
    patience_s: float
    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(repr=False)

    @property
    def url(self) -> str:
        """The address, for people."""
        return f"{'https' if self.tls else 'http'}://{self.netloc}"


def source_of(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[Source, Path]:
    """Return what to download and where to.

    Raises:
        Misused: the arguments name no single copy whose digest is known.
    """
    if len(arguments) != 2:
        message = (
            f"expected SOURCE and DESTINATION, found {len(arguments)} arguments; this container "
            "downloads one model: give `model.storageUri`, not `storageUris`"
        )
        raise Misused(message)
    found = _SOURCE.match(arguments[0])
    prefix = found[2].rstrip("/") if found else ""
    if not found or not prefix:
        message = f"SOURCE: expected s3://BUCKET/.../sha256-HEX/, found {arguments[0]!a}"
        raise Misused(message)
    digest = _digest(arguments[0], prefix, environment.get("AI_HOW_TREE_DIGEST", ""))
    destination = Path(arguments[1])
    if not destination.is_absolute():
        message = f"DESTINATION: expected an absolute path, found {arguments[1]!a}"
        raise Misused(message)
    return Source(found[1], prefix + "/", digest), destination


def _digest(source: str, prefix: str, told: str) -> str:
    named = _NAMED.match(prefix.rpartition("/")[2])
    if told and not is_digest(told):
        message = f"AI_HOW_TREE_DIGEST: expected 64 hex digits, found {told!a}"
        raise Misused(message)
    if named and told and named[1] != told:
        message = f"AI_HOW_TREE_DIGEST is {told}, but SOURCE is {source}; they must agree"
        raise Misused(message)
    if not named and not told:
        message = (
            f"SOURCE {source}: expected a prefix that ends in sha256-HEX/, the digest of the "
            "manifest, so that wrong bytes can be told; use the place where the model was "
            "published, or set AI_HOW_TREE_DIGEST"
        )
        raise Misused(message)
    return named[1] if named else told


def endpoint_of(environment: Mapping[str, str]) -> Endpoint:
    """Return where the object store is and who asks.

    Raises:
        Misused: the environment does not say it.
    """
    region = environment.get("AWS_DEFAULT_REGION") or environment.get("AWS_REGION") or "us-east-1"
    url = _url(environment, region)
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = 0
    plain = parts.path in {"", "/"} and not parts.query and not parts.username
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0 or not plain:
        shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        message = f"AWS_ENDPOINT_URL: expected http(s)://HOST[:PORT], found {shown!a}"
        raise Misused(message)
    tls = parts.scheme == "https"
    access_key, secret_key = _keys(environment)
    return Endpoint(
        tls=tls,
        host=parts.hostname,
        port=port or (443 if tls else 80),
        netloc=parts.netloc,
        region=region,
        virtual_bucket=environment.get("S3_USER_VIRTUAL_BUCKET", "").lower() == "true",
        authority=_authority(environment) if tls else None,
        verify=environment.get("S3_VERIFY_SSL", "").lower() not in _NO,
        patience_s=_seconds(environment, "AI_HOW_PATIENCE_S", PATIENCE_S),
        access_key=access_key,
        secret_key=secret_key,
        session_token=environment.get("AWS_SESSION_TOKEN", "") if access_key else "",
    )


def _url(environment: Mapping[str, str], region: str) -> str:
    if url := environment.get("AWS_ENDPOINT_URL"):
        return url.strip()
    if host := environment.get("S3_ENDPOINT", "").strip():
        https = environment.get("S3_USE_HTTPS", "").lower() not in _NO
        return f"{'https' if https else 'http'}://{host}"
    return f"https://s3.{region}.amazonaws.com"


def _keys(environment: Mapping[str, str]) -> tuple[str, str]:
    if environment.get("awsAnonymousCredential", "").lower() == "true":
        return "", ""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    values = tuple(environment.get(name, "").strip() for name in names)
    for name, value in zip(names, values, strict=True):
        if not value or not value.isascii() or not value.isprintable():
            message = (
                f"{name}: expected a key of the object store, found "
                f"{'something unprintable' if value else 'nothing'}; the service account of the "
                "predictor must name a Secret with the annotation serving.kserve.io/s3-endpoint"
            )
            raise Misused(message)
    return values[0], values[1]


def _authority(environment: Mapping[str, str]) -> Path | None:
    named = environment.get("AWS_CA_BUNDLE")
    if not named and environment.get("CA_BUNDLE_CONFIGMAP_NAME"):
        named = f"{environment.get('CA_BUNDLE_VOLUME_MOUNT_POINT', '')}/cabundle.crt"
    if not named:
        return None
    if not Path(named).is_file():
        message = f"AWS_CA_BUNDLE: expected a file with certificates at {named}, found none"
        raise Misused(message)
    return Path(named)


def _seconds(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not 0 < value <= 3600:
        message = f"{name}: expected seconds, more than 0 and at most 3600, found {text!a}"
        raise Misused(message)
    return value
