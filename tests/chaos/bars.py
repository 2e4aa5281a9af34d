"""What chaos is held to, and how it is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.bench.report import Bar
from tests.chaos.outcome import Outcome

LEAST_TURNS = 200_000  # answered 202, of the full form, in all scenarios


@dataclass(frozen=True, slots=True)
class Played:
    """A scenario that was played on one engine. ``outcome`` is None when it broke, ``why`` then says how."""

    name: str
    engine: str
    seconds: float
    outcome: Outcome | None
    why: str = ""

    @property
    def label(self) -> str:
        return f"{self.name}, {self.engine}"

    def row(self) -> Mapping[str, object]:
        verdict = self.outcome.verdict if self.outcome else None
        names = ("sent", "acked", "remembered", "lost", "doubled", "disordered", "foreign", "invented")
        counts = {name: getattr(verdict, name) if verdict else "–" for name in names}
        happened = self.outcome.happened if self.outcome else {}
        told = "; ".join(f"{name} {value}" for name, value in happened.items()) or self.why
        return {
            "scenario": self.name,
            "engine": self.engine,
            **counts,
            "s": round(self.seconds),
            "what": told,
        }


def bars_of(played: Sequence[Played], *, is_whole: bool) -> list[Bar]:
    """``is_whole``: everything was played at its full length, so the turns are counted too."""
    bars = [bar for one in played for bar in (_sound(one), *_own(one))]
    if is_whole:
        acked = sum(one.outcome.verdict.acked for one in played if one.outcome)
        promise = f"turns answered 202 in all scenarios, at least {LEAST_TURNS}"
        bars.append(Bar(promise, str(acked), acked >= LEAST_TURNS))
    return bars


def _sound(one: Played) -> Bar:
    promise = f"{one.label}: 0 acknowledged turns lost, 0 doubled, 0 out of order, none foreign or invented"
    if one.outcome is None:
        return Bar(promise, f"was not played to its end: {one.why}", is_met=False)
    verdict = one.outcome.verdict
    seen = (
        f"{verdict.lost} lost, {verdict.doubled} doubled, {verdict.disordered} out of order,"
        f" {verdict.foreign} foreign, {verdict.invented} invented, of {verdict.acked}"
    )
    return Bar(promise, seen, verdict.wrong == 0 and verdict.acked > 0)


def _own(one: Played) -> list[Bar]:
    """What the scenario promises beyond that, by the engine it was played on."""
    own = one.outcome.bars if one.outcome else ()
    return [Bar(f"{one.engine}, {bar.promise}", bar.seen, bar.is_met) for bar in own]
