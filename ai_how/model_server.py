"""MLServer in one process behind the loopback guard: `python -m ai_how.model_server`.

It runs models that others trained, so it starts itself anew with an environment that holds no
secret. It speaks the Open Inference Protocol over HTTP on 127.0.0.1; gRPC is never opened, and
handlers that a model brings along get no path. Models found in the repository are loaded one by one
before the port opens; one that cannot be loaded is reported and left out. How a model's bytes are
verified stands in `platform_assets/serving/verified_runtime.py`.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ai_how.loopback_guard import LOOPBACK, LoopbackGuard
from platform_assets.spec.applied import read_applied, state_dir
from platform_assets.spec.errors import AiHowError

if TYPE_CHECKING:
    from mlserver.registry import MultiModelRegistry
    from mlserver.settings import ModelSettings, Settings

_KEPT = ("HOME", "LANG", "LANGUAGE", "PATH", "PWD", "SHLVL", "TMPDIR", "TZ", "USER", "_")
_KEPT_PREFIXES = ("LC_", "CUDA_", "NVIDIA_", "OMP_", "OPENBLAS_", "MKL_", "VIRTUAL_ENV")
_KEPT_OURS = (
    "AI_HOW_STATE",
    "AI_HOW_SUPERVISED",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "PYTHONUNBUFFERED",
)
_ADDED = {"DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}

_log = logging.getLogger("ai-how.model-server")


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what of `environment` a process may see that runs others' models."""
    kept = {
        name: value
        for name, value in environment.items()
        if name in _KEPT or name in _KEPT_OURS or name.startswith(_KEPT_PREFIXES)
    }
    return kept | _ADDED


def server_settings(repository: Path, http_port: int, metrics_port: int | None) -> "Settings":
    """Return MLServer's settings; nothing is left to its defaults that opens or shares anything."""
    from mlserver.settings import Settings

    return Settings(
        debug=False,
        host=LOOPBACK,
        http_port=http_port,
        metrics_endpoint=None if metrics_port is None else "/metrics",
        metrics_port=metrics_port or 0,
        parallel_workers=0,
        model_repository_root=str(repository),
        load_models_at_startup=True,
        kafka_enabled=False,
        cors_settings=None,
        tracing_server=None,
    )


async def run_server(settings: "Settings") -> None:
    """Load what the repository holds, then serve until SIGTERM or SIGINT.

    MLServer's own server class opens gRPC, and stops when one model cannot be loaded; so its parts
    are put together here.
    """
    from mlserver.batching import load_batching
    from mlserver.handlers import DataPlane, ModelRepositoryHandlers
    from mlserver.logging import configure_logger
    from mlserver.metrics import MetricsServer
    from mlserver.registry import MultiModelRegistry
    from mlserver.repository.factory import ModelRepositoryFactory
    from mlserver.rest import RESTServer

    configure_logger(settings)
    registry = MultiModelRegistry(on_model_load=[load_batching])
    repository = ModelRepositoryFactory.resolve_model_repository(settings)
    for model_settings in await repository.list():
        await _load_or_report(registry, model_settings)
    rest = RESTServer(
        settings,
        DataPlane(settings=settings, model_registry=registry),
        ModelRepositoryHandlers(repository=repository, model_registry=registry),
    )
    rest._app.add_middleware(LoopbackGuard, port=settings.http_port)
    servers = [rest.start()]
    if settings.metrics_endpoint:
        metrics = MetricsServer(settings)
        metrics._app.add_middleware(LoopbackGuard, port=settings.metrics_port)
        servers.append(metrics.start())
    await asyncio.gather(*servers)


async def _load_or_report(registry: "MultiModelRegistry", model: "ModelSettings") -> None:
    """Load one model; whatever others wrote into it, it cannot keep the rest from being served."""
    loading = asyncio.ensure_future(registry.load(model))
    await asyncio.wait([loading])
    if error := loading.exception():
        _log.error("model %s is left out: %s", model.name, error, exc_info=error)


def main() -> None:
    """Read the arguments and the applied estate, shed the environment, and serve."""
    parser = argparse.ArgumentParser(prog="python -m ai_how.model_server", description=__doc__)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--metrics-port", type=int, help="without it no metrics are shown")
    arguments = parser.parse_args()
    allowed = without_secrets(os.environ)
    if allowed != dict(os.environ):
        # Only a new start forgets: /proc/PID/environ shows what a process was started with.
        command = [sys.executable, "-m", "ai_how.model_server", *sys.argv[1:]]
        os.execve(sys.executable, command, allowed)  # noqa: S606 - no shell is wanted
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        repository = read_applied(state_dir()).model_repository
    except AiHowError as error:
        raise SystemExit(str(error)) from error
    repository.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chdir(repository)  # MLServer reads settings from a file `.env` where it stands
    settings = server_settings(repository, arguments.http_port, arguments.metrics_port)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run_server(settings))


if __name__ == "__main__":
    main()
