"""Where things are in Zep Cloud, kept beside the outbox in PostgreSQL: for replicas without a disk."""

from __future__ import annotations

from collections.abc import Sequence

from enrichment.memory.addresses import Address
from enrichment.outbox.postgres_connections import Connection, Connections

GET = "SELECT value FROM memory_address WHERE key = %s"
KEEP = """
INSERT INTO memory_address (key, value, kept_at) VALUES (%s, %s, extract(epoch FROM clock_timestamp()))
ON CONFLICT DO NOTHING
"""
UNDER = "SELECT key, value, kept_at FROM memory_address WHERE starts_with(key, %s)"
FORGET = "DELETE FROM memory_address WHERE key = %s"
FORGET_UNDER = "DELETE FROM memory_address WHERE starts_with(key, %s)"


class PostgresAddresses:
    """`Addresses` in the outbox's database. `open` before use."""

    def __init__(self, url: str) -> None:
        self._connections = Connections(url)

    async def open(self) -> None:
        """Raises `StorageFailed` when it cannot."""
        await self._connections.open()

    async def get(self, key: str) -> str | None:
        return await self._connections.run(lambda db: _value(db, key))

    async def keep(self, key: str, value: str) -> str:
        async def write(db: Connection) -> str:
            await db.execute(KEEP, (key, value))
            return await _value(db, key) or value

        return await self._connections.run(write)

    async def under(self, prefix: str) -> Sequence[Address]:
        async def read(db: Connection) -> list[Address]:
            return [Address(*row) for row in await (await db.execute(UNDER, (prefix,))).fetchall()]

        return await self._connections.run(read)

    async def forget(self, key: str) -> None:
        await self._connections.run(lambda db: db.execute(FORGET, (key,)))

    async def forget_under(self, prefix: str) -> None:
        await self._connections.run(lambda db: db.execute(FORGET_UNDER, (prefix,)))

    async def close(self) -> None:
        await self._connections.close()


async def _value(db: Connection, key: str) -> str | None:
    row = await (await db.execute(GET, (key,))).fetchone()
    return None if row is None else str(row[0])
