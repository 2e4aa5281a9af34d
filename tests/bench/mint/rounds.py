"""Asking every system in turns, round after round, and what each of them took."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

import httpx

from tests.bench.mint.callers import GRACE_S, Wish
from tests.bench.mint.processes import Cores, Usage, pin
from tests.bench.mint.systems import System
from tests.local.processes import ROOT

WARM_UP_SHARE = 0.25  # of a cell's time, before it, not counted


@dataclass(frozen=True, slots=True)
class Shape:
    """How many ask at a time, and how long the upstream takes."""

    name: str
    callers: int
    delay_ms: int = 0


ALONE = Shape("one caller", 1)
CROWD = Shape("32 callers", 32)
FAR = Shape("32 callers, upstream at 50 ms", 32, 50)


@dataclass(frozen=True, slots=True)
class Cell:
    """One system, asked in one shape for a few seconds."""

    system: str
    shape: str
    answered: int
    failed: int
    failure: str
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_s: float
    beside_cpu_s: float
    rss_bytes: int
    upstream_mints: int
    upstream_connections: int


class Upstream:
    """The switches and counters of the fake."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def counts(self) -> tuple[int, int]:
        """Mints and connections so far."""
        told = await self._ask("GET", "/counts")
        return told["mints"], told["connections"]

    async def delay(self, milliseconds: int) -> None:
        await self._ask("POST", f"/delay/{milliseconds}")

    async def _ask(self, method: str, path: str) -> dict[str, int]:
        async with httpx.AsyncClient(trust_env=False) as http:  # a connection of its own, as the fake wants
            told: dict[str, int] = (await http.request(method, self._url + path)).json()
            return told


class Callers:
    """The process that asks."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, wish: Wish) -> dict[str, object]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(wish)).encode() + b"\n")
        async with asyncio.timeout(wish.seconds + 2 * GRACE_S):
            told: dict[str, object] = json.loads(await self._process.stdout.readline())
            return told


@asynccontextmanager
async def callers(cores: Cores) -> AsyncIterator[Callers]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.mint.callers"),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: pin(cores.others),
    )
    try:
        yield Callers(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def measure(
    systems: Sequence[System],
    shapes: Sequence[Shape],
    asking: Callers,
    upstream: Upstream,
    *,
    rounds: int,
    seconds: float,
) -> list[Cell]:
    """Round-robin: all systems in one shape, then in the next; every round begins with another system."""
    cells = []
    for number in range(rounds):
        turn = number % len(systems)
        for shape in shapes:
            await upstream.delay(shape.delay_ms)
            for system in [*systems[turn:], *systems[:turn]]:
                shown(f"round {number + 1} of {rounds}, {shape.name}: {system.name}")
                cells.append(await cell(system, shape, asking, upstream, seconds))
    await upstream.delay(0)
    shown("")
    return cells


def shown(progress: str) -> None:
    """On a terminal, in place of what was shown before."""
    if sys.stdout.isatty():
        print(f"\r\x1b[K{progress}", end="", flush=True)


async def cell(system: System, shape: Shape, asking: Callers, upstream: Upstream, seconds: float) -> Cell:
    await asking.ask(wish(system, shape, seconds * WARM_UP_SHARE))
    counts, before, beside = await upstream.counts(), system.process.usage(), _beside(system)
    told = await asking.ask(wish(system, shape, seconds))
    after, beside_after, counts_after = system.process.usage(), _beside(system), await upstream.counts()
    return Cell(
        system=system.name,
        shape=shape.name,
        cpu_s=after.cpu_s - before.cpu_s,
        beside_cpu_s=beside_after.cpu_s - beside.cpu_s,
        rss_bytes=after.rss_bytes,
        upstream_mints=counts_after[0] - counts[0],
        upstream_connections=counts_after[1] - counts[1],
        **told,  # type: ignore[arg-type]
    )


def wish(system: System, shape: Shape, seconds: float) -> Wish:
    return Wish(system.url, system.headers, system.body, system.proof, shape.callers, seconds)


def _beside(system: System) -> Usage:
    return system.beside.usage() if system.beside else Usage(0.0, 0)
