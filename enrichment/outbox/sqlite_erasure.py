"""Taking out of the embedded outbox: by a person's wish, with a tombstone; by age, without. Void grants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import apsw

from enrichment.outbox.port import Emptied, ForeignSession, Order
from enrichment.outbox.sqlite_delivery import ORDER
from enrichment.outbox.sqlite_schema import person_key, session_key
from enrichment.pseudonym import hashed
from enrichment.turn_rows import Row

OWNER = "SELECT person FROM session WHERE session_id = ?"
SESSIONS = "SELECT session_id FROM session WHERE person = ?"
LEASED = "SELECT leased_until FROM session WHERE session_id = ?"
TURNS = "DELETE FROM turn WHERE session_id = ?"
SESSION = "DELETE FROM session WHERE session_id = ?"
BURY = """
INSERT INTO tombstone (key, person, erased_at) VALUES (?, ?, ?)
ON CONFLICT (key) DO UPDATE SET erased_at = excluded.erased_at WHERE person = excluded.person
"""
ORDERS = "SELECT person, nullif(session_id, ''), not_before <= ? FROM erasure ORDER BY not_before"
NOT_BEFORE = "SELECT not_before FROM erasure WHERE person = ? AND session_id = ?"
CONFIRM = "DELETE FROM erasure WHERE person = ? AND session_id = ?"
IDLE = """
SELECT person, session_id, coalesce(leased_until, 0) FROM session WHERE written_at < ? AND NOT EXISTS (
    SELECT 1 FROM turn WHERE turn.session_id = session.session_id AND state = 'pending')
ORDER BY written_at LIMIT ?
"""
# A clock that went back revokes no less than before.
REVOKE = """
INSERT INTO revocation (person, revoked_at) VALUES (?, ?)
ON CONFLICT (person) DO UPDATE SET revoked_at = max(revoked_at, excluded.revoked_at) RETURNING revoked_at
"""
REVOCATIONS = "SELECT person, revoked_at FROM revocation"
OLD_REVOCATIONS = "DELETE FROM revocation WHERE revoked_at < ?"
OLD_TOMBSTONES = "DELETE FROM tombstone WHERE erased_at < ?"


def session(db: apsw.Connection, person: str, session_id: str, now: float) -> Emptied:
    """Raises `ForeignSession`."""
    owner = db.execute(OWNER, (session_id,)).get
    if owner not in (None, person):
        raise ForeignSession(session_id)
    emptied = _bury(db, person, session_id, now)
    not_before = _order(db, person, session_id, emptied.leased_until)
    return replace(emptied, leased_until=not_before if not_before > now else 0.0)


def person(db: apsw.Connection, who: str, now: float) -> Emptied:
    """With all sessions of the person."""
    sessions_of: list[Row] = db.execute(SESSIONS, (who,)).fetchall()
    buried = [_bury(db, who, row[0], now) for row in sessions_of]
    db.execute(BURY, (person_key(who), hashed(who), now))
    not_before = _order(db, who, "", max((each.leased_until for each in buried), default=0.0))
    leased_until = not_before if not_before > now else 0.0
    sessions, turns = sum(each.sessions for each in buried), sum(each.turns for each in buried)
    return Emptied(sessions, turns, leased_until)


def _order(db: apsw.Connection, who: str, session_id: str, leased_until: float) -> float:
    """From when on memory may confirm it; an order that stood before may know of a later lease."""
    db.execute(ORDER, (who, session_id, leased_until))
    rows: list[Row] = db.execute(NOT_BEFORE, (who, session_id)).fetchall()
    return float(rows[0][0])


def orders(db: apsw.Connection, now: float) -> Sequence[Order]:
    rows: list[Row] = db.execute(ORDERS, (now,)).fetchall()
    return [Order(who, session_id, bool(is_ripe)) for who, session_id, is_ripe in rows]


def confirm(db: apsw.Connection, who: str, session_id: str | None) -> None:
    db.execute(CONFIRM, (who, session_id or ""))


def expire(db: apsw.Connection, before: float, limit: int) -> int:
    """How many sessions were that old and had nothing to deliver."""
    idle: list[Row] = db.execute(IDLE, (before, limit)).fetchall()
    for who, session_id, leased_until in idle:
        _remove(db, session_id)
        db.execute(ORDER, (who, session_id, leased_until))
    return len(idle)


def revoke(db: apsw.Connection, who: str, now: float) -> float:
    return float(db.execute(REVOKE, (hashed(who), now)).get)


def revocations(db: apsw.Connection) -> dict[str, float]:
    """Whose grants are void, hashed, and until when they were given."""
    return {str(person): float(revoked_at) for person, revoked_at in db.execute(REVOCATIONS)}


def expire_tombstones(db: apsw.Connection, before: float) -> int:
    db.execute(OLD_REVOCATIONS, (before,))
    db.execute(OLD_TOMBSTONES, (before,))
    return db.changes()


def _bury(db: apsw.Connection, who: str, session_id: str, now: float) -> Emptied:
    leased_until = db.execute(LEASED, (session_id,)).get or 0.0
    sessions, turns = _remove(db, session_id)
    db.execute(BURY, (session_key(session_id), hashed(who), now))
    return Emptied(sessions, turns, leased_until if leased_until > now else 0.0)


def _remove(db: apsw.Connection, session_id: str) -> tuple[int, int]:
    """How many sessions (none or one) and turns."""
    db.execute(TURNS, (session_id,))
    turns = db.changes()
    db.execute(SESSION, (session_id,))
    return db.changes(), turns
