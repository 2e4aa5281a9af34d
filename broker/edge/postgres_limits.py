"""Limits that replicas share, in PostgreSQL: one row a subject, locked while it is judged.

The arithmetic is the one of `broker.edge.limit_rules`; the database keeps the states and the time. What is
kept names nobody: a subject is hashed. A commit waits for no disk, since a crash may forget a few mints.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from broker.edge.limits import State, StoreAway, TooMany

ANSWER_S = 0.05  # what a mint waits at most; then this process decides alone
PATIENCE = 3  # so many answers in a row that did not come
REST_S = 5.0  # and it goes on alone for so long before it asks again
CLOSE_S = 2.0
FORGET_S = 2 * 86_400  # no rule looks further back than a day
TIDY_S = 3_600.0

MAKE = """
SELECT pg_advisory_xact_lock(7206201);
CREATE TABLE IF NOT EXISTS voicelive_limits (
  subject bytea PRIMARY KEY, state jsonb NOT NULL, seen_at float8 NOT NULL
)
"""
# ON CONFLICT locks each row, in the order of the subjects, until the transaction ends; what is returned, the
# time included, is from then.
LOCK = """
INSERT INTO voicelive_limits AS kept (subject, state, seen_at)
SELECT subject, '{}', extract(epoch FROM clock_timestamp()) FROM unnest(%(subjects)s::bytea[]) AS subject
ON CONFLICT (subject) DO UPDATE SET seen_at = excluded.seen_at
RETURNING subject, state, coalesce(%(now)s::float8, extract(epoch FROM clock_timestamp())::float8)
"""
KEEP = """
UPDATE voicelive_limits AS kept SET state = new.state
FROM unnest(%(subjects)s::bytea[], %(states)s::jsonb[]) AS new (subject, state)
WHERE kept.subject = new.subject
"""
TIDIED = 1_000  # rows at once; nobody who is asking just now is waited for
TIDY = """
DELETE FROM voicelive_limits WHERE subject IN (
    SELECT subject FROM voicelive_limits WHERE seen_at < extract(epoch FROM clock_timestamp()) - %s
    LIMIT %s FOR UPDATE SKIP LOCKED)
"""

Connection = AsyncConnection[TupleRow]
Work = Callable[[dict[str, State], int], list[int]]

log = structlog.get_logger(__name__)


class PostgresLimits:
    """States in a table of the database at ``url``. `open` waits for nothing: a mint needs no database.

    ``now`` (Unix seconds) is a test's; without it the database's clock counts, which replicas have in common.
    """

    def __init__(
        self,
        url: str,
        *,
        now: Callable[[], float] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._now = now
        self._monotonic = monotonic
        self._answer_s = answer_s
        self._failures = 0
        self._resting_until = 0.0
        self._tidy_at = 0.0
        self._under_way: set[asyncio.Task[Any]] = set()
        self._pool = AsyncConnectionPool(
            url,
            kwargs={"autocommit": True, "connect_timeout": 5},
            min_size=1,
            max_size=4,
            open=False,
            configure=_prepare,
            timeout=answer_s,
            reconnect_timeout=2.0,
        )

    async def open(self) -> None:
        await self._pool.open(wait=False)

    async def close(self) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=CLOSE_S)
        await self._pool.close(timeout=CLOSE_S)

    async def change(self, subjects: Sequence[str], work: Work) -> list[int]:
        """As `Shared.change`. Raises `StoreAway` after 50 ms; after three times, for 5 s, at once."""
        if self._monotonic() < self._resting_until:
            raise StoreAway
        task = asyncio.create_task(self._change(subjects, work), name="limits")
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        try:
            # psycopg asks a database that hangs to cancel, for seconds: nobody here waits for that.
            async with asyncio.timeout(self._answer_s):
                taken = await asyncio.shield(task)
        except (TimeoutError, psycopg.Error) as exc:
            self._failed(type(exc).__name__)
            raise StoreAway from exc
        except TooMany:
            self._failures = 0  # that was an answer
            raise
        else:
            self._failures = 0
            self._tidy_when_due()
            return taken
        finally:
            task.cancel()

    def _failed(self, error: str) -> None:
        self._failures += 1
        if self._failures >= PATIENCE:
            self._resting_until = self._monotonic() + REST_S
        log.warning("limits.alone", error=error)

    async def _change(self, subjects: Sequence[str], work: Work) -> list[int]:
        hashed = {_hashed(subject): subject for subject in subjects}
        async with self._pool.connection() as connection, connection.transaction():
            keys = sorted(hashed)
            now = self._now() if self._now else None
            locked = await (await connection.execute(LOCK, {"subjects": keys, "now": now})).fetchall()
            states = {hashed[bytes(key)]: state for key, state, _ in locked}
            taken = work(states, round(max(seconds for *_, seconds in locked) * 1000))
            kept = [Jsonb(states[hashed[key]]) for key in keys]
            await connection.execute(KEEP, {"subjects": keys, "states": kept})
        return taken

    def _tidy_when_due(self) -> None:
        """Once an hour; beside the mint, which waits no longer for it than for anything."""
        if self._monotonic() >= self._tidy_at:
            self._tidy_at = self._monotonic() + TIDY_S
            tidying = asyncio.create_task(self._tidy(), name="tidy limits")
            self._under_way.add(tidying)
            tidying.add_done_callback(self._ended)

    async def _tidy(self) -> None:
        """What nobody has asked about for two days goes."""
        try:
            count = TIDIED
            while count == TIDIED:
                async with self._pool.connection(timeout=CLOSE_S) as connection:
                    count = (await connection.execute(TIDY, [FORGET_S, TIDIED])).rowcount
        except psycopg.Error as exc:
            log.warning("limits.untidy", error=type(exc).__name__)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # whoever still waited has it


def _hashed(subject: str) -> bytes:
    return hashlib.blake2b(subject.encode(), digest_size=16).digest()


async def _prepare(connection: Connection) -> None:
    """Every session waits for no disk; the first one makes the table."""
    await connection.execute("SET synchronous_commit = off; SET lock_timeout = 1000")
    async with connection.transaction():
        await connection.execute(MAKE)
