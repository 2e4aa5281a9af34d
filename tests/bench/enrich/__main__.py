"""``python -m tests.bench.enrich``, which is ``make bench-enrich``."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import apsw
import uvloop

from tests.bench.enrich.bars import bars_of, rows_of
from tests.bench.enrich.rounds import FEW, FULL, SHORT, Figures, Size, measure
from tests.bench.enrich.stage import Broken, keys, places
from tests.bench.report import finish
from tests.enrichment.postgres import empty_database, server
from tests.local.processes import NotStarted

ENGINES = ("sqlite", "postgres")


@dataclass(frozen=True, slots=True)
class Plan:
    """Which engines, and how much of everything."""

    engines: Sequence[str]
    size: Size


def plan() -> Plan:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.enrich", description="What accepting, delivering and reading cost."
    )
    parser.add_argument("--engine", action="append", choices=ENGINES, help="of the outbox (default: both)")
    parser.add_argument("--short", action="store_true", help="a minute or two, with a tenth of the turns")
    given = parser.parse_args()
    return Plan(given.engine or ENGINES, SHORT if given.short else FULL)


@contextmanager
def databases(engine: str) -> Iterator[Callable[[str], str] | None]:
    """Makes empty databases on a private server, for the engine that needs them."""
    if engine == "sqlite":
        yield None
        return
    with server(synced=True) as running:
        yield lambda name: empty_database(running, name)


async def run(plan: Plan, folder: Path) -> list[Figures]:
    seen = []
    async with keys() as keys_url:
        for engine in plan.engines:
            figures = Figures(engine, plan.size)
            with databases(engine) as database:
                await measure(places(folder / engine, keys_url, database), figures, say)
            seen.append(figures)
    return seen


def say(progress: str) -> None:
    print(f"\r{progress:<70}\r", end="", file=sys.stderr, flush=True)


def report(plan: Plan, seen: Sequence[Figures], load: str) -> int:
    method = (
        f"{plan.size.rounds} rounds, {plan.size.seconds:g} s a cell ({plan.size.open_seconds:g} s at a rate),"
        f" all cells in turns; each figure is of the best round. {os.cpu_count()} cores for the service and"
        f" those who post, load average {load} before, {load_average()} after."
    )
    print(method, end="\n\n")
    details = {
        "method": method,
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "size": asdict(plan.size),
        "rounds": {figures.engine: figures.cells for figures in seen},
    }
    names = (FEW, f"engine alone: {FEW}", f"HTTP alone: {FEW}", "delivery")
    plot = {f"{figures.engine}: {name}": figures.rate(name) for figures in seen for name in names}
    rows = [row for figures in seen for row in rows_of(figures)]
    bars = [bar for figures in seen for bar in bars_of(figures)]
    return finish("enrich", rows, bars, plot, "turns/s", details)


def load_average() -> str:
    return " ".join(f"{load:.1f}" for load in os.getloadavg())


def main() -> int:
    wanted, load = plan(), load_average()
    with tempfile.TemporaryDirectory() as folder:
        try:
            seen = uvloop.run(run(wanted, Path(folder)))
        except (Broken, NotStarted) as exc:
            print(f"\n{exc}", file=sys.stderr)
            return 1
    return report(wanted, seen, load)


if __name__ == "__main__":
    sys.exit(main())
