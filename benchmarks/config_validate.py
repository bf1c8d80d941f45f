"""How long `ai-how config validate` takes on an estate of 500 machines (aim: 1 s).

Measured beyond the start of the interpreter: whole processes, with `python -c pass` between them,
children of this one. The estate has GPUs, so that the list of PCI names is read, too:

    .venv/bin/python -m benchmarks.config_validate --machines 500
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from ipaddress import ip_network
from pathlib import Path

AIM_S = 1.0
HOSTS = ip_network("10.20.0.0/16")
COMMAND = ("-c", "from ai_how.cli.main import main; main()", "config", "validate")
CONTROL_PLANES = 3
GPU_EVERY = 10


def estate_of(machines: int) -> str:
    """Return an estate with three control planes and so many workers, a tenth of them with GPU."""
    lines = [
        "metadata: {name: benchmark}",
        f"host: {{cpu_cores: 4096, memory_gb: {machines * 64}, disk_gb: {machines * 200}}}",
        "clusters:",
        "  cloud:",
        f"    network: {{subnet: {HOSTS}, bridge: virbr200}}",
        "    image: build/cloud.qcow2",
        "    kubernetes:",
        "      {version: 1.35.4, kubespray: v2.31.0, runtime_version: 2.0.8,",
        "      networking: {pod_cidr: 10.244.0.0/16}}",
        "    control_plane:",
    ]
    for number in range(1, machines + 1):
        role = "control-plane" if number <= CONTROL_PLANES else "worker"
        if number == CONTROL_PLANES + 1:
            lines.append("    workers:")
        lines += [
            f"      - name: {role}-{number}",
            f"        ip: {HOSTS[number + 10]}",
            "        cpu_cores: 4",
            "        memory_gb: 16",
            "        disk_gb: 100",
        ]
        if role == "worker" and number % GPU_EVERY == 0:
            bus = number // GPU_EVERY
            gpu = f'pci_address: "0000:{bus:02x}:00.0", vendor_id: 10de, device_id: "2230"'
            audio = f'pci_address: "0000:{bus:02x}:00.1", vendor_id: 10de, device_id: 1aef'
            lines += [
                "        worker_type: gpu",
                "        node_labels: {accelerator: nvidia-rtx-a6000}",
                '        node_taints: ["nvidia.com/gpu=true:NoSchedule"]',
                "        pcie_passthrough:",
                "          devices:",
                f"            - {{device_type: gpu, {gpu}}}",
                f"            - {{device_type: audio, {audio}}}",
            ]
    return "\n".join(lines) + "\n"


def seconds(*arguments: str) -> tuple[float, str]:
    """Return how long the interpreter ran with these arguments, and the last line it printed."""
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    took = time.perf_counter() - begun
    if done.returncode not in {0, 1}:
        raise SystemExit(f"the command failed: {done.stderr}")
    return took, (done.stdout.strip().splitlines() or [""])[-1]


def main() -> None:
    """Time the command and the bare interpreter in turns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--machines", type=int, default=500)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "estate.yaml"
        file.write_text(estate_of(options.machines))
        seconds(*COMMAND, str(file))  # files into the page cache, byte code written
        bare, whole, said = [], [], ""
        for _ in range(options.runs):
            bare.append(seconds("-c", "pass")[0])
            took, said = seconds(*COMMAND, str(file))
            whole.append(took)
        size = file.stat().st_size
    start, command = statistics.median(bare), statistics.median(whole)
    beyond = command - start
    print(f"estate of {options.machines} machines, {size / 1024:.0f} KiB; it says: {said}")
    print(
        f"{options.runs} runs, medians: interpreter start {start:.3f} s, whole command "
        f"{command:.3f} s (most {max(whole):.3f} s), beyond start {beyond:.3f} s; aim {AIM_S} s: "
        f"{'met' if beyond <= AIM_S else 'MISSED'}"
    )


if __name__ == "__main__":
    main()
