"""Parts of a whole platform die in the middle of deliveries; and a short game of random faults.

Each round is one of `benchmarks/faults.py`, with faults that are named here instead of drawn.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.fault_schedule import FLIPS, PARTS, WEIGHTS, Fault, Round, schedule
from benchmarks.fault_world import World
from benchmarks.faults import Game

REPOSITORY = Path(__file__).parents[3]
GAME_S = 540
ROUNDS = {
    "power cut": [Fault("power-cut", 8.0)],
    "two daemons": [Fault("two-daemons", 1.0, seconds=12.0)],
    "reported twice": [Fault("twice", 2.0)],
    "MLflow silent for a minute": [Fault("stop-part", 4.0, "mlflow", 60.0)],
    "PostgreSQL silent": [Fault("stop-part", 6.0, "postgresql", 8.0)],
    "run killed thrice": [Fault("kill-run", 0.0, seconds=wait) for wait in (0.5, 2.0, 1.0)],
    **{
        f"{part} killed twice": [Fault("kill-part", 6.0, part), Fault("kill-part", 11.0, part)]
        for part in PARTS
    },
    "bit flipped in the source": [Fault("flip-source", 0.0)],
    "bit flipped in the marker": [Fault("flip-marker", 0.0)],
    "bit flipped in the served copy": [Fault("flip-fetched", 0.0)],
}


@pytest.fixture(scope="module")
def game(installation):
    one = installation()
    (one.home / "training").mkdir()
    game = Game(World(one, print), Console(soft_wrap=True))
    game.begin()
    yield game
    game.watch.end()
    game.world.network.stop()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ROUNDS)
def test_nothing_is_wrong_double_lost_or_left_after(name, game):
    before = game.played.total()
    game.play_round(1, Round(("one", "large"), tuple(ROUNDS[name])))
    assert game.played.total() > before
    assert game.counts.found == {kind: [] for kind in game.counts.found}


def test_a_short_game_is_clean(tmp_path):
    log = tmp_path / "log.jsonl"
    command = [sys.executable, "-m", "benchmarks.faults", "--runs", "6", "--seed", "4"]
    done = subprocess.run(
        [*command, "--log", str(log)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=GAME_S,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    (line,) = [json.loads(text) for text in log.read_text().splitlines()]
    assert line["faults"] >= 2  # a kill may find no run
    assert line["requests"] > 0


def test_a_seed_says_what_is_played():
    assert schedule(7, 40) == schedule(7, 40)
    assert schedule(7, 40) != schedule(8, 40)
    assert sum(len(one.faults) for one in schedule(7, 40)) == 40
    played = {fault.kind for seed in range(5) for one in schedule(seed, 60) for fault in one.faults}
    assert played == set(WEIGHTS)
    assert played >= set(FLIPS)
