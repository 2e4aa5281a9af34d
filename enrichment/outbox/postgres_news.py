"""News between replicas: whoever accepts a turn wakes the deliverers of all; whoever erased says for whom.

Only a hint. A deliverer looks by itself every few seconds, and what was read about a person is kept for a
minute at most, so news that is lost costs those and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import psycopg
import structlog

from enrichment.outbox.postgres_connections import RUN_S, Connection, NotDurable, described
from enrichment.pseudonym import hashed

NOTIFY = "SELECT pg_notify('voicelive_outbox', '')"
LISTEN = "LISTEN voicelive_outbox"
SILENCE_S = 30.0  # after so long without news the connection is asked whether it still lives
LONGEST_PAUSE_S = 30.0

log = structlog.get_logger(__name__)


CHANGED = "SELECT pg_notify('voicelive_outbox', %s)"


async def changed(connection: Connection, person: str) -> None:
    """Tell all replicas that memory has forgotten something of the person."""
    await connection.execute(CHANGED, (hashed(person),))


async def listen(
    connect: Callable[[], Awaitable[Connection]],
    wake: Callable[[], None],
    forgotten: Callable[[str | None], None],
) -> None:
    """Calls ``wake`` at all news, and ``forgotten`` with the hash of a person; until cancelled.

    A connection that is lost is made again; then both are called, the latter with None: what happened
    meanwhile, and to whom, nobody knows.
    """
    pause_s = 1.0
    while True:
        try:
            async with asyncio.timeout(RUN_S):
                connection = await connect()
            async with connection:
                pause_s = 1.0
                await _hear(connection, wake, forgotten)
        except (psycopg.Error, TimeoutError, NotDurable) as exc:
            log.warning("outbox.deaf", error=described(exc), delay_s=pause_s)
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


async def _hear(
    connection: Connection, wake: Callable[[], None], forgotten: Callable[[str | None], None]
) -> None:
    """Until the connection breaks, which raises."""
    async with asyncio.timeout(RUN_S):
        await connection.execute(LISTEN)
    wake()
    forgotten(None)
    while True:
        async with aclosing(connection.notifies(timeout=SILENCE_S)) as news:
            async for one in news:
                if one.payload:
                    forgotten(one.payload)
                else:
                    wake()
        async with asyncio.timeout(RUN_S):
            await connection.execute("")
