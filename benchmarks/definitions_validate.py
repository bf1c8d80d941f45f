"""How long `dagster definitions validate` takes on an estate of 100 machines (aim: 2.5 s).

Whole processes, with `python -c "import dagster"` between them, children of this one. The estate
is applied below a temporary directory; nothing listens anywhere, for nothing is contacted:

    .venv/bin/python -m benchmarks.definitions_validate --machines 100
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.config_validate import estate_of
from platform_assets.infrastructure.estate_file import judge_estate_file
from platform_assets.spec.applied import Addresses, AppliedEstate, write_applied
from platform_assets.spec.literal_secrets import without_literals

AIM_S = 2.5
NOWHERE = "http://127.0.0.1:9"
COMMAND = ("-m", "dagster", "definitions", "validate", "-m", "ai_how.definitions")


def apply(machines: int, home: Path) -> None:
    """Write the applied estate of so many machines into the state directory `home`."""
    file = home / "lab.yaml"
    file.write_text(estate_of(machines))
    declared, _ = without_literals(judge_estate_file(file, {}).accepted(), home)
    write_applied(
        AppliedEstate(
            declared=declared,
            source=file,
            checkpoint_root=home / "root",
            serving_file=home / "serving.yaml",
            state=home,
            addresses=Addresses(
                postgresql_socket_dir=home,
                postgresql_port=1,
                s3_url=NOWHERE,
                mlflow_url=NOWHERE,
                model_server_url=NOWHERE,
                dagster_url=NOWHERE,
            ),
        )
    )


def seconds(home: Path, *arguments: str) -> float:
    """Return how long the interpreter ran with these arguments on the state directory `home`."""
    environment = os.environ | {"AI_HOW_STATE": str(home), "DAGSTER_HOME": str(home)}
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"the command failed: {done.stdout}{done.stderr}")
    return time.perf_counter() - begun


def main() -> None:
    """Time the command and the import of Dagster alone in turns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--machines", type=int, default=100)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        apply(options.machines, home)
        seconds(home, *COMMAND)  # files into the page cache, byte code written
        alone, whole = [], []
        for _ in range(options.runs):
            alone.append(seconds(home, "-c", "import dagster"))
            whole.append(seconds(home, *COMMAND))
    took = statistics.median(whole)
    print(
        f"estate of {options.machines} machines, {options.runs} runs, medians: import of Dagster "
        f"alone {statistics.median(alone):.2f} s, `dagster definitions validate` {took:.2f} s "
        f"(most {max(whole):.2f} s); aim {AIM_S} s: {'met' if took <= AIM_S else 'MISSED'}"
    )


if __name__ == "__main__":
    main()
