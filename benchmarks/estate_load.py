"""How long an estate of N machines takes to be loaded and judged (aim: load in 0.5 s at 500).

The start of an interpreter that imports nothing stands beside it:

    .venv/bin/python -m benchmarks.estate_load --machines 500
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

AIM_S = 0.5

HEAD = """\
name: large
clusters:
  cloud:
    network: {subnet: 10.0.0.0/16, bridge: virbr200}
    control_plane: {cpu_cores: 4, memory_gb: 8, disk_gb: 100, ip: 10.0.0.10}
    workers:
"""
WORKER = """\
      - hostname: gpu-worker-{number}
        ip_address: 10.0.{high}.{low}
        cpu_cores: 8
        memory_gb: 16
        disk_gb: 200
        worker_type: gpu
        node_labels:
          workload-type: inference
          gpu-type: tesla-t4
        node_taints: ["nvidia.com/gpu=present:NoSchedule"]
        pcie_passthrough:
          devices:
            - pci_address: {number:04x}:65:00.0
              vendor_id: 10de
              device_id: 1eb8
              iommu_group: {number}
"""


def estate_of(machines: int) -> bytes:
    """Return the file of an estate with so many GPU workers."""
    workers = (
        WORKER.format(number=number, high=1 + number // 250, low=1 + number % 250)
        for number in range(machines)
    )
    return (HEAD + "".join(workers)).encode()


def median_s(act: Callable[[], object], times: int) -> float:
    """Return the median time of several tries, in seconds."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        act()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def main() -> None:
    """Time the interpreter, the imports, loading and judging."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--machines", type=int, default=500)
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    bare = median_s(lambda: subprocess.run([sys.executable, "-c", ""], check=True), options.times)
    started = time.perf_counter()
    from platform_assets.spec.judgement import judge
    from platform_assets.spec.loading.load import load
    from platform_assets.spec.rules.grounds import Grounds

    imports = time.perf_counter() - started
    content = estate_of(options.machines)
    grounds = Grounds(today=datetime.now(UTC).date())
    loaded = load(content, "large.yaml", {})
    loading = median_s(lambda: load(content, "large.yaml", {}), options.times)
    judging = median_s(lambda: judge(loaded, grounds), options.times)
    print(f"{options.machines} machines, {len(content):,} bytes, findings: {len(loaded.findings)}")
    print(f"interpreter alone  {bare:6.3f} s")
    print(f"imports            {imports:6.3f} s")
    print(f"load               {loading:6.3f} s (aim {AIM_S} s)")
    print(f"judge              {judging:6.3f} s")


if __name__ == "__main__":
    main()
