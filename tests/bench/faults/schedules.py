"""When the faults of a mix happen. Pure: the same seed, mix and length give the same windows, on any machine.

The day of 24 hours is mapped on the length of a run, so that each fault keeps its share of the time. How long
an answer takes is never scaled, nor is Retry-After, nor the time that a breaker stays open: therefore windows
of one fault are put together until each lasts some seconds, or what follows on faults would fill the day. A
drill is for short runs: every fault once, for a good part of the run.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.faults.mixes import Fault, Mix, Outbreak

DAY_HOURS = 24.0
DRILL_SHARE = 0.15  # of the run, for each fault of a drill
DRILL_FROM, DRILL_TO = 0.15, 0.6  # where in the run it may begin
SHORTEST_S = 5.0  # of a window, where the fault's share of the day allows
CONTROL_DRILL = 0.15, 0.6  # begin and length of a fault whose hour is fixed


@dataclass(frozen=True, slots=True)
class Window:
    """A fault of a domain from ``begin_s`` to ``end_s`` after the start of a run."""

    fault: Fault
    domain: str
    begin_s: float
    end_s: float

    def __str__(self) -> str:
        return f"{self.begin_s:7.2f}-{self.end_s:.2f} s  {self.domain} {self.fault}"

    def holds(self, at_s: float) -> bool:
        return self.begin_s <= at_s < self.end_s


@dataclass(frozen=True, slots=True)
class Schedule:
    """Everything that decides what becomes of a request, except the request."""

    mix: Mix
    seed: int
    length_s: float
    is_drill: bool = False

    @property
    def windows(self) -> list[Window]:
        dice = random.Random(f"{self.seed}/{self.mix.name}/windows")
        windows = [window for outbreak in self.mix.outbreaks for window in self._windows_of(outbreak, dice)]
        return sorted(windows, key=lambda window: window.begin_s)

    @property
    def mapping(self) -> str:
        if self.is_drill:
            return f"a drill of {self.length_s:g} s: each fault once, for {DRILL_SHARE:.0%} of it"
        return f"24 h in {self.length_s:g} s: 1 s of the run is {24 * 3600 / self.length_s:.0f} s of the day"

    def _windows_of(self, outbreak: Outbreak, dice: random.Random) -> list[Window]:
        place = self._drill if self.is_drill else self._day
        return [
            Window(outbreak.fault, domain, begin_s, end_s)
            for begin_s, end_s in place(outbreak, dice)
            for domain in outbreak.domains
        ]

    def _drill(self, outbreak: Outbreak, dice: random.Random) -> list[tuple[float, float]]:
        begin, share = dice.uniform(DRILL_FROM, DRILL_TO), DRILL_SHARE
        if outbreak.at_hour is not None:
            begin, share = CONTROL_DRILL
        return [(begin * self.length_s, (begin + share) * self.length_s)]

    def _day(self, outbreak: Outbreak, dice: random.Random) -> list[tuple[float, float]]:
        together_s = outbreak.times * outbreak.minutes / 60 / DAY_HOURS * self.length_s
        if outbreak.at_hour is not None:
            begin_s = outbreak.at_hour / DAY_HOURS * self.length_s
            return [(begin_s, begin_s + together_s)]
        times = min(outbreak.times, max(1, int(together_s / SHORTEST_S)))
        part_s, lasts_s = self.length_s / times, together_s / times
        begins = [number * part_s + dice.uniform(0, part_s - lasts_s) for number in range(times)]
        return [(begin_s, begin_s + lasts_s) for begin_s in begins]


def active(windows: Sequence[Window], domain: str, at_s: float) -> frozenset[Fault]:
    """What is wrong with a domain at that time."""
    return frozenset(window.fault for window in windows if window.domain == domain and window.holds(at_s))
