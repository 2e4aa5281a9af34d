"""Where somebody else keeps what is ours: the ids that a backend made, by keys that we can make again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import apsw

from enrichment.database import Database, versioned

SCHEMA = """
CREATE TABLE IF NOT EXISTS address (
    key     TEXT PRIMARY KEY,
    value   TEXT NOT NULL,
    kept_at REAL NOT NULL   -- Unix seconds
) STRICT;
"""
GET = "SELECT value FROM address WHERE key = ?"
KEEP = "INSERT INTO address (key, value, kept_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
# A range and not LIKE: an underscore in a key is no wildcard, and the primary key is the index.
UNDER = "key >= ?1 AND key < ?1 || char(1114111)"
LIST = f"SELECT key, value, kept_at FROM address WHERE {UNDER}"
FORGET = "DELETE FROM address WHERE key = ?"
FORGET_UNDER = f"DELETE FROM address WHERE {UNDER}"


@dataclass(frozen=True, slots=True)
class Address:
    """What is kept under a key, and since when (Unix seconds)."""

    key: str
    value: str
    kept_at: float


class Addresses(Protocol):
    """Durable: who loses these can neither read nor erase what they point at.

    Raises `StorageFailed` when it is not known whether something is kept.
    """

    async def get(self, key: str) -> str | None: ...

    async def keep(self, key: str, value: str) -> str:
        """What is kept under ``key`` from now on: of several replicas' values the one that came first."""
        ...

    async def under(self, prefix: str) -> Sequence[Address]:
        """Everything whose key begins with ``prefix``, in no order."""
        ...

    async def forget(self, key: str) -> None:
        """Also when there is none."""
        ...

    async def forget_under(self, prefix: str) -> None: ...

    async def close(self) -> None: ...


class SqliteAddresses:
    """`Addresses` in one SQLite file, for one process that owns a local disk."""

    def __init__(self, path: Path, *, now: Callable[[], float] = time.time) -> None:
        self._database = Database(path, versioned(SCHEMA))
        self._now = now

    async def get(self, key: str) -> str | None:
        return await self._database.run(lambda db: _value(db, key))

    async def keep(self, key: str, value: str) -> str:
        def write(db: apsw.Connection) -> str:
            db.execute(KEEP, (key, value, self._now()))
            return _value(db, key) or value

        return await self._database.run(write)

    async def under(self, prefix: str) -> Sequence[Address]:
        rows = await self._database.run(lambda db: db.execute(LIST, (prefix,)).fetchall())
        return [Address(str(key), str(value), float(str(kept_at))) for key, value, kept_at in rows]

    async def forget(self, key: str) -> None:
        await self._database.run(lambda db: db.execute(FORGET, (key,)).fetchall())

    async def forget_under(self, prefix: str) -> None:
        await self._database.run(lambda db: db.execute(FORGET_UNDER, (prefix,)).fetchall())

    async def close(self) -> None:
        await self._database.close()


def _value(db: apsw.Connection, key: str) -> str | None:
    row = db.execute(GET, (key,)).fetchone()
    return None if row is None else str(row[0])
