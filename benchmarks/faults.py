"""Plays a random schedule of deliveries and faults against a platform and judges from outside.

It brings up a platform of its own in a temporary directory (or --state DIR), seals checkpoints,
kills, suspends, cuts and flips as the seed says, and after each round compares the endpoint's
answers, the object store's listings and MLflow's versions with what was sealed. The ledger is not
asked. Counts wrong, double and lost deployments, undetected flips and leaked resources; ends with 1
if any is not 0:

    .venv/bin/python -m benchmarks.faults --runs 300 --seed 1
"""

import argparse
import json
import logging
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ai_how.embedded.shutdown import take_down
from benchmarks.fault_judgement import (
    COUNTED,
    Counts,
    Household,
    comes_to_rest,
    household,
    judge_answers,
    judge_deliveries,
    judge_flips,
    judge_leaks,
)
from benchmarks.fault_players import deliver, play
from benchmarks.fault_schedule import FLIPS, Fault, Round, schedule
from benchmarks.fault_world import PlatformLost, Watch, World
from tests.integration.conftest import Installation

OK, FOUND = 0, 1
logging.getLogger("mlflow.utils.environment").disabled = True  # it misses pip, which we do not use
# What is not played together with others: a flip is made in peace, to be judged for itself.
ALONE = frozenset({*FLIPS, "power-cut"})


class Game:
    """One seed played to its end."""

    def __init__(self, world: World, console: Console) -> None:
        """Prepare; nothing is started yet."""
        self.world, self.console = world, console
        self.counts = Counts(console.print)
        self.played: Counter[str] = Counter()
        self.watch = Watch(lambda: world.estate.addresses.model_server_url)
        self.baseline: Household | None = None
        self.turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def begin(self) -> None:
        """Bring the platform up and deliver a first checkpoint in peace."""
        self.world.up()
        deliver(self.world, "one")
        if not comes_to_rest(self.world):
            raise PlatformLost("the first checkpoint was not delivered, and no fault was played")
        self.baseline = household(self.world)
        self.watch.start()

    def play_round(self, number: int, one: Round) -> None:
        """Deliver, let the faults happen, wait for rest, judge."""
        begun = time.monotonic()
        before = len(self.world.sealed)
        deliver(self.world, one.deliveries[0])
        alone = [fault for fault in one.faults if fault.kind in ALONE]
        together = [fault for fault in one.faults if fault.kind not in ALONE]
        for fault in alone:
            if fault.kind != "power-cut":
                self._play(fault, begun)
        with ThreadPoolExecutor(max(1, len(together))) as pool:
            playing = [pool.submit(self._play, fault, begun) for fault in together]
            for kind in one.deliveries[1:]:
                deliver(self.world, kind)
        for player in playing:
            player.result()
        for fault in alone:
            if fault.kind == "power-cut":
                self._play(fault, begun)
        # A flip in what is served is only mended by a new delivery, which this is.
        if any(fault.kind == "flip-fetched" for fault in one.faults):
            deliver(self.world, "one")
        faults = time.monotonic() - begun
        rested = comes_to_rest(self.world)
        self._judge(before, rested)
        self.console.print(
            f"{datetime.now(UTC):%H:%M:%SZ} round {number}: {self.played.total()} faults so far, "
            f"{faults:.0f} s of faults, at rest after {time.monotonic() - begun:.0f} s; "
            + ", ".join(f"{name} {len(found)}" for name, found in self.counts.found.items())
        )

    def _play(self, fault: Fault, begun: float) -> None:
        time.sleep(max(0.0, begun + fault.at_s - time.monotonic()))
        # Two of a kind at once would be one.
        with self.turns[fault.kind]:
            met = play(self.world, fault)
        self.played[fault.kind] += met
        self.console.print(f"    {'' if met else 'met nothing: '}{fault}", highlight=False)

    def _judge(self, before: int, rested: bool) -> None:
        if not rested:
            open_runs = [run.run_id for run in self.world.open_runs() or []]
            self.console.print(f"    [red]no rest; open runs {open_runs}[/red]")
            last = self.world.good()[-1]
            self.counts.add("lost", f"no rest within minutes after {last.key}")
        new = self.world.sealed[before:]
        judge_deliveries(self.world, self.counts)
        judge_flips(self.world, new, self.counts)
        judge_answers(self.watch.told, self.world.sealed, self.counts)
        if self.baseline is not None:
            judge_leaks(self.world, self.baseline, self.counts)
        self.world.committed_before = self.world.outside.committed("digits")


def summary(game: Game, seed: int, seconds: float) -> dict[str, object]:
    """Return what is kept of a run: one line of the log."""
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "commit": revision.stdout.strip(),
        "seed": seed,
        "faults": game.played.total(),
        "checkpoints": len(game.world.sealed),
        "requests": game.watch.asked,
        **{name: len(found) for name, found in game.counts.found.items()},
        "seconds": round(seconds),
        "kinds": dict(sorted(game.played.items())),
    }


def shown(game: Game) -> Table:
    """Return the counts, with the words of what was found."""
    table = Table(title=f"{game.played.total()} faults, {len(game.world.sealed)} checkpoints")
    table.add_column("counted")
    table.add_column("number", justify="right")
    table.add_column("found")
    for name in COUNTED:
        found = game.counts.found[name]
        table.add_row(name, str(len(found)), "\n".join(found))
    return table


def main() -> int:
    """Play, print, and say by the exit code whether anything was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=300, help="how many faults")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, help="begin no round after this time")
    parser.add_argument("--state", type=Path, help="an empty directory; it is kept")
    parser.add_argument("--log", type=Path, help="append the line of JSON to this file, too")
    options = parser.parse_args()
    console = Console(soft_wrap=True)
    home = options.state or Path(tempfile.mkdtemp(prefix="ai-how-faults-"))
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o755)
    installation = Installation(home.resolve())
    installation.declare(name="faults")
    installation.checkpoint_root.mkdir(exist_ok=True)
    (home / "training").mkdir(exist_ok=True)
    world = World(installation, console.print)
    game = Game(world, console)
    begun = time.monotonic()
    try:
        game.begin()
        for number, one in enumerate(schedule(options.seed, options.runs), 1):
            if options.seconds and time.monotonic() - begun > options.seconds:
                break
            game.play_round(number, one)
    except PlatformLost as lost:
        game.counts.add("lost", f"the platform does not come up again: {lost}")
    finally:
        if game.watch.is_alive():
            game.watch.end()
        with suppress(Exception):
            take_down(installation.layout)
        if world.network is not None:
            world.network.stop()
        if options.state is None and game.counts.clean:
            shutil.rmtree(home)
    console.print(shown(game))
    line = json.dumps(summary(game, options.seed, time.monotonic() - begun))
    console.print(line, highlight=False, markup=False)
    if options.log is not None:
        with options.log.open("a") as log:
            log.write(line + "\n")
    if not game.counts.clean and options.state is None:
        console.print(f"kept for a look: {home}")
    return OK if game.counts.clean else FOUND


if __name__ == "__main__":
    sys.exit(main())
