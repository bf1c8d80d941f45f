"""A delivery in a process of its own that kills itself when a named thing has become durable.

The product has no kill switch: a connection is replaced by a subclass whose one method sends
SIGKILL to its own process after (or before) the real call. `deliver` is the same without a kill.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import GeneratorType
from typing import Any

import dagster as dg

from ai_how.build import build_defs, connections
from platform_assets.partitions import CHECKPOINTS
from platform_assets.serving.delivery_job import JOB_NAME
from platform_assets.spec.applied import read_applied

REPOSITORY = Path(__file__).parents[3]
ENDED_S = 180.0


@dataclass(frozen=True)
class Point:
    """Where a delivery dies: at a call of one method of one connection."""

    connection: str
    method: str
    # Whether a call with these arguments is the one.
    at: Callable[[tuple[Any, ...]], bool] = lambda _arguments: True
    before: bool = False


def _of_kind(kind: str) -> Callable[[tuple[Any, ...]], bool]:
    return lambda arguments: kind in arguments


def _named(*ends: str) -> Callable[[tuple[Any, ...]], bool]:
    return lambda arguments: str(arguments[0]).endswith(ends)


# In the order of a delivery.
POINTS = {
    "checkpoint fact": Point("ledger", "append_if", _of_kind("checkpoint/1")),
    "upload begun": Point("object_store", "create_multipart"),
    "part uploaded": Point("object_store", "upload_part"),
    "parts uploaded": Point("object_store", "complete_multipart", before=True),
    "multipart completed": Point("object_store", "complete_multipart"),
    "first object": Point("object_store", "put"),
    "objects uploaded": Point("object_store", "put_if_absent", before=True),
    "manifest committed": Point("object_store", "put_if_absent"),
    "copy fact": Point("ledger", "append_if", _of_kind("copy/1")),
    "version created": Point("mlflow", "create_version"),
    "version fact": Point("ledger", "append_if", _of_kind("version/1")),
    "object fetched": Point("reader_store", "stream"),
    "copy fetched": Point("model_server", "unload", before=True),
    "candidate settings written": Point("model_server", "load", _named(".candidate"), before=True),
    "candidate loaded": Point("model_server", "load", _named(".candidate")),
    "candidate answered": Point("model_server", "infer"),
    "settings written": Point("model_server", "load", _named("digits"), before=True),
    "swapped": Point("model_server", "load", _named("digits")),
    "alias set": Point("mlflow", "set_alias"),
    "deployment recorded": Point("ledger", "append_if", _of_kind("deployment/1")),
}


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _deadly(parent: type, point: Point) -> type:
    """Return a subclass of `parent` whose call at `point` is the last thing its process does."""

    def ending(given: Iterator[bytes]) -> Iterator[bytes]:
        yield from given
        _die()

    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        ours = point.at(arguments)
        if ours and point.before:
            _die()
        answer = getattr(parent, point.method)(self, *arguments, **named)
        if ours and isinstance(answer, GeneratorType):
            return ending(answer)
        if ours:
            _die()
        return answer

    return type(f"Deadly{parent.__name__}", (parent,), {point.method: call})


def deliver(
    state: Path, key: str, resource_overrides: dict[str, Any] | None = None
) -> dg.ExecuteInProcessResult:
    """Execute the delivery of `key` in this process, as a run of the platform does."""
    definitions = build_defs(read_applied(state), resource_overrides)
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions(str(CHECKPOINTS.name), [key])
        job = definitions.resolve_job_def(JOB_NAME)
        return job.execute_in_process(instance=instance, partition_key=key, raise_on_error=False)


def deliver_and_die(state: str, key: str, name: str) -> None:
    """Deliver `key` until the point `name`."""
    point = POINTS[name]
    connection = vars(connections(read_applied(Path(state))))[point.connection]
    # The connections are frozen: theirs are the fields, ours the one method.
    object.__setattr__(connection, "__class__", _deadly(type(connection), point))
    deliver(Path(state), key, {point.connection: connection})


def _deliver_and_tell(state: str, key: str) -> None:
    sys.exit(0 if deliver(Path(state), key).success else 1)


def delivering(state: Path, key: str) -> BaseProcess:
    """Start a process that delivers `key`; its exit status is 0 where that succeeds."""
    return _started(_deliver_and_tell, str(state), key)


def kill_at(state: Path, key: str, name: str) -> int | None:
    """Let a process deliver `key` until the point `name`; return how it ended."""
    return ended(_started(deliver_and_die, str(state), key, name))


def _started(target: Callable[..., None], *arguments: str) -> BaseProcess:
    # Forked from a process that has imported everything and opened nothing.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "mlflow.store.model_registry.rest_store"])
    process = context.Process(target=target, args=arguments)
    process.start()
    return process


def ended(process: BaseProcess) -> int | None:
    """Wait for a process and return its exit status."""
    process.join(ENDED_S)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """Return what the failed steps of a delivery say to a person."""
    told = []
    for event in result.get_step_failure_events():
        declared = event.step_failure_data.user_failure_data
        error = event.step_failure_data.error
        # Dagster's own words stand around what the step raised.
        error = error.cause if error and error.cause else error
        told.append(str(declared.description if declared else error.message if error else ""))
    return "\n".join(told)
