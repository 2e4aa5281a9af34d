"""Scenarios in which what is around us misbehaves: memory, and the network to the browsers."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from itertools import islice

from tests.bench.report import Bar, percentile
from tests.chaos.browsers import CONNECTIONS, Connection, Crowd
from tests.chaos.checker import check
from tests.chaos.dying import crowd_of, drain_s, lease_options
from tests.chaos.history import PARCEL, History, Session
from tests.chaos.outcome import Ground, Outcome, at_least
from tests.chaos.system import System, opened

DROPPED = 0.2
TIMES = 3
AT_ONCE = 8  # sessions that are shuffled together: all of them arrive well within the hold-back of 5 s
SIMULATED_S, SIMULATED_RATE = 600.0, 20.0  # what the time away stands for, and turns/s in it
DRAINED_S = 60.0


async def replies_dropped(ground: Ground) -> Outcome:
    """Memory keeps every delivery, and of one in five it never says so."""
    system = System(ground.folder, ground.database_url, lease_options(ground))
    async with opened(system, recorder_seed=ground.seed):
        assert system.recorder
        await system.recorder.told(dropped=DROPPED)
        crowd = crowd_of(system, ground, "dropped")
        await crowd.speak()
        await system.drained(drain_s(ground))
        counts = await system.recorder.told()
    bars = [
        at_least("replies dropped: deliveries without an answer", counts["unanswered"], 10),
        at_least("replies dropped: turns that came to memory again", counts["repeated"], 10),
    ]
    return Outcome(check(crowd.history, system.remembered()), counts, bars)


async def shuffled(ground: Ground) -> Outcome:
    """Every post three times, in any order, over 32 connections."""
    system = System(ground.folder, ground.database_url, lease_options(ground))
    rng = random.Random(ground.seed)
    async with opened(system, recorder_seed=ground.seed):
        assert system.recorder
        crowd = crowd_of(system, ground, "shuffled", enough=lambda: False)
        slowest_s = 0.0
        while len(crowd.history.acked) < ground.size.turns:
            slowest_s = max(slowest_s, await _tell_shuffled(crowd, list(islice(crowd.said, AT_ONCE)), rng))
        await system.drained(drain_s(ground))
    happened = {"posts": sum(crowd.answers.values()), "slowest lot s": round(slowest_s, 1)}
    wanted = TIMES * len(crowd.history.sent) // PARCEL
    bars = [at_least("shuffled: posts", happened["posts"], wanted)]  # type: ignore[arg-type]
    return Outcome(check(crowd.history, system.remembered()), happened, bars)


async def _tell_shuffled(crowd: Crowd, said: Sequence[Session], rng: random.Random) -> float:
    """How long it took until all were kept."""
    posts = [(session, parcel) for session in said for parcel in session.parcels() for _ in range(TIMES)]
    rng.shuffle(posts)
    for session in said:
        crowd.history.add(session)
    began, rest = time.monotonic(), iter(posts)
    await asyncio.gather(*(_tell(crowd, rest, random.Random(number)) for number in range(CONNECTIONS)))
    return time.monotonic() - began


async def _tell(crowd: Crowd, posts: Iterator[tuple[Session, Sequence[str]]], rng: random.Random) -> None:
    connection = Connection(crowd.ports, rng)
    for session, parcel in posts:
        await crowd.tell(connection, session, parcel, rng)
    connection.close()


async def memory_away(ground: Ground) -> Outcome:
    """Memory refuses every connection while browsers speak on; then it is back.

    Ten minutes are simulated by their backlog: as many turns as come in ten minutes at 20 a second come as
    fast as the time away allows. The service's own clock is real, and so are its rests in between.
    """
    away_s, turns = ground.size.away_s, min(int(SIMULATED_S * SIMULATED_RATE), ground.size.turns)
    system = System(ground.folder, ground.database_url, lease_options(ground))
    async with opened(system, recorder_seed=ground.seed):
        assert system.recorder
        await system.recorder.told(away=True)
        crowd, began = _at_rate(system, ground, turns), time.monotonic()
        await crowd.speak()
        waiting = (await system.status())["pending"]
        posted_s = time.monotonic() - began
        await asyncio.sleep(away_s - posted_s)
        await system.recorder.told(away=False)
        drained_s = await system.drained(drain_s(ground))
    errors = sum(crowd.answers.values()) - crowd.answers[202]
    p99_ms = 1_000 * percentile(crowd.times, 0.99)
    happened = {
        "waited": waiting,
        "posted in s": round(posted_s),
        "errors": errors,
        "drained s": round(drained_s, 1),
        "p99 ms": round(p99_ms),
    }
    bars = [
        at_least("memory away: turns that waited for it", waiting, turns),
        Bar("memory away: posts of browsers that were not answered 202, 0", str(errors), errors == 0),
        Bar(
            f"memory away: drained within {DRAINED_S:g} s of its return",
            f"{drained_s:.1f} s",
            drained_s <= DRAINED_S,
        ),
    ]
    return Outcome(check(crowd.history, system.remembered()), happened, bars)


def _at_rate(system: System, ground: Ground, turns: int) -> Crowd:
    """Browsers that together post so many turns, spread over the time away."""
    history = History()
    return crowd_of(
        system,
        ground,
        "away",
        history=history,
        enough=lambda: len(history.acked) >= turns,
        pause_s=CONNECTIONS * PARCEL * ground.size.away_s / turns,
        deaf=0.0,
    )
