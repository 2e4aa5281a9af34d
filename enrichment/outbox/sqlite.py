"""The outbox in one SQLite file: for one process that owns a local disk.

Not for a network share, where SQLite's locks do not hold, nor for a container whose disk dies with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import apsw

from enrichment.database import Database
from enrichment.outbox.port import Accepted, Claim, Depth, ForeignSession
from enrichment.turn_rows import COLUMNS, DEFINITIONS, turn_of, values
from enrichment.turns import Turn

LEASE_S = 30.0
CLAIM_TURNS = 30

SCHEMA = f"""
CREATE TABLE IF NOT EXISTS session (
    session_id TEXT PRIMARY KEY,
    person     TEXT NOT NULL,
    due_at     REAL,                        -- Unix seconds; NULL: nothing pending; also the end of a lease
    lease      INTEGER NOT NULL DEFAULT 0,
    attempts   INTEGER NOT NULL DEFAULT 0,
    last_error TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS session_due ON session (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS session_of ON session (person);
CREATE TABLE IF NOT EXISTS turn (
    seq              INTEGER PRIMARY KEY,   -- order of arrival
    session_id       TEXT NOT NULL REFERENCES session,
    {DEFINITIONS},                          -- text is NULL once delivered
    fingerprint      BLOB NOT NULL,
    state            TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'parked')),
    accepted_at      REAL NOT NULL,         -- Unix seconds
    reason           TEXT,                  -- why it was parked
    UNIQUE (session_id, turn_id)
) STRICT;
CREATE INDEX IF NOT EXISTS turn_pending ON turn (session_id, seq) WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS turn_waiting ON turn (accepted_at) WHERE state <> 'delivered';
"""
OWN = "INSERT INTO session (session_id, person) VALUES (?, ?) ON CONFLICT DO NOTHING"
OWNER = "SELECT person FROM session WHERE session_id = ?"
KNOWN = "SELECT fingerprint FROM turn WHERE session_id = ? AND turn_id = ?"
ADD = f"""
INSERT INTO turn (session_id, {COLUMNS}, fingerprint, accepted_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
DUE = "UPDATE session SET due_at = coalesce(due_at, ?) WHERE session_id = ?"
LEASE = """
UPDATE session SET due_at = :now + :lease_s, lease = lease + 1
WHERE session_id = (SELECT session_id FROM session WHERE due_at <= :now ORDER BY due_at LIMIT 1)
RETURNING session_id, person, lease, attempts
"""
OLDEST = f"SELECT {COLUMNS} FROM turn WHERE session_id = ? AND state = 'pending' ORDER BY seq LIMIT ?"
HELD = "SELECT 1 FROM session WHERE session_id = ? AND lease = ?"
DELIVERED = """
UPDATE turn SET state = 'delivered', text = NULL WHERE session_id = ? AND turn_id = ? AND state = 'pending'
"""
SETTLE = """
UPDATE session SET attempts = 0, last_error = :error, due_at = CASE
    WHEN EXISTS (SELECT 1 FROM turn WHERE session_id = :session_id AND state = 'pending') THEN :now END
WHERE session_id = :session_id
"""
POSTPONE = "UPDATE session SET due_at = ?, attempts = attempts + 1, last_error = ? WHERE session_id = ?"
PARK = "UPDATE turn SET state = 'parked', reason = ? WHERE session_id = ? AND turn_id = ?"
WAITING = f"""
SELECT {COLUMNS} FROM turn JOIN session USING (session_id)
WHERE session_id = ? AND person = ? AND state <> 'delivered' ORDER BY seq
"""
WAITING_SESSIONS = """
SELECT DISTINCT session_id FROM turn JOIN session USING (session_id) WHERE person = ? AND state <> 'delivered'
"""
NEXT_DUE = "SELECT min(due_at) FROM session WHERE due_at IS NOT NULL"
DEPTH = """
SELECT count(*) FILTER (WHERE state = 'pending'), count(*) FILTER (WHERE state = 'parked'),
       min(accepted_at) FILTER (WHERE state = 'pending')
FROM turn WHERE state <> 'delivered'
"""


class SqliteOutbox:
    """An `Outbox` in ``path``. ``now`` gives Unix seconds."""

    def __init__(self, path: Path, *, now: Callable[[], float] = time.time) -> None:
        self._database = Database(path, SCHEMA)
        self._now = now

    async def accept(self, person: str, session_id: str, turns: Sequence[Turn]) -> Accepted:
        return await self._database.run(lambda db: self._accept(db, person, session_id, turns))

    def _accept(self, db: apsw.Connection, person: str, session_id: str, turns: Sequence[Turn]) -> Accepted:
        db.execute(OWN, (session_id, person))
        if db.execute(OWNER, (session_id,)).get != person:
            raise ForeignSession(session_id)
        accepted: list[str] = []
        duplicate: list[str] = []
        conflicting: list[str] = []
        for turn in turns:
            known = db.execute(KNOWN, (session_id, turn.turn_id)).get
            if known is None:
                db.execute(ADD, (session_id, *values(turn), turn.fingerprint(), self._now()))
                accepted.append(turn.turn_id)
            else:
                (duplicate if known == turn.fingerprint() else conflicting).append(turn.turn_id)
        if accepted:
            db.execute(DUE, (self._now(), session_id))
        return Accepted(accepted, duplicate, conflicting)

    async def claim(self) -> Claim | None:
        return await self._database.run(self._claim)

    def _claim(self, db: apsw.Connection) -> Claim | None:
        row = db.execute(LEASE, {"now": self._now(), "lease_s": LEASE_S}).fetchone()
        if row is None:
            return None
        session_id, person, lease, attempts = row
        turns = [turn_of(row) for row in db.execute(OLDEST, (session_id, CLAIM_TURNS))]
        return Claim(person, session_id, turns, lease, attempts)

    async def delivered(self, claim: Claim) -> None:
        def settle(db: apsw.Connection) -> None:
            if _held(db, claim):
                db.executemany(DELIVERED, [(claim.session_id, turn.turn_id) for turn in claim.turns])
                db.execute(SETTLE, {"session_id": claim.session_id, "now": self._now(), "error": None})

        await self._database.run(settle)

    async def postpone(self, claim: Claim, *, delay_s: float, reason: str) -> None:
        def settle(db: apsw.Connection) -> None:
            if _held(db, claim):
                db.execute(POSTPONE, (self._now() + delay_s, reason, claim.session_id))

        await self._database.run(settle)

    async def park(self, claim: Claim, turn_id: str, *, reason: str) -> None:
        def settle(db: apsw.Connection) -> None:
            if _held(db, claim):
                db.execute(PARK, (reason, claim.session_id, turn_id))
                db.execute(SETTLE, {"session_id": claim.session_id, "now": self._now(), "error": reason})

        await self._database.run(settle)

    async def pending(self, person: str, session_id: str) -> Sequence[Turn]:
        return await self._database.run(
            lambda db: [turn_of(row) for row in db.execute(WAITING, (session_id, person))]
        )

    async def pending_sessions(self, person: str) -> Sequence[str]:
        return await self._database.run(
            lambda db: [str(row[0]) for row in db.execute(WAITING_SESSIONS, (person,))]
        )

    async def next_due_s(self) -> float | None:
        due_at = await self._database.run(lambda db: db.execute(NEXT_DUE).get)
        return None if due_at is None else max(0.0, due_at - self._now())

    async def depth(self) -> Depth:
        pending, parked, oldest_at = await self._database.run(lambda db: db.execute(DEPTH).get)
        return Depth(pending, parked, 0.0 if oldest_at is None else self._now() - oldest_at)

    def is_serving(self) -> bool:
        return self._database.is_serving()

    async def close(self) -> None:
        await self._database.close()


def _held(db: apsw.Connection, claim: Claim) -> bool:
    """Whether the claim is still ours: nobody leased the session after us."""
    return db.execute(HELD, (claim.session_id, claim.lease)).get is not None
