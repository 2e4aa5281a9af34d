"""``python -m tests.chaos``, which is ``make chaos``."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import structlog
import uvloop

from tests.bench.report import finish
from tests.chaos.bars import Played, bars_of
from tests.chaos.outcome import FULL, SHORT, Ground, Scenario, Size
from tests.chaos.scenarios import SCENARIOS
from tests.enrichment.postgres import empty_database, server

ENGINES = ("sqlite", "postgres")
AT_ONCE = 2  # in the short form: they wait more than they work


@dataclass(frozen=True, slots=True)
class Plan:
    """What is played. ``is_whole``: all of it, at full length."""

    scenarios: Sequence[Scenario]
    engines: Sequence[str]
    size: Size
    seed: int
    at_once: int
    is_whole: bool
    is_brief: bool = False

    def pairs(self) -> list[tuple[Scenario, str]]:
        return [
            (scenario, engine)
            for engine in self.engines
            for scenario in self.scenarios
            if engine in scenario.engines and (engine in scenario.briefly or not self.is_brief)
        ]


def plan() -> Plan:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description="Whether an acknowledged turn reaches memory once and in order, whatever dies.",
        epilog="\n".join(f"  {scenario.name:<16} {scenario.about}" for scenario in SCENARIOS),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--scenario", action="append", choices=names, help="only this one; may be repeated")
    parser.add_argument("--engine", action="append", choices=ENGINES, help="of the outbox (default: both)")
    parser.add_argument("--turns", type=int, help="of a scenario that ends by their number")
    parser.add_argument("--seed", type=int, default=1, help="of faults, texts and pauses (default: 1)")
    parser.add_argument("--short", action="store_true", help="less than a minute an engine")
    given = parser.parse_args()
    size = SHORT if given.short else FULL
    return Plan(
        scenarios=[one for one in SCENARIOS if one.name in (given.scenario or names)],
        engines=given.engine or ENGINES,
        size=replace(size, turns=given.turns or size.turns),
        seed=given.seed,
        at_once=AT_ONCE if given.short else 1,
        is_whole=not (given.short or given.scenario or given.turns),
        is_brief=given.short and not given.scenario,
    )


@contextmanager
def databases(plan: Plan) -> Iterator[Callable[[str], str] | None]:
    """Makes an empty database of a private PostgreSQL, which is a schema, and gives its address."""
    if "postgres" not in plan.engines:
        yield None
        return
    with server(synced=True) as running:
        yield lambda scenario: empty_database(running, scenario)


async def played(scenario: Scenario, ground: Ground) -> Played:
    """The scenario with its outcome, or with what kept it from having one."""
    began = time.monotonic()
    outcome, why = None, ""
    try:
        async with asyncio.timeout(ground.size.longest_s):
            outcome = await scenario.play(ground)
    except Exception as exc:  # noqa: BLE001 - whatever it was: what was not played to its end is a missed bar
        why = f"{type(exc).__name__} {exc}".strip().splitlines()[0]
        print(f"{scenario.name}, {ground.engine}: {exc}", file=sys.stderr)
    one = Played(scenario.name, ground.engine, time.monotonic() - began, outcome, why)
    print(f"{one.label}: {'played' if outcome else why} in {one.seconds:.0f} s", file=sys.stderr, flush=True)
    return one


async def run(plan: Plan, folder: Path, database: Callable[[str], str] | None) -> list[Played]:
    free = asyncio.Semaphore(plan.at_once)

    async def one(scenario: Scenario, engine: str) -> Played:
        async with free:
            place = folder / f"{scenario.name}-{engine}"
            url = database(scenario.name) if database and engine == "postgres" else None
            return await played(scenario, Ground(engine, place, plan.seed, plan.size, url))

    return await asyncio.gather(*(one(*pair) for pair in plan.pairs()))


def report(plan: Plan, seen: Sequence[Played], load: str) -> int:
    print(f"Seed {plan.seed}. {os.cpu_count()} cores, load average {load} before, {load_average()} after.\n")
    details = {
        "seed": plan.seed,
        "size": asdict(plan.size),
        "outcomes": [asdict(one.outcome) if one.outcome else one.why for one in seen],
    }
    acked = {one.label: float(one.outcome.verdict.acked) for one in seen if one.outcome}
    bars = bars_of(seen, is_whole=plan.is_whole)
    return finish("chaos", [one.row() for one in seen], bars, acked, "turns acked", details)


def load_average() -> str:
    return " ".join(f"{load:.1f}" for load in os.getloadavg())


def main() -> int:
    wanted, load = plan(), load_average()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory() as folder, databases(wanted) as database:
        seen = uvloop.run(run(wanted, Path(folder), database))
    return report(wanted, seen, load)


if __name__ == "__main__":
    sys.exit(main())
