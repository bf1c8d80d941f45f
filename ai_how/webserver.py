"""Dagster's webserver behind the loopback guard: `python -m ai_how.webserver`.

Dagster's own command cannot be given a middleware, and its GraphQL endpoint runs queries and
mutations whatever the content type, even from a GET. Here its application is built as that command
builds it, on 127.0.0.1 only. What is shown there is Dagster's matter.
"""

import argparse
import logging
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from ai_how.loopback_guard import LOOPBACK, LoopbackGuard, headers_of, refuse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_STATEMENT_TIMEOUT_MS = 15_000
_POOL_RECYCLE_S = 3_600
_POOL_OVERFLOW = 20
_SHUTDOWN_S = 5


class QueriesByPostOnly:
    """Refuses GraphQL queries sent by GET: an image tag would be enough to send one."""

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one request, or let the wrapped application answer it."""
        if (
            scope["type"] == "http"
            and scope["path"].rstrip("/") == "/graphql"
            and scope["method"] != "POST"
            and not any("text/html" in accept for accept in headers_of(scope).get("accept", []))
        ):
            await refuse(scope, send, 405, "GraphQL queries are taken by POST only.")
            return
        await self._app(scope, receive, send)


def guarded(app: "ASGIApp", port: int) -> "ASGIApp":
    """Return `app` as the server on `port` may show it."""
    return LoopbackGuard(QueriesByPostOnly(app), port)


def serve(workspace: Path, port: int) -> None:
    """Serve the instance in DAGSTER_HOME and the code locations of `workspace` until SIGTERM."""
    from dagster import DagsterInstance
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster_webserver.app import create_app_from_workspace_process_context
    from dagster_webserver.version import __version__

    with DagsterInstance.get() as instance:
        if instance.telemetry_enabled:
            message = (
                f"{os.environ['DAGSTER_HOME']}/dagster.yaml: telemetry.enabled: expected false, "
                "found true; run `ai-how up` again"
            )
            raise SystemExit(message)
        instance.optimize_for_webserver(_STATEMENT_TIMEOUT_MS, _POOL_RECYCLE_S, _POOL_OVERFLOW)
        with WorkspaceProcessContext(
            instance,
            version=__version__,
            workspace_load_target=WorkspaceFileTarget([str(workspace)]),
        ) as context:
            uvicorn.run(
                guarded(create_app_from_workspace_process_context(context), port),
                host=LOOPBACK,
                port=port,
                log_level="warning",
                lifespan="off",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=_SHUTDOWN_S,
            )


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m ai_how.webserver", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workspace", type=Path, required=True, help="workspace.yaml to show")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"
    # A stop unwinds like Ctrl-C, so that the workspace and the instance are closed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    serve(arguments.workspace.absolute(), arguments.port)


if __name__ == "__main__":
    main()
