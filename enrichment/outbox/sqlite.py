"""The outbox in one SQLite file: for one process that owns a local disk.

Not for a network share, where SQLite's locks do not hold, nor for a container whose disk dies with it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import apsw

from enrichment.database import Database, versioned
from enrichment.disk import Room
from enrichment.outbox import sqlite_delivery, sqlite_erasure, sqlite_operating
from enrichment.outbox.port import (
    Accepted,
    Claim,
    Depth,
    Emptied,
    Entry,
    Erased,
    ForeignSession,
    Line,
    Order,
    Revoked,
    StorageFailed,
)
from enrichment.outbox.sqlite_schema import STEPS, TABLES, person_key, session_key
from enrichment.pseudonym import hashed
from enrichment.turn_rows import COLUMNS, turn_of, values
from enrichment.turns import Turn

# Few statements: each lets go of the interpreter, and the thread that answers HTTP takes it.
STANDING = """
SELECT (SELECT person FROM session WHERE session_id = ?), (SELECT person FROM tombstone WHERE key = ?),
       (SELECT erased_at FROM tombstone WHERE key = ?), (SELECT revoked_at FROM revocation WHERE person = ?)
"""
# Leases are numbered from the clock: a session that expired and began again is fenced from the old one too.
OWN = "INSERT INTO session (session_id, person, lease) VALUES (?, ?, ?)"
KNOWN = "SELECT fingerprint FROM turn WHERE session_id = ? AND turn_id = ?"
ADD = f"""
INSERT INTO turn (session_id, {COLUMNS}, fingerprint, accepted_at, traceparent)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (session_id, turn_id) DO NOTHING
"""
# A session that only waited for a missing turn is due at once: this may be that turn.
DUE = """
UPDATE session SET written_at = :now, due_at = CASE
    WHEN due_at IS NULL OR leased_until IS NULL AND attempts = 0 THEN min(coalesce(due_at, :now), :now)
    ELSE due_at END
WHERE session_id = :session_id
"""
UNDELIVERED = f"""
SELECT {COLUMNS} FROM turn JOIN session USING (session_id)
WHERE session_id = ? AND person = ? AND state <> 'delivered' AND text IS NOT NULL ORDER BY seq
"""
UNDELIVERED_SESSIONS = """
SELECT DISTINCT session_id FROM turn JOIN session USING (session_id)
WHERE person = ? AND state <> 'delivered' AND text IS NOT NULL
"""
NEXT_DUE = """
SELECT min(due_at) FROM session WHERE due_at IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM erasure WHERE erasure.person = session.person
    AND erasure.session_id IN ('', session.session_id))
"""
DEPTH = """
SELECT count(*) FILTER (WHERE state = 'pending'), count(*) FILTER (WHERE state = 'parked'),
       min(accepted_at) FILTER (WHERE state = 'pending')
FROM turn WHERE state <> 'delivered'
"""


class SqliteOutbox:
    """An `Outbox` in ``path``. ``now`` gives Unix seconds."""

    def __init__(self, path: Path, *, now: Callable[[], float] = time.time, ballast_bytes: int = 0) -> None:
        self._database = Database(path, versioned(TABLES, STEPS), alone=True)
        self._now = now
        self._revoked: Mapping[str, float] | None = None  # as the file has it, which is ours alone
        self.room = Room(path, ballast_bytes, now=now)
        self.room.keep_ballast()

    async def accept(
        self, person: str, session_id: str, turns: Sequence[Turn], *, granted_at: float | None = None
    ) -> Accepted:
        if self.room.is_short():
            raise StorageFailed("the disk is nearly full")

        def work(db: apsw.Connection) -> Accepted:
            now = self._now()
            _own(db, person, session_id, granted_at, now)
            return _add(db, session_id, turns, now)

        return await self._database.run(work)

    async def claim(self) -> Claim | None:
        now = self._now()
        return await self._database.run(lambda db: sqlite_delivery.claim(db, now))

    async def delivered(self, claim: Claim) -> bool:
        now = self._now()
        return await self._database.run(lambda db: sqlite_delivery.delivered(db, claim, now))

    async def postpone(self, claim: Claim, *, delay_s: float, reason: str) -> None:
        due_at = self._now() + delay_s
        await self._database.run(lambda db: sqlite_delivery.postpone(db, claim, due_at, reason))

    async def park(self, claim: Claim, turn_id: str, *, reason: str) -> None:
        now = self._now()
        await self._database.run(lambda db: sqlite_delivery.park(db, claim, turn_id, reason, now))

    async def pending(self, person: str, session_id: str) -> Sequence[Turn]:
        return await self._database.run(
            lambda db: [turn_of(row) for row in db.execute(UNDELIVERED, (session_id, person))]
        )

    async def pending_sessions(self, person: str) -> Sequence[str]:
        return await self._database.run(
            lambda db: [str(row[0]) for row in db.execute(UNDELIVERED_SESSIONS, (person,))]
        )

    async def next_due_s(self) -> float | None:
        due_at = await self._database.run(lambda db: db.execute(NEXT_DUE).get)
        return None if due_at is None else max(0.0, due_at - self._now())

    async def depth(self) -> Depth:
        pending, parked, oldest_at = await self._database.run(lambda db: db.execute(DEPTH).get)
        return Depth(pending, parked, 0.0 if oldest_at is None else self._now() - oldest_at)

    async def erase_session(self, person: str, session_id: str) -> Emptied:
        now = self._now()
        return await self._database.run(
            lambda db: sqlite_erasure.session(db, person, session_id, now), erases=True
        )

    async def erase_person(self, person: str) -> Emptied:
        now = self._now()
        return await self._database.run(lambda db: sqlite_erasure.person(db, person, now), erases=True)

    async def revoke(self, person: str) -> float:
        now = self._now()
        try:
            return await self._database.run(lambda db: sqlite_erasure.revoke(db, person, now))
        finally:
            self._revoked = None

    async def is_revoked(self, person: str, granted_at: float) -> bool:
        if self._revoked is None:
            self._revoked = await self._database.run(sqlite_erasure.revocations)
        return granted_at <= self._revoked.get(hashed(person), -math.inf)

    async def orders(self) -> Sequence[Order]:
        return await self._database.run(lambda db: sqlite_erasure.orders(db, self._now()))

    async def confirm(self, person: str, session_id: str | None) -> None:
        await self._database.run(lambda db: sqlite_erasure.confirm(db, person, session_id))

    async def expire(self, keep_s: float, limit: int) -> int:
        before = self._now() - keep_s
        return await self._database.run(lambda db: sqlite_erasure.expire(db, before, limit), erases=True)

    async def expire_tombstones(self, keep_s: float) -> int:
        before = self._now() - keep_s
        return await self._database.run(lambda db: sqlite_erasure.expire_tombstones(db, before))

    async def lines(self, *, state: str | None, limit: int, after: str = "") -> Sequence[Line]:
        return await self._database.run(lambda db: sqlite_operating.lines(db, state, limit, after))

    async def entries(self, session_id: str) -> Sequence[Entry]:
        return await self._database.run(lambda db: sqlite_operating.entries(db, session_id))

    async def replay(self, session_id: str) -> int:
        now = self._now()
        return await self._database.run(lambda db: sqlite_operating.replay(db, session_id, now))

    async def drop(self, session_id: str, turn_id: str, *, reason: str) -> bool:
        return await self._database.run(lambda db: sqlite_operating.drop(db, session_id, turn_id, reason))

    def is_serving(self) -> bool:
        return self._database.is_serving()

    async def close(self) -> None:
        await self._database.close()


def _own(db: apsw.Connection, person: str, session_id: str, granted_at: float | None, now: float) -> None:
    """Make sure that the session is the person's, and what was erased or revoked stays so.

    Raises `ForeignSession`, `Erased` or `Revoked`.
    """
    keys = (session_id, session_key(session_id), person_key(person), hashed(person))
    owner, buried, erased_at, revoked_at = db.execute(STANDING, keys).get
    if erased_at is not None and granted_at is not None and granted_at <= erased_at:
        raise Erased  # also of what was revoked: who gets a new grant must not bring back what was erased
    if revoked_at is not None and granted_at is not None and granted_at <= revoked_at:
        raise Revoked
    if buried is not None:
        raise Erased if buried == hashed(person) else ForeignSession(session_id)
    if owner is None:
        db.execute(OWN, (session_id, person, int(now * 1000)))
    elif owner != person:
        raise ForeignSession(session_id)


def _add(db: apsw.Connection, session_id: str, turns: Sequence[Turn], now: float) -> Accepted:
    accepted: list[str] = []
    duplicate: list[str] = []
    conflicting: list[str] = []
    for turn in turns:
        fingerprint = turn.fingerprint()
        db.execute(ADD, (session_id, *values(turn), fingerprint, now, turn.traceparent))
        if db.changes():
            accepted.append(turn.turn_id)
            continue
        known = db.execute(KNOWN, (session_id, turn.turn_id)).get
        (duplicate if known == fingerprint else conflicting).append(turn.turn_id)
    if accepted:
        db.execute(DUE, {"now": now, "session_id": session_id})
    return Accepted(accepted, duplicate, conflicting)
