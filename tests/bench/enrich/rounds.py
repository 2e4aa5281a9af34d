"""What is measured, round after round, and the best round of each figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from tests.bench.enrich.pages import pages
from tests.bench.enrich.stage import KEYS, Broken, Place, engine, floor, served

RATE = 1_000  # turns/s of the open loop
PAIR = 2  # turns of a post, as a page sends them: what was said and what was answered
FEW, MANY = "32 connections, 2 turns", "64 connections, 2 turns"
AT_RATE = "1000 turns/s, 2 turns"
DELIVERIES = {"delivery": 20, "delivery, 2 turns at a time": PAIR}  # turns of a session that waits
LONG = 1_000  # turns of the long episode
TURNS_EACH = 100  # of a person in memory
READS = 100  # a round
PLAIN = str.maketrans({" ": "-", ",": None, "/": None})


@dataclass(frozen=True, slots=True)
class Size:
    """How long and how much."""

    rounds: int
    seconds: float
    open_seconds: float
    backlog: int
    stored: int


FULL = Size(rounds=4, seconds=4.0, open_seconds=10.0, backlog=20_000, stored=200_000)
SHORT = Size(rounds=2, seconds=1.0, open_seconds=2.0, backlog=4_000, stored=20_000)


@dataclass
class Figures:
    """One engine. ``cells``: what was measured -> what came of it, round by round."""

    engine: str
    size: Size
    cells: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)

    def add(self, name: str, told: Mapping[str, Any]) -> None:
        if told.get("failed"):
            raise Broken(f"{name}: {told['failed']} failed, the first with {told['failure']}")
        self.cells.setdefault(name, []).append(told)

    def best(self, name: str, what: Callable[[Mapping[str, Any]], float], *, most: bool) -> float:
        values = [what(cell) for cell in self.cells[name]]
        return max(values) if most else min(values)

    def rate(self, name: str) -> float:
        """Turns a second."""
        return self.best(name, lambda cell: cell["turns"] / cell["seconds"], most=True)

    def ms(self, name: str, share: int) -> float:
        return self.best(name, lambda cell: float(cell[f"p{share}_ms"]), most=False)

    def cpu_ms(self, name: str) -> float:
        """Of the service, for a turn."""
        return self.best(name, lambda cell: 1_000 * cell["cpu_s"] / cell["turns"], most=False)


async def measure(place: Callable[[str], Place], figures: Figures, say: Callable[[str], None]) -> None:
    """Everything of one engine. ``place`` gives a new one for each name."""
    await _reading(place("stored"), figures, say)
    served_here = place("served")
    for number in range(figures.size.rounds):
        await _accepting(served_here, place(f"bare-{number}"), figures, number, say)


async def _accepting(
    here: Place, bare: Place, figures: Figures, number: int, say: Callable[[str], None]
) -> None:
    """One round: each cell after the backlog of the one before it; beside it the engine alone."""
    size = figures.size
    async with served(here) as service:
        for name, wish in _cells(size).items():
            say(f"round {number + 1} of {size.rounds}: {name}")
            figures.add(name, await service.ask(name=f"{name}-{number}".translate(PLAIN), **wish))
            await service.drained()
            if "rate" not in wish:
                await _beside(bare, figures, name, f"{name}-{number}".translate(PLAIN), wish)
    for name, each in DELIVERIES.items():
        say(f"round {number + 1} of {size.rounds}: {name}")
        await engine(here, "fill", name=f"fill-{each}-{number}", turns=size.backlog, each=each)
        async with served(here) as service:
            figures.add(name, {"turns": await service.drained(), "seconds": 1.0, "rss_mb": service.rss_mb})


def _cells(size: Size) -> dict[str, dict[str, Any]]:
    closed = {"seconds": size.seconds}
    open_loop = {"seconds": size.open_seconds, "connections": 32}
    return {
        FEW: {"connections": 32, "per_post": PAIR, **closed},
        MANY: {"connections": 64, "per_post": PAIR, **closed},
        "32 connections, 1 turn": {"connections": 32, "per_post": 1, **closed},
        AT_RATE: {"rate": RATE / PAIR, "per_post": PAIR, **open_loop},
        "1000 turns/s, 1 turn": {"rate": RATE, "per_post": 1, **open_loop},
    }


async def _beside(bare: Place, figures: Figures, name: str, label: str, wish: dict[str, Any]) -> None:
    """The same posts without HTTP, and HTTP without the posts being kept."""
    figures.add(f"engine alone: {name}", await engine(bare, "bare", name=label, **wish))
    async with floor(bare) as nothing:
        figures.add(f"HTTP alone: {name}", await nothing.ask(name=label, **wish))


async def _reading(here: Place, figures: Figures, say: Callable[[str], None]) -> None:
    """Context, cold, from the cache, and for a session that goes on; and a long episode."""
    size = figures.size
    people = size.stored // TURNS_EACH
    say(f"storing {size.stored} turns of {people} people")
    figures.add("storing", await engine(here, "remember", name="stored", turns=size.stored, people=people))
    await engine(here, "fill", name="long", turns=LONG, each=LONG)
    said = list(islice(pages(KEYS, "stored", people), min(people, READS * size.rounds)))
    long = next(pages(KEYS, "long"))
    async with served(here) as service:
        await service.drained()
        for number in range(size.rounds):
            say(f"round {number + 1} of {size.rounds}: reading")
            callers = said[number :: size.rounds]
            first = [("/memory/context", page.grant) for page in callers]
            again = [(f"/memory/context?session_id={page.session_id}", page.grant) for page in callers]
            figures.add("context, cold", await service.ask(gets=first))
            figures.add("context, warm", await service.ask(gets=first))
            figures.add("context, session goes on", await service.ask(gets=again))
            episode = [(f"/memory/episodes/{long.session_id}", long.grant)] * READS
            figures.add("episode of 1000 turns", await service.ask(gets=episode))
