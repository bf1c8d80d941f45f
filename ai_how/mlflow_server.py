"""MLflow's tracking server behind the loopback guard and a login: `python -m ai_how.mlflow_server`.

MLflow's own login (`--app-name basic-auth`) needs a database of users; one login, kept in MLflow's
own credentials file (`[mlflow]`, `mlflow_tracking_username`, `mlflow_tracking_password`), is enough
on one machine. The server keeps artifacts in S3 and nowhere else: it registers no other artifact
store, so no request can make it read or write its own disk. Parts of MLflow that act on their own
(assistant, gateway, jobs, webhooks) are not offered. Secrets come from files into this process
alone; none stands on a command line or in the environment it was started with.
"""

import argparse
import configparser
import json
import logging
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

from ai_how.loopback_guard import LOOPBACK, BasicLogin, Login, LoopbackGuard, refuse
from platform_assets.spec.applied import AppliedEstate, read_applied, state_dir
from platform_assets.spec.errors import AiHowError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

ARTIFACT_ROOT = "s3://mlflow/"
CREDENTIALS_FILE = "mlflow-credentials.ini"
_OPEN_PATHS = frozenset({"/health"})
_NOT_OFFERED = frozenset({"assistant", "gateway", "jobs", "webhooks", "mcp", "mcp-servers"})
_SHUTDOWN_S = 5
# What a client may name as the source of a version: S3, or what MLflow resolves to a place in S3.
_SOURCE_RULE = r"\A(s3://|models:/|runs:/)"
_ARTIFACT_SCHEMES = ("s3", "runs", "models")


class CredentialsRefused(AiHowError):
    """A file with secrets is missing or does not hold what it should."""


@dataclass(frozen=True)
class StoreAccess:
    """Where MLflow keeps rows and artifacts; secrets do not show when it is printed."""

    database_url: str
    s3_url: str
    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        """Keep the secrets out of logs and tracebacks."""
        return f"StoreAccess(s3_url={self.s3_url!r}, ...)"


def read_login(file: Path) -> Login:
    """Read MLflow's credentials file.

    Raises:
        CredentialsRefused: it is missing, or lacks the user name or the password.
    """
    parser = configparser.ConfigParser()
    try:
        parser.read_string(file.read_text(encoding="utf-8"), source=str(file))
        section = parser["mlflow"]
        login = Login(section["mlflow_tracking_username"], section["mlflow_tracking_password"])
    except (OSError, KeyError, UnicodeDecodeError, configparser.Error) as error:
        # The parser's own message may quote a line of the file, hence the password.
        message = (
            f"{file}: expected [mlflow] with mlflow_tracking_username and "
            f"mlflow_tracking_password, found none ({type(error).__name__}); run `ai-how up` again"
        )
        raise CredentialsRefused(message) from None
    if not login.username or not login.password or ":" in login.username:
        message = f"{file}: expected a user name without ':' and a password; run `ai-how up` again"
        raise CredentialsRefused(message)
    return login


def read_store_access(applied: AppliedEstate) -> StoreAccess:
    """Read where the stores are from the applied estate, and the S3 keys from their file.

    Raises:
        CredentialsRefused: the key file is missing or does not parse.
    """
    file = applied.secrets / "s3-mlflow.json"
    try:
        keys = json.loads(file.read_text(encoding="utf-8"))
        access_key, secret_key = str(keys["access_key"]), str(keys["secret_key"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = (
            f"{file}: expected access_key and secret_key, found none ({type(error).__name__}); "
            "run `ai-how up` again"
        )
        raise CredentialsRefused(message) from None
    url = applied.database_url("mlflow", "mlflow")
    return StoreAccess(url, applied.addresses.s3_url, access_key, secret_key)


def prepare_environment(access: StoreAccess) -> None:
    """Set what MLflow reads from its environment; it must come before MLflow is imported."""
    for name in [n for n in os.environ if n.startswith(("AWS_", "_MLFLOW_SERVER_"))]:
        del os.environ[name]
    os.environ.update(
        {
            "AWS_ACCESS_KEY_ID": access.access_key,
            "AWS_SECRET_ACCESS_KEY": access.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "DO_NOT_TRACK": "true",
            "MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX": _SOURCE_RULE,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_S3_ENDPOINT_URL": access.s3_url,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "_MLFLOW_SERVER_ARTIFACT_ROOT": ARTIFACT_ROOT,
            "_MLFLOW_SERVER_FILE_STORE": access.database_url,
            "_MLFLOW_SERVER_REGISTRY_STORE": access.database_url,
        }
    )


class OnlyOffered:
    """Refuses the parts of MLflow that act on their own or call other machines."""

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one request, or let the wrapped application answer it."""
        parts = scope["path"].split("/") if scope["type"] in ("http", "websocket") else []
        refused = _NOT_OFFERED.intersection(part.lower() for part in parts)
        if refused:
            await refuse(scope, send, 403, f"MLflow's {', '.join(refused)} is not offered here.")
            return
        await self._app(scope, receive, send)


def keep_artifacts_in_s3(database_url: str) -> None:
    """Open MLflow's stores and take every artifact store but S3 away from this process."""
    from mlflow.exceptions import MlflowException
    from mlflow.server import handlers
    from mlflow.store.artifact import artifact_repository_registry

    registered = artifact_repository_registry.get_registered_artifact_repositories()
    for scheme in [s for s in registered if s not in _ARTIFACT_SCHEMES]:
        del registered[scheme]

    handlers.initialize_backend_stores(database_url, database_url, ARTIFACT_ROOT)
    store: Any = handlers._get_tracking_store()  # one per process
    create = store.create_experiment

    def create_in_s3(name: str, artifact_location: str | None = None, tags: Any = None) -> Any:  # noqa: ANN401
        if artifact_location and not artifact_location.startswith("s3://"):
            message = (
                f"artifact_location: expected s3://BUCKET/..., found {artifact_location!r}; "
                f"leave it out and artifacts go to {ARTIFACT_ROOT}"
            )
            raise MlflowException.invalid_parameter_value(message)
        return create(name, artifact_location, tags)

    store.create_experiment = create_in_s3


def mlflow_application(access: StoreAccess, login: Login, port: int) -> "ASGIApp":
    """Return MLflow's application as the server on `port` may show it."""
    prepare_environment(access)
    keep_artifacts_in_s3(access.database_url)
    from mlflow.server.fastapi_app import app

    return LoopbackGuard(BasicLogin(OnlyOffered(app), login, _OPEN_PATHS), port)


def serve(application: "ASGIApp", port: int) -> None:
    """Serve `application` on 127.0.0.1 until SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a stop is no failure: exit status 0
    uvicorn.run(
        application,
        host=LOOPBACK,
        port=port,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_SHUTDOWN_S,
    )


def main() -> None:
    """Read the arguments, the applied estate and the secrets, and serve."""
    parser = argparse.ArgumentParser(prog="python -m ai_how.mlflow_server", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        applied = read_applied(state_dir())
        login = read_login(applied.secrets / CREDENTIALS_FILE)
        access = read_store_access(applied)
    except AiHowError as error:
        raise SystemExit(str(error)) from error
    serve(mlflow_application(access, login, port), port)


if __name__ == "__main__":
    main()
