"""``python -m tests.bench.faults``, which is ``make bench-faults``."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from tests.bench.faults.bars import bars_of, percent
from tests.bench.faults.mixes import MIXES, Mix, mix_named
from tests.bench.faults.schedules import Schedule
from tests.bench.faults.systems import Crowd, System
from tests.bench.faults.trial import Trial, attempt
from tests.bench.report import finish
from tests.local.processes import NotStarted

N, RATE = 100_000, 300.0
DRILL_N, DRILL_RATE = 210, 30.0
PORTS_RATE = 10.0  # a client a request costs the ports so much that they could not honestly carry more


@dataclass(frozen=True, slots=True)
class Plan:
    """Which mixes, how many callers, and whether the ports are measured too."""

    mixes: Sequence[Mix]
    crowd: Crowd
    seed: int
    is_drill: bool
    with_ports: bool

    def schedule(self, mix: Mix) -> Schedule:
        return Schedule(mix, self.seed, self.crowd.length_s, self.is_drill)

    @property
    def ports_crowd(self) -> Crowd:
        """Fewer callers over the same time, so that the day is mapped on the same length."""
        return Crowd(int(PORTS_RATE * self.crowd.length_s), PORTS_RATE)


def plan() -> Plan:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.faults",
        description="Whether callers get their token while Azure fails, by a seeded schedule of faults.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    names = [mix.name for mix in MIXES]
    parser.add_argument("--mix", action="append", choices=names, help="only this one; may be repeated")
    parser.add_argument("--n", type=int, help=f"callers a mix (default: {N}, short: {DRILL_N})")
    parser.add_argument("--rate", type=float, help=f"callers a second (default: {RATE}, short: {DRILL_RATE})")
    parser.add_argument("--seed", type=int, default=1, help="of faults and arrivals")
    parser.add_argument("--short", action="store_true", help="drills: 20 seconds, every fault once, no ports")
    parser.add_argument("--without-ports", action="store_true", help="measure only the broker")
    given = parser.parse_args()
    n, rate = (DRILL_N, DRILL_RATE) if given.short else (N, RATE)
    return Plan(
        mixes=[mix_named(name) for name in given.mix or names],
        crowd=Crowd(given.n or n, given.rate or rate),
        seed=given.seed,
        is_drill=given.short,
        with_ports=not (given.short or given.without_ports),
    )


class Progress:
    """One line that says how far every running trial is."""

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._now: dict[str, float] = {}

    async def of(self, system: System, schedule: Schedule, crowd: Crowd) -> Trial:
        name = f"{schedule.mix.name} {system}"

        def say(passed_s: float) -> None:
            self._now[name] = passed_s
            self._print()

        try:
            return await attempt(system, schedule, crowd, say)
        finally:
            self._now.pop(name, None)
            self._print()

    def _print(self) -> None:
        line = "   ".join(f"{name} {at_s:.0f}/{self._length_s:.0f} s" for name, at_s in self._now.items())
        print(f"\r{line:<100}\r", end="", file=sys.stderr, flush=True)


async def run(plan: Plan) -> list[Trial]:
    progress = Progress(plan.crowd.length_s)
    if plan.is_drill:
        return await drills(plan, progress)
    trials = []
    for mix in plan.mixes:
        schedule = plan.schedule(mix)
        trials.append(await progress.of(System.OURS, schedule, plan.crowd))
        if plan.with_ports and not mix.is_control:
            ports = (System.SEED_CHAIN, System.ORIGINAL)
            trials += await asyncio.gather(
                *(progress.of(system, schedule, plan.ports_crowd) for system in ports)
            )
    return trials


async def drills(plan: Plan, progress: Progress) -> list[Trial]:
    """All at once: they wait more than they work."""
    each = (progress.of(System.OURS, plan.schedule(mix), plan.crowd) for mix in plan.mixes)
    return await asyncio.gather(*each)


def announce(plan: Plan) -> None:
    print(f"Seed {plan.seed}, {plan.crowd.n} callers a mix, {plan.crowd.rate:g} a second.")
    for mix in plan.mixes:
        schedule = plan.schedule(mix)
        print(f"\n{mix.name}  {mix.about}; {schedule.mapping}")
        for window in schedule.windows:
            print(f"  {window}")
    print(flush=True)


def row_of(trial: Trial) -> dict[str, object]:
    figures = trial.figures
    return {
        "mix": trial.schedule.mix.name,
        "system": trial.system.value,
        "n": figures.n,
        "a second": f"{trial.crowd.rate:g}",
        "in 8 s": percent(figures.share),
        "95 % bound": percent(figures.bound),
        "p50 ms": f"{figures.p50:.0f}",
        "p99 ms": f"{figures.p99:.0f}",
        "p99.9 ms": f"{figures.p999:.0f}",
        "calls each": f"{trial.calls_each:.2f}",
        "while throttled": trial.too_early,
    }


def report(plan: Plan, trials: Sequence[Trial]) -> int:
    without = {
        f"{trial.schedule.mix.name} {trial.system}": 100 * (1 - trial.figures.share)
        for trial in trials
        if not trial.schedule.mix.is_control
    }
    details = {
        "seed": plan.seed,
        "schedules": {
            mix.name: [asdict(window) for window in plan.schedule(mix).windows] for mix in plan.mixes
        },
        "figures": [
            {"mix": trial.schedule.mix.name, "system": trial.system, **asdict(trial.figures)}
            for trial in trials
        ],
    }
    rows = [row_of(trial) for trial in trials]
    return finish("faults", rows, bars_of(trials), without, "% without a token in 8 s", details)


def main() -> int:
    chosen = plan()
    announce(chosen)
    try:
        return report(chosen, asyncio.run(run(chosen)))
    except NotStarted as exc:
        print(exc, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
