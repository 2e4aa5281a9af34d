"""Connections to the outbox's database: checked before use, with a deadline and one kind of error.

An error tells its class and SQLSTATE and nothing else: PostgreSQL quotes whole rows in some of its own.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from enrichment.outbox.port import StorageFailed
from enrichment.outbox.postgres_schema import migrate

RUN_S = 5.0
CLOSE_S = 12.0
START_S = 30.0  # another replica may be migrating
MOST_CONNECTIONS = 10

# A request asks for a connection itself, so the pool need not go on trying in ever longer intervals.
RECONNECT_S = 2.0

# No statement_timeout: it would also end the wait of a COMMIT for a standby, and call that a success.
SESSION = "SET lock_timeout = 4000; SET idle_in_transaction_session_timeout = 10000"
OPTIONS: dict[str, Any] = {
    "autocommit": True,
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
DURABLE = frozenset({"on", "remote_apply"})

# When a statement takes place: by the database's clock, as those of replicas differ; a test gives its own.
NOW = "coalesce(%(now)s::float8, extract(epoch FROM clock_timestamp())::float8)"

Connection = AsyncConnection[TupleRow]
Result = TypeVar("Result")


class NotDurable(RuntimeError):
    """The database answers a COMMIT before it is on disk: nothing could be promised."""


class Connections:
    """Up to ten connections to ``url``. `open` before use."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._under_way: set[asyncio.Task[Any]] = set()
        self._pool = AsyncConnectionPool(
            url,
            kwargs=OPTIONS,
            min_size=2,
            max_size=MOST_CONNECTIONS,
            open=False,
            configure=prepare,
            check=check,
            timeout=RUN_S,
            reconnect_timeout=RECONNECT_S,
        )

    async def open(self) -> None:
        """Connects and updates the schema. Raises `StorageFailed`, `NotDurable` or `SchemaTooNew`."""
        try:
            async with asyncio.timeout(START_S), await self.connect() as connection:
                await connection.execute("SET lock_timeout = 0")
                await migrate(connection)
        except (psycopg.Error, TimeoutError) as exc:
            raise StorageFailed(described(exc)) from None
        await self._pool.open()

    async def connect(self) -> Connection:
        """One beside the pool, for whoever keeps it long."""
        connection = await AsyncConnection.connect(self._url, **OPTIONS)
        try:
            await prepare(connection)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def run(
        self, work: Callable[[Connection], Awaitable[Result]], *, within_s: float = RUN_S
    ) -> Result:
        """What ``work`` returns, in a transaction of its own, once that is durable.

        Raises what it raised, `StorageFailed` when the database failed or took too long. The transaction may
        then have been committed all the same; whoever repeats the work brings the same ids.
        """

        async def in_transaction(connection: Connection) -> Result:
            async with connection.transaction():
                return await work(connection)

        return await self.run_alone(in_transaction, within_s=within_s)

    async def run_alone(
        self, work: Callable[[Connection], Awaitable[Result]], *, within_s: float = RUN_S
    ) -> Result:
        """The same, but each statement is a transaction: without the round trips of BEGIN and COMMIT.

        Whoever waits is told in time. What is left of the work may take longer: psycopg asks a database that
        hangs to cancel, for up to ten seconds.
        """
        task = asyncio.create_task(self._carry_out(work), name="outbox work")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.shield(task)
        except TimeoutError:
            raise StorageFailed("the database takes too long") from None
        finally:
            task.cancel()

    async def _carry_out(self, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        try:
            async with self._pool.connection() as connection:
                return await work(connection)
        except (psycopg.Error, UnicodeError) as exc:
            raise StorageFailed(described(exc)) from None

    async def close(self) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=CLOSE_S)
        await self._pool.close(timeout=RUN_S)


async def prepare(connection: Connection) -> None:
    """Set what every session of ours needs; refuse one whose commits are not on disk."""
    await connection.execute(SESSION)
    row = await (await connection.execute("SHOW synchronous_commit")).fetchone()
    if row is None or row[0] not in DURABLE:
        raise NotDurable("synchronous_commit must be on for the outbox's database and role")


async def check(connection: Connection) -> None:
    """Raises when the other end is gone. At rest there is nothing to read, so most need not be asked."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        await AsyncConnectionPool.check_connection(connection)


def described(exc: BaseException) -> str:
    """The class of an error and its SQLSTATE, never its text."""
    sqlstate = getattr(exc, "sqlstate", None)
    return f"{type(exc).__name__} {sqlstate}" if sqlstate else type(exc).__name__
