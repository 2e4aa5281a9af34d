"""``python -m tests.bench.mint``, which is ``make bench-mint``."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.mint.bars import bars_of
from tests.bench.mint.figures import by_name, figures_of, not_run
from tests.bench.mint.peers import PEERS, NotInstalled, Peer
from tests.bench.mint.processes import Cores, pin
from tests.bench.mint.rounds import ALONE, CROWD, FAR, Cell, Shape, Upstream, callers, measure
from tests.bench.mint.systems import OURS, Stage, System
from tests.bench.report import FOLDER, bar_chart, finish
from tests.local.processes import NotStarted


@dataclass(frozen=True, slots=True)
class Course:
    """How long, in which shapes, against whom."""

    rounds: int
    seconds: float
    shapes: Sequence[Shape]
    peers: Sequence[Peer]


@dataclass(frozen=True, slots=True)
class Run:
    """What was seen. ``absent``: peers that could not be run, and why."""

    cells: Sequence[Cell]
    peers: Sequence[str]
    absent: dict[str, str]
    load: Sequence[str]


FULL = (4, 2.0, (ALONE, CROWD, FAR))
SHORT = (2, 1.0, (ALONE, CROWD))


def course() -> Course:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.mint", description="What a mint costs.")
    parser.add_argument("--without-peers", action="store_true", help="measure only what is here")
    parser.add_argument("--short", action="store_true", help="about a minute, without the slow upstream")
    arguments = parser.parse_args()
    rounds, seconds, shapes = SHORT if arguments.short else FULL
    return Course(rounds, seconds, shapes, () if arguments.without_peers else PEERS)


async def run(course: Course, folder: Path) -> Run:
    cores = Cores.of_this_machine()
    pin(cores.others)
    absent: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        stage = Stage(stack, folder, cores)
        systems: list[System] = [await stage.direct(), await stage.floor(), *await stage.ours()]
        for peer in course.peers:
            try:
                systems.append(await stage.peer(peer))
            except (NotInstalled, NotStarted) as exc:
                absent[peer.name] = str(exc)
        asking = await stack.enter_async_context(callers(cores))
        before = load_average()
        cells = await measure(
            systems,
            course.shapes,
            asking,
            Upstream(stage.upstream_url),
            rounds=course.rounds,
            seconds=course.seconds,
        )
    peers = [system.name for system in systems if system.is_peer]
    return Run(cells, peers, absent, [before, load_average()])


def load_average() -> str:
    return " ".join(f"{load:.1f}" for load in os.getloadavg())


def report(course: Course, run: Run) -> int:
    figures = figures_of(run.cells)
    named = by_name(figures)
    method = (
        f"{course.rounds} rounds of {course.seconds:g} s a cell, all systems in turns; each figure is of the"
        f" best round. {os.cpu_count()} cores, load average {run.load[0]} before, {run.load[1]} after."
    )
    beside = (
        f"Enrichment, beside the broker, takes {named[OURS].beside_cpu_ms:.3f} ms CPU per read of memory."
    )
    print(method, beside, sep="\n", end="\n\n")
    for one in figures:
        if one.fault:
            print(f"{one.name}: {one.fault}", file=sys.stderr)
    rows = [one.row() for one in figures]
    rows += [not_run(rows[0], name, why) for name, why in run.absent.items()]
    FOLDER.mkdir(exist_ok=True)
    cpu = {one.name: one.cpu_ms for one in figures}
    (FOLDER / "mint-cpu.svg").write_text(bar_chart("mint: CPU", cpu, "ms a mint"))
    details = {
        "method": method,
        "beside": beside,
        "python": platform.python_version(),
        "figures": [asdict(one) for one in figures],
        "rounds": [asdict(cell) for cell in run.cells],
        "packages": {peer.name: list(peer.packages) for peer in course.peers},
    }
    bars = bars_of(named, run.peers, peers_wanted=len(course.peers))
    rates = {one.name: one.per_s for one in figures}
    return finish("mint", rows, bars, rates, "mints/s at 32", details)


async def main() -> int:
    wanted = course()
    this = asyncio.current_task()
    assert this is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, this.cancel)
    with tempfile.TemporaryDirectory() as folder:
        try:
            seen = await run(wanted, Path(folder))
        except asyncio.CancelledError:
            print("\nEnded before there was a result.", file=sys.stderr)
            return 130
        except NotStarted as exc:
            print(exc, file=sys.stderr)
            return 1
    return report(wanted, seen)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
