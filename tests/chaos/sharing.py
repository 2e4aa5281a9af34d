"""Scenarios of the outbox that replicas share: its server goes away, and they come and go themselves."""

from __future__ import annotations

import asyncio
import random
from contextlib import ExitStack

from tests.chaos.browsers import Crowd, kept, speaking
from tests.chaos.checker import check
from tests.chaos.dying import crowd_of, drain_s, lease_options
from tests.chaos.outcome import Ground, Outcome, at_least
from tests.chaos.system import System, opened
from tests.enrichment.postgres import Server, server


async def database_stopped(ground: Ground) -> Outcome:
    """A server of its own that crashes, so that what was not on its disk is gone, or is shut down."""
    with ExitStack() as stack:
        database = await asyncio.to_thread(stack.enter_context, server(synced=True))
        system = System(ground.folder, database.url(), lease_options(ground), replicas=2)
        finished = asyncio.Event()
        async with opened(system, recorder_seed=ground.seed):
            crowd = crowd_of(system, ground, "stopped", enough=finished.is_set)
            async with speaking(crowd):
                for number in range(ground.size.stops):
                    await asyncio.sleep(1.0)
                    await _away(database, "immediate" if number % 2 == 0 else "fast", crowd)
                await kept(crowd, ground.size.turns)
                finished.set()
            await system.drained(drain_s(ground))
            refused = crowd.answers[503]
    bars = [at_least("database stopped: posts refused with 503", refused, ground.size.stops)]
    happened = {
        "stops": ground.size.stops,
        "refused": refused,
        "longest silence s": round(crowd.silence_s, 1),
    }
    return Outcome(check(crowd.history, system.remembered()), happened, bars)


async def _away(database: Server, mode: str, crowd: Crowd) -> None:
    """Until somebody is refused and for a second longer."""
    refused = crowd.answers[503]
    await asyncio.to_thread(database.stop, mode)
    while crowd.answers[503] == refused:
        await asyncio.sleep(0.02)
    await asyncio.sleep(1.0)
    await asyncio.to_thread(database.start)


async def rolling_restart(ground: Ground) -> Outcome:
    """Each replica in turn is asked to end and started again; in every round one is killed instead."""
    system = System(ground.folder, ground.database_url, lease_options(ground), ground.size.replicas)
    rng = random.Random(ground.seed)
    finished = asyncio.Event()
    async with opened(system, recorder_seed=ground.seed):
        crowd = crowd_of(system, ground, "rolling", enough=finished.is_set)
        async with speaking(crowd):
            for _ in range(ground.size.rolls):
                await _roll(system, rng.randrange(ground.size.replicas))
            await kept(crowd, ground.size.turns)
            finished.set()
        await system.drained(drain_s(ground))
        broken = crowd.answers[0]
    happened = {
        "restarts": ground.size.replicas * ground.size.rolls,
        "posts without an answer": broken,
        "longest silence s": round(crowd.silence_s, 1),
    }
    bars = [at_least("rolling restart: posts that were cut off", broken, ground.size.rolls)]
    return Outcome(check(crowd.history, system.remembered()), happened, bars)


async def _roll(system: System, killed: int) -> None:
    for place in range(system.replicas):
        if place == killed:
            await system.running[place].kill()
        else:
            await system.running[place].stop()
        await system.restart(place)
