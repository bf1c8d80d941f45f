"""How long a tick of the arrivals sensor takes with N known checkpoints (aim: 0.5 s at 10,000).

Everything is made below a temporary directory; Dagster's storage is SQLite there:

    .venv/bin/python -m benchmarks.arrivals_tick --checkpoints 10000
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import dagster as dg

from platform_assets.spec.applied import Addresses, AppliedEstate
from sensors.arrival_decision import Remembered
from sensors.arrival_memory import ArrivalMemory
from sensors.arrivals import arrivals, listed_directories, observed_marker

AIM_S = 0.5
NOWHERE = "http://127.0.0.1:9"  # nothing is new, so that nobody is asked


def estate_with(checkpoints: int, home: Path) -> AppliedEstate:
    """Return an estate whose checkpoint root holds so many directories with a marker."""
    for number in range(checkpoints):
        directory = home / "root" / f"model-{number % 10}" / f"run-{number}"
        directory.mkdir(parents=True)
        (directory / "_COMPLETE.json").touch()
    (home / "serving.yaml").write_text("models: {}\n")
    return AppliedEstate(
        declared={"metadata": {"name": "benchmark"}},
        source=Path("estate.yaml"),
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


def main() -> None:
    """Time ticks that find nothing new."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--checkpoints", type=int, default=10_000)
    parser.add_argument("--ticks", type=int, default=11)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, dg.instance_for_test() as instance:
        estate = estate_with(options.checkpoints, Path(folder))
        memory = ArrivalMemory(estate.state / "sensors" / "arrivals.sqlite")
        memory.recall("t")
        root = estate.checkpoint_root
        rows = []
        for number, name in enumerate(listed_directories(root)):
            marker = observed_marker(f"{root}/{name}") or ""
            rows.append((name, Remembered(marker, "", f"key-{number}", None), None))
        memory.remember(rows)
        seconds = []
        cursor: str | None = '{"tick": "t", "after": ""}'
        for _ in range(options.ticks):
            with dg.build_sensor_context(
                instance=instance, resources={"estate": estate}, cursor=cursor
            ) as context:
                begun = time.perf_counter()
                result = arrivals(context)
                seconds.append(time.perf_counter() - begun)
            if not isinstance(result, dg.SensorResult) or result.run_requests:
                raise SystemExit(f"expected a tick that finds nothing new, found {result}")
            cursor = result.cursor
    median = statistics.median(seconds)
    verdict = "met" if median <= AIM_S else "MISSED"
    print(
        f"{options.checkpoints} known checkpoints, {options.ticks} ticks: median {median:.3f} s, "
        f"most {max(seconds):.3f} s; aim {AIM_S} s: {verdict}"
    )


if __name__ == "__main__":
    main()
