"""How long one observation of all endpoints of a cluster takes (aim: 3 s for 300 on 100 nodes).

What is timed is what the asset `serving/live_endpoints` does: ask KServe's provider and the ledger,
compare, and draw its tables. A real API server holds KServe's own InferenceServices; KWOK plays the
nodes, which are ready and heartbeat all the while, and runs the pods (`played_cluster.py`). The
ledger is a real PostgreSQL's. The observer is a process of its own. Needs `etcd`, `kube-apiserver`
and `kwok` (KUBEBUILDER_ASSETS, or Go builds them), no root:

    .venv/bin/python -m benchmarks.live_endpoints --services 300 --nodes 100
"""

import argparse
import json
import logging
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.played_cluster import ESTATE, KSERVE, WRONG_EVERY, played_cluster, version_of
from platform_assets.lineage.facts import record_deployment
from platform_assets.lineage.ledger import Ledger
from platform_assets.serving.inference_service import Version
from platform_assets.serving.kserve_provider import KserveProvider
from platform_assets.serving.live_endpoints import observation_metadata, observe_live
from resources.kubernetes import Kubernetes
from tests.integration.serving.postgresql import real_ledger

AIM_S = 3.0


def main() -> None:
    """Fill an API server, observe it, and say whether the aim is met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--services", type=int, default=300)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--observations", type=int, default=7)
    parser.add_argument("--observe", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.observe:
        print(json.dumps(observed(*options.observe, options.observations)))
        return
    with (
        tempfile.TemporaryDirectory(prefix="ai-how-api-") as directory,
        played_cluster(Path(directory)) as cluster,
        real_ledger() as ledger,
    ):
        begun = time.perf_counter()
        cluster.fill(options.services, options.nodes)
        for number in range(options.services):
            record(ledger, version_of(number))
        print(f"filled in {time.perf_counter() - begun:.1f} s", file=sys.stderr)
        observer = [sys.executable, "-m", "benchmarks.live_endpoints"]
        url = ledger._url.render_as_string()
        given = ["--observe", cluster.kubeconfig, url]
        wanted = [*given, "--observations", str(options.observations)]
        measured = subprocess.run(
            [*observer, *wanted], stdout=subprocess.PIPE, text=True, check=True, timeout=600
        )
        renewed = cluster.renewed_leases()
    if renewed != options.nodes:
        raise SystemExit(f"expected {options.nodes} nodes with a renewed lease, found {renewed}")
    report(json.loads(measured.stdout), options, differing=-(-options.services // WRONG_EVERY))


def report(told: dict[str, Any], options: argparse.Namespace, *, differing: int) -> None:
    """Print what was measured; end with 1 where the aim is missed."""
    counted = {"services": options.services, "pods": options.services, "differing": differing}
    if counted.items() - told.items():
        raise SystemExit(f"expected {counted}, found {told}")
    verdict = "met" if told["first_s"] <= AIM_S else "MISSED"
    print(
        f"{told['services']} endpoints on {options.nodes} KWOK nodes, "
        f"{told['differing']} differing: first observation {told['first_s']:.2f} s "
        f"(loading the client and connecting included; "
        f"{told['first_cpu_s']:.2f} s of processor), "
        f"median of {options.observations} more {told['median_s']:.2f} s, "
        f"{told['requests']} requests each, "
        f"peak memory {told['peak_mib']:.0f} MiB ({told['before_mib']:.0f} MiB before): "
        f"aim of {AIM_S:g} s {verdict}"
    )
    if verdict == "MISSED":
        raise SystemExit(1)


def record(ledger: Ledger, version: Version) -> None:
    """Record what an endpoint is meant to serve, as its delivery does."""
    record_deployment(
        ledger,
        endpoint=version.endpoint,
        model=version.model,
        version=version.version,
        tree_digest=version.tree_digest,
        checkpoint=version.checkpoint,
        server=ESTATE,
        dagster_run=version.dagster_run,
    )


def observed(kubeconfig: str, ledger_url: str, times: int) -> dict[str, Any]:
    """Observe the cluster so many times, after a first one, and tell how it went."""
    requests = _Requests()
    logging.getLogger("httpx").addHandler(requests)
    logging.getLogger("httpx").setLevel(logging.INFO)
    before = _peak_mib()
    provider = KserveProvider(Kubernetes(Path(kubeconfig)), KSERVE, ESTATE, bucket="models")
    ledger = Ledger(ledger_url)
    seconds, processor = [], []
    for _ in range(times + 1):
        requests.count = 0
        begun, used = time.perf_counter(), time.process_time()
        live = observe_live(provider, ledger)
        evidence = observation_metadata(live) | provider.evidence()
        seconds.append(time.perf_counter() - begun)
        processor.append(time.process_time() - used)
    return {
        "services": len(live),
        "differing": sum(not one.agrees for one in live),
        "pods": len(evidence["pods"].records),
        "first_s": seconds[0],
        "first_cpu_s": processor[0],
        "median_s": statistics.median(seconds[1:]),
        "requests": requests.count,
        "peak_mib": _peak_mib(),
        "before_mib": before,
    }


def _peak_mib() -> float:
    # Not getrusage(2): its figure is inherited from the process that started this one.
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(peak.group(1)) / 1024 if peak else float("nan")


class _Requests(logging.Handler):
    """Counts what httpx logs: one record a request."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002 - logging's signature
        self.count += 1


if __name__ == "__main__":
    main()
