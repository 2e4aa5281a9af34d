"""Looking into the embedded outbox beside the process that owns it.

Readers of a WAL file on a local disk are safe across processes (https://sqlite.org/wal.html, checked
2026-11-20), as long as they write nothing: this connection cannot.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol

import apsw

from enrichment.database import refuse_old_sqlite
from enrichment.disk import refuse_network_share
from enrichment.outbox import sqlite_erasure, sqlite_operating
from enrichment.outbox.port import Depth, Entry, Line, Order, StorageFailed
from enrichment.outbox.sqlite import DEPTH, UNDELIVERED
from enrichment.outbox.sqlite_schema import STEPS
from enrichment.turn_rows import turn_of
from enrichment.turns import Turn

BUSY_MS = 5_000


class Readable(Protocol):
    """The part of an `Outbox` that changes nothing."""

    async def depth(self) -> Depth: ...

    async def orders(self) -> Sequence[Order]: ...

    async def lines(self, *, state: str | None, limit: int, after: str = "") -> Sequence[Line]: ...

    async def entries(self, session_id: str) -> Sequence[Entry]: ...

    async def pending(self, person: str, session_id: str) -> Sequence[Turn]: ...


class SqliteReader:
    """A `Readable` in ``path``. Raises RuntimeError for a file of another version.

    Its work is done in the caller's thread: there is nobody else in the process who waits.
    """

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        refuse_network_share(path)
        self.db = open_read_only(path)
        self._now = now
        version = int(self.db.execute("PRAGMA user_version").get)
        if version != len(STEPS):
            self.db.close()
            raise RuntimeError("the outbox is of another version than this program; start the service once")

    def __enter__(self) -> SqliteReader:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.db.close()

    async def depth(self) -> Depth:
        with _told():
            pending, parked, oldest_at = self.db.execute(DEPTH).get
        return Depth(pending, parked, 0.0 if oldest_at is None else self._now() - oldest_at)

    async def orders(self) -> Sequence[Order]:
        with _told():
            return sqlite_erasure.orders(self.db, self._now())

    async def lines(self, *, state: str | None, limit: int, after: str = "") -> Sequence[Line]:
        with _told():
            return sqlite_operating.lines(self.db, state, limit, after)

    async def entries(self, session_id: str) -> Sequence[Entry]:
        with _told():
            return sqlite_operating.entries(self.db, session_id)

    async def pending(self, person: str, session_id: str) -> Sequence[Turn]:
        with _told():
            return [turn_of(row) for row in self.db.execute(UNDELIVERED, (session_id, person))]


def open_read_only(path: Path) -> apsw.Connection:
    """A connection that can write nothing."""
    refuse_old_sqlite()
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(BUSY_MS)
    return connection


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except apsw.Error as exc:
        raise StorageFailed(f"the file cannot be read ({type(exc).__name__})") from exc
