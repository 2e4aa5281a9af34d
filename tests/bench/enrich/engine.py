"""The engine alone, in a process of its own: ``python -m tests.bench.enrich.engine ORDER``.

``bare`` posts the rows that pages post, as many at a time, without HTTP; ``fill`` leaves turns to deliver;
``remember`` leaves turns in the embedded memory.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import time
from collections.abc import Iterator

import uvloop

from enrichment.memory.embedded import EmbeddedMemory
from enrichment.outbox.port import Outbox
from enrichment.settings import Settings
from enrichment.wiring import outbox_of
from tests.bench.enrich.pages import TURNS, Page, pages

SIDE_BY_SIDE = 32


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("order", choices=["bare", "fill", "remember"])
    parser.add_argument("--name", required=True, help="of the sessions, so that none is posted twice")
    parser.add_argument("--connections", type=int, default=SIDE_BY_SIDE)
    parser.add_argument("--per-post", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--turns", type=int, default=0)
    parser.add_argument("--each", type=int, default=TURNS, help="turns of a session")
    parser.add_argument("--people", type=int, default=1_000)
    return parser.parse_args()


async def bare(outbox: Outbox, given: argparse.Namespace) -> dict[str, float]:
    """Turns that so many callers bring to the disk, each waiting for the commit of its last post."""
    rows = list(next(pages("bare", "rows")).posts(given.per_post))
    sessions, kept = itertools.count(), 0
    gc.freeze()  # as the service does
    gc.set_threshold(20_000, 50, 50)
    began, used = time.perf_counter(), time.process_time()

    async def speak() -> None:
        nonlocal kept
        for number in sessions:
            for turns in rows:
                if time.perf_counter() - began >= given.seconds:
                    return
                await outbox.accept(f"person-{number % given.people}", f"{given.name}-{number}", turns)
                kept += len(turns)

    await asyncio.gather(*(speak() for _ in range(given.connections)))
    return {"turns": kept, "seconds": time.perf_counter() - began, "cpu_s": time.process_time() - used}


async def fill(outbox: Outbox, given: argparse.Namespace) -> dict[str, float]:
    """Sessions that wait for their delivery."""
    waiting = _sessions(given)

    async def speak() -> None:
        for page in waiting:
            for turns in page.posts(TURNS, given.each):
                await outbox.accept(page.person, page.session_id, turns)

    await asyncio.gather(*(speak() for _ in range(given.connections)))
    return {"turns": given.turns}


async def remember(settings: Settings, given: argparse.Namespace) -> dict[str, float]:
    memory = EmbeddedMemory(settings.memory_path)
    waiting = _sessions(given)

    async def speak() -> None:
        for page in waiting:
            for turns in page.posts(TURNS, given.each):
                await memory.remember(page.person, page.session_id, turns)

    began = time.perf_counter()
    await asyncio.gather(*(speak() for _ in range(given.connections)))
    await memory.close()
    return {"turns": given.turns, "seconds": time.perf_counter() - began}


def _sessions(given: argparse.Namespace) -> Iterator[Page]:
    """As many as make the turns; nobody signs for them."""
    for number in range(given.turns // given.each):
        yield Page(f"person-{number % given.people}", f"{given.name}-{number}", "", number)


async def main() -> None:
    given = arguments()
    settings = Settings()  # from the environment
    if given.order == "remember":
        told = await remember(settings, given)
    else:
        async with outbox_of(settings, None) as outbox:
            told = await (bare if given.order == "bare" else fill)(outbox, given)
    print(json.dumps(told))


if __name__ == "__main__":
    uvloop.run(main())
