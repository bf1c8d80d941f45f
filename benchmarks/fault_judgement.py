"""What must be so after each round, judged from outside: answers, S3 listings, MLflow, processes.

Expected is what was sealed, in the order of sealing. Dagster is asked only whether it still works
on something, and for the reason of a refusal; the ledger is not asked.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from benchmarks.fault_players import refused_with_reason
from benchmarks.fault_world import MODEL, Sealed, World, until
from resources.errors import ResourceError

REST_S = 420.0
LEAKS_GO_S = 90.0
POOLED = 12  # connections to PostgreSQL that pools may keep, more than at first
COUNTED = ("wrong", "double", "lost", "undetected", "leaked")


@dataclass
class Counts:
    """What went wrong, each with the words for a person."""

    say: Callable[..., None]
    found: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in COUNTED})

    def add(self, kind: str, words: str) -> None:
        """Count one."""
        if words not in self.found[kind]:
            self.found[kind].append(words)
            self.say(f"    {kind}: {words}", highlight=False, markup=False)

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not any(self.found.values())


def comes_to_rest(world: World) -> bool:
    """Wait until what was sealed is delivered and Dagster has nothing more to do."""

    def rested() -> bool:
        runs = world.open_runs()
        if runs is None or runs:
            return False
        with suppress(ResourceError, httpx.HTTPError):
            good = {one.digest for one in world.good()}
            last = world.good()[-1]
            return (
                world.outside.answer(MODEL) == last.number
                and good <= world.outside.committed(MODEL)
                and good <= world.outside.versions(MODEL).keys()
            )
        return False

    return until(rested, REST_S, 1.0)


def judge_deliveries(world: World, counts: Counts) -> None:
    """Compare what is there with what was sealed."""
    outside, good = world.outside, world.good()
    answer, last = outside.answer(MODEL), good[-1]
    if answer != last.number:
        counts.add("wrong", f"{last.key} must be live with answer {last.number}, found {answer}")
    elif outside.served_digest(MODEL) != last.digest:
        counts.add("wrong", f"{last.key} answers, the server tells {outside.served_digest(MODEL)}")
    expected = {one.digest: one.key for one in good}
    committed, versions = outside.committed(MODEL), outside.versions(MODEL)
    for digest, key in expected.items():
        if digest not in committed:
            counts.add("lost", f"{key}: no committed copy")
        if digest not in versions:
            counts.add("lost", f"{key}: no version")
    for digest, found in versions.items():
        if len(found) > 1:
            numbers = [version.version for version in found]
            counts.add("double", f"versions {numbers} for {digest}")
        if digest not in expected:
            counts.add("undetected", f"version of {digest}, which nobody sealed whole")
    for digest in committed - expected.keys():
        counts.add("undetected", f"a committed copy of {digest}, which nobody sealed whole")


def judge_flips(world: World, new: Sequence[Sealed], counts: Counts) -> None:
    """Every spoilt checkpoint shows its reason; stored objects are put back; others are whole."""
    for one in new:
        if not one.good and refused_with_reason(world, one) is None:
            counts.add("undetected", f"{one.key}: spoilt, and nobody says why it is not delivered")
    outside = world.outside
    flipped = set()
    for key, whole in world.stored.items():
        outside.store.put(key, whole)
        flipped.add(key.split("/")[2])
    world.stored.clear()
    for one in new:
        if one.good and f"sha256-{one.digest}" not in flipped:
            wrong = outside.wrong_objects(MODEL, one.digest)
            if wrong:
                counts.add("undetected", f"{one.key}: wrong objects {wrong}")


def judge_answers(told: Sequence[int], intended: Sequence[Sealed], counts: Counts) -> None:
    """The answers seen must be a part of what was sealed, in that order, none of it twice."""
    order = [one.number for one in intended if one.good]
    known = set(order)
    at = 0
    for number in told:
        if number not in known:
            counts.add("wrong", f"the endpoint answered {number}, which must never be live")
            continue
        try:
            at = order.index(number, at)
        except ValueError:
            counts.add("double", f"the endpoint answered {number} again after a later one: {told}")
            return


def judge_leaks(world: World, baseline: "Household", counts: Counts) -> None:
    """Nothing is left over: what goes by itself has a minute for it."""
    left: list[str] = []

    def clean() -> bool:
        left[:] = _leaks(world, baseline)
        return not left

    if not until(clean, LEAKS_GO_S, 2.0):
        for words in left:
            counts.add("leaked", words)


def _leaks(world: World, baseline: "Household") -> list[str]:
    try:
        left = list(world.outside.leftovers())
    except (ResourceError, httpx.HTTPError) as error:
        return [f"cannot tell: {error}"]
    halves = world.outside.prefixes(MODEL) - world.outside.committed(MODEL)
    left += [f"objects without manifest: {digest}" for digest in sorted(halves)]
    now = household(world)
    for role, count in (now.processes - baseline.processes).items():
        if role.startswith("postgres:") and count <= POOLED:
            continue
        left.append(f"{count} more processes {role}")
    left += [f"socket on port {port}" for port in sorted(now.ports - baseline.ports)]
    left += [f"temporary {name}" for name in sorted(now.temporary - baseline.temporary)]
    return left


@dataclass(frozen=True)
class Household:
    """Processes by what they do, listening ports, temporary files."""

    processes: Counter[str]
    ports: frozenset[int]
    temporary: frozenset[str]


def household(world: World) -> Household:
    """Look at what the platform occupies now."""
    processes: Counter[str] = Counter()
    ports: set[int] = set()
    for process in world.processes():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            processes[_role(process.cmdline())] += 1
            ports |= {
                one.laddr.port
                for one in process.net_connections(kind="inet")
                if one.status == psutil.CONN_LISTEN
            }
    temporary = world.installation.layout.temporary
    # Those that a killed process leaves there go with the next `up` after a crash, or with `down`.
    left = [f for f in temporary.glob("*") if not f.is_socket() and not f.name.startswith("weed.")]
    return Household(processes, frozenset(ports), frozenset(f.name for f in left))


def _role(command: list[str]) -> str:
    """Tell what a process does, without what differs from start to start."""
    words = " ".join(command)
    if words.startswith("postgres: "):
        return "postgres: a connection or worker"
    if "-m" in command:
        return " ".join(command[command.index("-m") + 1 :][:3])
    return " ".join([Path(word).name for word in command[:1]] + command[1:2])
