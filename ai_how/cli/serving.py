"""`ai-how serving`: whether the cluster of the estate gives what serving on it needs.

Exit codes: 0 all demands hold (weak ones do), 1 some fail, 2 some cannot be told.
"""

import json
import signal
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from platform_assets.spec.applied import read_applied, state_dir

if TYPE_CHECKING:
    from collections.abc import Iterator

    from platform_assets.infrastructure.floor import Floor

app = typer.Typer(no_args_is_help=True, help="Serving on a Kubernetes cluster.")

WIDTH = 100
PATIENCE_S = 10.0  # for how long an API server that is away is asked
TERMINATED = 143


@app.callback()
def serving() -> None:
    """Serving on a Kubernetes cluster."""


@app.command()
def check(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a machine.")] = False,
) -> None:
    """Ask the estate's cluster for all that serving on it needs; each lack with its remedy.

    One short-lived pod is run there, to pull the image and ask the object store; nothing is left.

    Exit codes: 0 all demands hold (weak ones do), 1 some fail, 2 some cannot be told.
    """
    from ai_how.cli import doctor

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # so that the pod is removed
    console = Console(stderr=True)
    told: list[Floor] = []
    with console.status("asking the cluster") as status:
        for floor in _demands():
            told.append(floor)
            status.update(f"{floor.name}: {floor.verdict.value}")
    if as_json:
        document = {"schema": "serving-check/1", "demands": [asdict(one) for one in told]}
        typer.echo(json.dumps(document, indent=2))
    else:
        doctor.show(told, Console(highlight=False, width=WIDTH), heading="Demand")
    raise typer.Exit(doctor.status(told))


def _demands() -> "Iterator[Floor]":
    from ai_how.build import MODELS_BUCKET, kubernetes_of
    from platform_assets.services.endpoint_ground import EstateLacks
    from platform_assets.services.kserve import ground_of
    from platform_assets.serving.cluster_demands import ClusterDemands
    from platform_assets.spec.serving import read_serving

    applied = read_applied(state_dir())
    kubernetes = kubernetes_of(applied, PATIENCE_S)
    if kubernetes is None:
        message = (
            f"{applied.source}: expected placement.serving: kubernetes and a cluster, found that "
            "models are served on this machine; there is no cluster to check"
        )
        raise EstateLacks(message)
    served = tuple(read_serving(applied.serving_file).models.values())
    return ClusterDemands(kubernetes, ground_of(applied), MODELS_BUCKET, served).floors()
