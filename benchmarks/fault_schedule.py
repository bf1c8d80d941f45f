"""What is played: rounds of deliveries and faults, drawn from a seed alone. Nothing is done here.

A round has deliveries and faults at moments within it, which overlap; it ends when the platform has
come to rest and was judged.
"""

import random
from dataclasses import dataclass, field

PARTS = ("postgresql", "seaweedfs", "mlflow", "model-server", "code-server", "webserver", "daemon")
NETWORK = ("refuse", "500", "503", "slow", "drop", "flip-sent", "flip-received", "bad-digest")
FLIPS = ("flip-source", "flip-marker", "flip-stored", "flip-fetched")
# Fault and weight. A killed run is the commonest: it is what the delivery itself must survive.
WEIGHTS = {
    "kill-run": 8,
    "kill-part": 8,
    "stop-part": 3,
    "network": 6,
    "twice": 2,
    "two-daemons": 1,
    "power-cut": 1,
    "flip-source": 1,
    "flip-marker": 1,
    "flip-stored": 1,
    "flip-fetched": 1,
}
DELIVERIES = {"one": 6, "large": 3, "burst": 2, "equal": 1}
FAULTS_PER_ROUND = (9, 14)
BURST = 4
WITHIN_S = 20.0


@dataclass(frozen=True)
class Fault:
    """One fault: when in its round it happens, to whom, and for how long."""

    kind: str
    at_s: float
    target: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        """Tell it in one line of a log."""
        words = f"{self.kind} {self.target}".strip()
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{words} at {self.at_s:.1f} s{lasting}"


@dataclass(frozen=True)
class Round:
    """Deliveries, and the faults that meet them."""

    deliveries: tuple[str, ...]
    faults: tuple[Fault, ...] = field(default_factory=tuple)


def schedule(seed: int, faults: int) -> list[Round]:
    """Return the rounds of `seed` that hold exactly `faults` faults."""
    drawn = random.Random(seed)
    rounds: list[Round] = []
    left = faults
    while left > 0:
        count = min(left, drawn.randint(*FAULTS_PER_ROUND))
        kinds = drawn.choices(list(WEIGHTS), list(WEIGHTS.values()), k=count)
        # One of these at a time can be judged, and the first round has nothing to flip yet.
        kinds = [_once(kind, index, kinds, first=not rounds) for index, kind in enumerate(kinds)]
        deliveries = drawn.choices(list(DELIVERIES), list(DELIVERIES.values()), k=2)
        if not rounds:
            deliveries = ["one", "one"]
        found = tuple(sorted((_fault(kind, drawn) for kind in kinds), key=lambda f: f.at_s))
        rounds.append(Round(tuple(deliveries), found))
        left -= count
    return rounds


def _once(kind: str, index: int, kinds: list[str], *, first: bool) -> str:
    single = kind in FLIPS or kind in {"power-cut", "two-daemons"}
    repeated = single and kind in kinds[:index]
    return "kill-run" if repeated or (first and kind in {"flip-stored", "flip-fetched"}) else kind


def _fault(kind: str, drawn: random.Random) -> Fault:
    at_s = 0.0 if kind in FLIPS else drawn.uniform(0.0, WITHIN_S)
    # Alone, after the others: they could only hinder `ai-how up`, which is not what is judged.
    at_s = WITHIN_S if kind == "power-cut" else at_s
    target, seconds = "", 0.0
    if kind == "kill-part":
        target = drawn.choice(PARTS)
    elif kind == "stop-part":
        target = drawn.choice(("seaweedfs", "mlflow", "model-server", "postgresql"))
        seconds = drawn.uniform(2.0, 8.0)
    elif kind == "network":
        target, seconds = drawn.choice(NETWORK), drawn.uniform(1.0, 6.0)
    elif kind == "two-daemons":
        seconds = drawn.uniform(5.0, 10.0)
    elif kind == "kill-run":
        seconds = drawn.uniform(0.0, 2.5)  # after its process has named itself
    return Fault(kind, at_s, target, seconds)
