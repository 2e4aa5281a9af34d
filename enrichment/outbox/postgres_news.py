"""News between replicas: whoever accepts a turn wakes the deliverers of all.

Only a hint. A deliverer looks by itself every few seconds, so news that is lost costs those and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import psycopg
import structlog

from enrichment.outbox.postgres_connections import RUN_S, Connection, NotDurable, described

NOTIFY = "SELECT pg_notify('voicelive_outbox', '')"
LISTEN = "LISTEN voicelive_outbox"
SILENCE_S = 30.0  # after so long without news the connection is asked whether it still lives
LONGEST_PAUSE_S = 30.0

log = structlog.get_logger(__name__)


async def listen(connect: Callable[[], Awaitable[Connection]], wake: Callable[[], None]) -> None:
    """Calls ``wake`` at all news, until cancelled; a connection that is lost is made again."""
    pause_s = 1.0
    while True:
        try:
            async with asyncio.timeout(RUN_S):
                connection = await connect()
            async with connection:
                pause_s = 1.0
                await _hear(connection, wake)
        except (psycopg.Error, TimeoutError, NotDurable) as exc:
            log.warning("outbox.deaf", error=described(exc), delay_s=pause_s)
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


async def _hear(connection: Connection, wake: Callable[[], None]) -> None:
    """Until the connection breaks, which raises."""
    async with asyncio.timeout(RUN_S):
        await connection.execute(LISTEN)
    wake()  # whatever happened while nobody listened
    while True:
        async with aclosing(connection.notifies(timeout=SILENCE_S)) as news:
            async for _ in news:
                wake()
        async with asyncio.timeout(RUN_S):
            await connection.execute("")
