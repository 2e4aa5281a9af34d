"""One mix put to one system: start the processes, let the callers come, collect what everybody counted."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.bench.faults.figures import Figures, Outage, figures_of, outage_of
from tests.bench.faults.load import GIVES_UP_S, Outcome, read
from tests.bench.faults.mixes import Fault
from tests.bench.faults.schedules import Schedule
from tests.bench.faults.systems import Crowd, Ports, System, callers, fake_azure, under_test
from tests.local.processes import ROOT, Command, NotStarted, Running, start

READY_S = 20.0
HEAD_START_S = 1.5  # for the process of the callers to load its modules
FIRST_CALLERS = 100
SPARE_S = 30.0

Say = Callable[[float], None]  # seconds of the run that have passed


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it. ``asked``: requests that reached the fake's mint routes, the background's among them.

    ``too_early``: those that reached a throttled domain before its Retry-After was over; ``in_outage``: those
    that reached a dark domain; ``first_slowest_ms``: what the slowest of the first callers waited.
    """

    schedule: Schedule
    system: System
    crowd: Crowd
    figures: Figures
    asked: int
    too_early: int
    in_outage: int
    start_s: float
    first_slowest_ms: float
    outage: Outage | None

    @property
    def calls_each(self) -> float:
        return self.asked / self.figures.n


async def attempt(system: System, schedule: Schedule, crowd: Crowd, say: Say) -> Trial:
    """Raises `NotStarted` when a process does not come up or the callers' process fails."""
    ports = Ports.free()
    with tempfile.TemporaryDirectory() as folder:
        async with _running(fake_azure(schedule, ports), Path(folder)) as azure:
            began = time.monotonic()
            async with _running(under_test(system, schedule, ports), Path(folder)) as tested:
                start_s = time.monotonic() - began
                if system is System.OURS:
                    await _ready(tested)
                outcomes = await _load(azure, crowd, schedule, ports, Path(folder), say)
                counted = await _ask(azure, "/figures")
    return _trial(system, schedule, crowd, outcomes, counted, start_s)


@asynccontextmanager
async def _running(service: Command, folder: Path) -> AsyncIterator[Running]:
    running = await start(service, folder)
    try:
        await running.answers()
        yield running
    finally:
        await running.stop()


async def _ready(tested: Running) -> None:
    """Traffic comes when the broker says that a way to mint has worked, as a load balancer would have it."""
    async with httpx.AsyncClient() as http, asyncio.timeout(READY_S):
        while (await http.get(f"{tested.url}/ready")).status_code != 200:
            await asyncio.sleep(0.05)


async def _load(
    azure: Running, crowd: Crowd, schedule: Schedule, ports: Ports, folder: Path, say: Say
) -> list[Outcome]:
    begin_at = time.monotonic() + HEAD_START_S
    into = folder / "outcomes.json"
    process = await asyncio.create_subprocess_exec(
        *callers(crowd, schedule, ports, begin_at, into), cwd=ROOT, stdin=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(HEAD_START_S + 1.5 * crowd.length_s + GIVES_UP_S + SPARE_S):
            await _ask(azure, "/begin", {"at": begin_at})
            await _progress(process, begin_at, say)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise NotStarted(f"the callers ended with {process.returncode}")
    return read(into)


async def _progress(process: asyncio.subprocess.Process, begin_at: float, say: Say) -> None:
    ended = asyncio.create_task(process.wait())
    while not ended.done():
        await asyncio.wait([ended], timeout=1.0)
        say(max(0.0, time.monotonic() - begin_at))


async def _ask(azure: Running, path: str, body: dict[str, float] | None = None) -> dict[str, dict[str, int]]:
    async with httpx.AsyncClient() as http:
        response = await http.post(azure.url + path, json=body or {})
    response.raise_for_status()
    counted: dict[str, dict[str, int]] = response.json()
    return counted


def _trial(
    system: System,
    schedule: Schedule,
    crowd: Crowd,
    outcomes: list[Outcome],
    counted: dict[str, dict[str, int]],
    start_s: float,
) -> Trial:
    return Trial(
        schedule=schedule,
        system=system,
        crowd=crowd,
        figures=figures_of(outcomes),
        asked=sum(domain["asked"] for domain in counted.values()),
        too_early=sum(domain["too_early"] for domain in counted.values()),
        in_outage=sum(domain["in_outage"] for domain in counted.values()),
        start_s=start_s,
        first_slowest_ms=max(outcome.ms for outcome in outcomes[:FIRST_CALLERS]),
        outage=outage_of(outcomes, *_dark(schedule)) if schedule.mix.is_control else None,
    )


def _dark(schedule: Schedule) -> tuple[float, float]:
    """From when to when every domain of a control is dark."""
    window = next(window for window in schedule.windows if window.fault is Fault.DARK)
    return window.begin_s, window.end_s
