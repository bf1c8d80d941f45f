"""When a part is ready: each probe asks the part to do its work once, and returns or raises.

`NotReady` means: ask again. Another error means that asking again will not help.
"""

import base64
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import httpx

from platform_assets.spec.errors import AiHowError
from resources.postgresql import PostgresqlNotReady, PostgresqlServer

_TIMEOUT_S = 5.0
_REGION = "us-east-1"


class NotReady(AiHowError):
    """A part does not do its work yet."""


class CodeDoesNotLoad(AiHowError):
    """The code server runs, and the definitions it should serve do not load."""


class StoreIgnoresConditions(AiHowError):
    """The object store does not keep what the delivery of models rests on."""


def program(name: str) -> str:
    """Return the full path of a program that is there."""
    found = shutil.which(name)
    if found is None:
        message = f"{name}: no such program on PATH"
        raise NotReady(message)
    return found


def postgresql(server: PostgresqlServer) -> None:
    """One row of an SQL query comes back."""
    try:
        server.probe()
    except PostgresqlNotReady as error:
        raise NotReady(str(error)) from error


def http(url: str) -> None:
    """A GET is answered with 200."""
    _answers(url, httpx.codes.OK)


def seaweedfs(url: str) -> None:
    """S3 answers, and refuses us who show no key."""
    _answers(url, httpx.codes.FORBIDDEN)


def _answers(url: str, expected: httpx.codes) -> None:
    try:
        with httpx.Client(timeout=_TIMEOUT_S, trust_env=False) as client:
            status = client.get(url).status_code
    except httpx.HTTPError as error:
        message = f"{url}: {type(error).__name__}: {error}"
        raise NotReady(message) from error
    if status != expected:
        message = f"{url}: expected {expected:d}, found {status}"
        raise NotReady(message)


def s3_conditions(url: str, bucket: str, access_key: str, secret_key: str) -> None:
    """Check that the store keeps conditional puts and checksums; leave nothing behind.

    Raises:
        NotReady: it cannot store yet.
        StoreIgnoresConditions: it took what it had to refuse.
    """
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name=_REGION,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(
            connect_timeout=_TIMEOUT_S,
            read_timeout=20,
            retries={"max_attempts": 0},
            s3={"addressing_style": "path"},
        ),
    )
    key = f"models/.probe-{uuid4().hex}"
    wrong = base64.b64encode(bytes(32)).decode()
    try:
        client.put_object(Bucket=bucket, Key=key, Body=b"probe", IfNoneMatch="*")
        _must_refuse(
            lambda: client.put_object(Bucket=bucket, Key=key, Body=b"other", IfNoneMatch="*"),
            f"{url}: a second put with `If-None-Match: *` was taken. The object store must refuse "
            "it: the put of a manifest is the commit of a copy. Use a store that keeps conditional "
            "writes.",
        )
        _must_refuse(
            lambda: client.put_object(
                Bucket=bucket, Key=key + "-sum", Body=b"probe", ChecksumSHA256=wrong
            ),
            f"{url}: a body that does not fit its x-amz-checksum-sha256 was taken. The object "
            "store must verify checksums, or damaged models are served. Use a store that does.",
        )
    except (ClientError, BotoCoreError) as error:
        message = f"{url}: {error}"
        raise NotReady(message) from error
    finally:
        for name in (key, key + "-sum"):
            with suppress(ClientError, BotoCoreError):
                client.delete_object(Bucket=bucket, Key=name)


def _must_refuse(put: Callable[[], object], otherwise: str) -> None:
    from botocore.exceptions import ClientError

    try:
        put()
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if not httpx.codes.is_client_error(status):
            raise
        return
    raise StoreIgnoresConditions(otherwise)


def code_server(socket: Path) -> None:
    """The code server answers, and its definitions load.

    Raises:
        CodeDoesNotLoad: with the error that Python gave.
    """
    from dagster._core.errors import DagsterUserCodeUnreachableError
    from dagster._grpc.client import DagsterGrpcClient
    from dagster._serdes import deserialize_value
    from dagster_shared.error import SerializableErrorInfo

    client = DagsterGrpcClient(socket=str(socket))
    try:
        client.ping("ready")
        answer = deserialize_value(client.list_repositories())
    except DagsterUserCodeUnreachableError as error:
        message = f"{socket}: the code server does not answer yet"
        raise NotReady(message) from error
    if isinstance(answer, SerializableErrorInfo):
        message = f"ai_how.definitions does not load: {answer.to_string()[-3000:]}"
        raise CodeDoesNotLoad(message)


def daemon(dagster_home: Path, started: float) -> None:
    """Every daemon that must run has given a sign of life since the process started."""
    import dagster as dg
    from dagster_postgres.utils import DagsterPostgresException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
            beats = instance.get_daemon_heartbeats()
            wanted = instance.get_required_daemon_types()
    except (SQLAlchemyError, DagsterPostgresException) as error:
        message = f"Dagster's records cannot be read: {type(error).__name__}"
        raise NotReady(message) from error
    silent = [kind for kind in wanted if kind not in beats or beats[kind].timestamp < int(started)]
    if silent:
        message = f"no sign of life yet from the daemons {', '.join(sorted(silent))}"
        raise NotReady(message)
