"""What a scenario is given and what it gives back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.report import Bar
from tests.chaos.checker import Verdict


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything. ``lease_s`` is None for the real length of a lease."""

    turns: int  # of a scenario that ends by count
    kills: int
    cuts: int
    fills: int  # of the disk
    freezes: int  # of a process
    frozen: float  # of all deliveries, when some are to stand still
    stops: int  # of PostgreSQL
    replicas: int
    rolls: int  # restarts of every replica, one after the other
    away_s: float  # memory
    pause_s: float  # of each browser between two posts: the delivery shares its cores
    lease_s: float | None
    longest_s: float  # of a scenario, before it is given up


FULL = Size(
    turns=20_000,
    kills=100,
    cuts=500,
    fills=5,
    freezes=8,
    frozen=0.03,
    stops=8,
    replicas=5,
    rolls=3,
    away_s=60.0,
    pause_s=0.02,
    lease_s=None,
    longest_s=1_800.0,
)
SHORT = Size(
    turns=300,
    kills=2,
    cuts=5,
    fills=1,
    freezes=1,
    frozen=0.08,
    stops=2,
    replicas=3,
    rolls=1,
    away_s=2.5,
    pause_s=0.2,
    lease_s=2.0,
    longest_s=90.0,
)


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a scenario runs. ``database_url`` is None for the embedded outbox."""

    engine: str
    folder: Path
    seed: int
    size: Size
    database_url: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a scenario. ``happened``: counts of what went wrong, to be seen to have gone wrong.

    ``bars`` are its own, beyond that nothing is lost, doubled or out of order.
    """

    verdict: Verdict
    happened: Mapping[str, object] = field(default_factory=dict)
    bars: Sequence[Bar] = ()


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way in which things go wrong, and the engines to which it can happen.

    ``briefly``: those of the short form; that both keep one contract has tests of its own.
    """

    name: str
    about: str
    play: Callable[[Ground], Awaitable[Outcome]]
    engines: Sequence[str] = ("sqlite", "postgres")
    briefly: Sequence[str] = ("sqlite", "postgres")


def at_least(promise: str, seen: int, wanted: int) -> Bar:
    """That a fault really happened: a bench that hurts nobody shows nothing."""
    return Bar(f"{promise}, at least {wanted}", str(seen), seen >= wanted)
