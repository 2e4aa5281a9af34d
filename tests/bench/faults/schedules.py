"""When the faults of a mix happen. Pure: the same seed, mix and length give the same windows, on any machine.

The day of 24 hours is mapped on the length of a run, so that each fault keeps its share of the time; how long
an answer takes is never scaled. A drill is for short runs: every fault once, for a good part of the run.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.faults.mixes import Fault, Mix, Outbreak

DAY_HOURS = 24.0
DRILL_SHARE = 0.15  # of the run, for each fault of a drill
DRILL_FROM, DRILL_TO = 0.15, 0.6  # where in the run it may begin
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
        begins = self._begins(outbreak, dice)
        lasts_s = self._lasts_s(outbreak)
        return [
            Window(outbreak.fault, domain, begin_s, begin_s + lasts_s)
            for begin_s in begins
            for domain in outbreak.domains
        ]

    def _lasts_s(self, outbreak: Outbreak) -> float:
        if not self.is_drill:
            return outbreak.minutes / 60 / DAY_HOURS * self.length_s
        share = DRILL_SHARE if outbreak.at_hour is None else CONTROL_DRILL[1]
        return share * self.length_s

    def _begins(self, outbreak: Outbreak, dice: random.Random) -> list[float]:
        if outbreak.at_hour is not None:
            share = CONTROL_DRILL[0] if self.is_drill else outbreak.at_hour / DAY_HOURS
            return [share * self.length_s]
        if self.is_drill:
            return [dice.uniform(DRILL_FROM, DRILL_TO) * self.length_s]
        part_s = self.length_s / outbreak.times
        room_s = max(0.0, part_s - self._lasts_s(outbreak))
        return [number * part_s + dice.uniform(0, room_s) for number in range(outbreak.times)]


def active(windows: Sequence[Window], domain: str, at_s: float) -> frozenset[Fault]:
    """What is wrong with a domain at that time."""
    return frozenset(window.fault for window in windows if window.domain == domain and window.holds(at_s))
