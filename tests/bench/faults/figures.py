"""Statistics of outcomes. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.faults.load import Outcome
from tests.bench.report import percentile

IN_TIME_MS = 8_000
Z_ONE_SIDED_95 = 1.6449
LADDER = (0.9999, 0.9995, 0.999, 0.995, 0.99, 0.98, 0.95, 0.9)
SPARE_FAILURES = 2  # that a bar of the ladder forgives: noise is part of every mix


def lower_bound(successes: int, n: int) -> float:
    """What the true share exceeds with 95 % confidence: rule of three without a failure, else Wilson's."""
    if n == 0:
        return 0.0
    if successes == n:
        return max(0.0, 1 - 3 / n)
    share, z2 = successes / n, Z_ONE_SIDED_95**2
    middle = share + z2 / (2 * n)
    spread = Z_ONE_SIDED_95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return (middle - spread) / (1 + z2 / n)


def can_show(target: float, n: int) -> bool:
    """Whether ``n`` callers without a failure would put the bound at the target: the rule of three."""
    return n * (1 - target) >= 3 * (1 - 1e-9)


def showable(target: float, n: int) -> float:
    """The highest bar, at most ``target``, that so few callers can show with a failure or two to spare."""
    bound = lower_bound(n - SPARE_FAILURES, n)
    return next((step for step in LADDER if step <= min(target, bound)), 0.0)


@dataclass(frozen=True, slots=True)
class Figures:
    """What the callers of one run saw. Times in ms."""

    n: int
    successes: int
    p50: float
    p99: float
    p999: float
    slowest: float
    late_p99: float

    @property
    def share(self) -> float:
        return self.successes / self.n

    @property
    def bound(self) -> float:
        return lower_bound(self.successes, self.n)


def is_success(outcome: Outcome) -> bool:
    """A token, in time, that opened a call."""
    return outcome.is_redeemed and outcome.ms <= IN_TIME_MS


def figures_of(outcomes: Sequence[Outcome]) -> Figures:
    times = sorted(outcome.ms for outcome in outcomes)
    return Figures(
        n=len(outcomes),
        successes=sum(map(is_success, outcomes)),
        p50=percentile(times, 0.5),
        p99=percentile(times, 0.99),
        p999=percentile(times, 0.999),
        slowest=times[-1],
        late_p99=percentile([outcome.late_ms for outcome in outcomes], 0.99),
    )


@dataclass(frozen=True, slots=True)
class Outage:
    """What callers saw while nothing could mint, and how long after it somebody was still turned away."""

    n: int
    successes: int
    p50: float
    slowest: float
    recovery_s: float


def outage_of(outcomes: Sequence[Outcome], begin_s: float, end_s: float) -> Outage:
    """Of callers who came and were answered in the outage; recovery ends with the last one turned away."""
    inside = [one for one in outcomes if begin_s <= one.came_s and one.came_s + one.ms / 1000 < end_s]
    times = [outcome.ms for outcome in inside] or [math.inf]
    turned_away = [one.came_s - end_s for one in outcomes if one.came_s >= end_s and not is_success(one)]
    return Outage(
        len(inside),
        sum(outcome.is_redeemed for outcome in inside),
        percentile(times, 0.5),
        max(times),
        max(turned_away, default=0.0),
    )
