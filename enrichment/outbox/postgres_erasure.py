"""Erasure and retention, each inside a transaction of the caller."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.rows import TupleRow

from enrichment.outbox.port import Emptied
from enrichment.outbox.postgres_accept import person_key
from enrichment.outbox.postgres_connections import NOW, Connection

# A row to lock, also for a session that nobody has written to: a post under way meets it.
MAKE = f"""
WITH clock AS (SELECT {NOW} AS now)
INSERT INTO outbox_session (session_id, person, written_at, lease)
SELECT %(session_id)s, %(person)s, now, (now * 1000)::bigint FROM clock ON CONFLICT DO NOTHING
"""
THIS_SESSION = """
SELECT session_id, leased_until, person IS NOT NULL FROM outbox_session
WHERE session_id = %s AND coalesce(person, %s) = %s FOR UPDATE
"""
LOCK_PERSON = "SELECT pg_advisory_xact_lock(%s)"
ERASE_PERSON = f"""
WITH clock AS (SELECT {NOW} AS now)
INSERT INTO outbox_erased_person (person, erased_at) SELECT %(person)s, now FROM clock
ON CONFLICT (person) DO UPDATE SET erased_at = excluded.erased_at
"""
SESSIONS_OF = """
SELECT session_id, leased_until, true FROM outbox_session WHERE person = %s ORDER BY session_id FOR UPDATE
"""
DELETE_TURNS = "DELETE FROM outbox_turn WHERE session_id = ANY(%s::text[])"
ERASE_SESSIONS = f"""
WITH clock AS (SELECT {NOW} AS now)
UPDATE outbox_session SET person = NULL, erased_at = now, due_at = NULL, last_error = NULL, attempts = 0
FROM clock WHERE session_id = ANY(%(session_ids)s::text[])
"""
IDLE = """
SELECT person, session_id FROM outbox_session
WHERE written_at < %s AND person IS NOT NULL ORDER BY written_at LIMIT %s
"""
EXPIRE = "DELETE FROM outbox_session WHERE session_id = %s AND person = %s AND written_at < %s"
EXPIRE_SESSIONS = "DELETE FROM outbox_session WHERE erased_at < %s"
EXPIRE_PEOPLE = "DELETE FROM outbox_erased_person WHERE erased_at < %s"


async def erase_session(connection: Connection, person: str, session_id: str, now: float | None) -> Emptied:
    """Somebody else's session stays as it is, and looks like one that never was."""
    made = await connection.execute(MAKE, {"person": person, "session_id": session_id, "now": now})
    rows = await (await connection.execute(THIS_SESSION, (session_id, person, person))).fetchall()
    emptied = await _empty(connection, rows, now)
    return Emptied(0, 0, 0.0) if made.rowcount else emptied


async def erase_person(connection: Connection, person: str, now: float | None) -> Emptied:
    """Waits for posts of the person that are being stored; those that come later see the tombstone."""
    await connection.execute(LOCK_PERSON, (person_key(person),))
    await connection.execute(ERASE_PERSON, {"person": person, "now": now})
    rows = await (await connection.execute(SESSIONS_OF, (person,))).fetchall()
    return await _empty(connection, rows, now)


async def _empty(connection: Connection, rows: Sequence[TupleRow], now: float | None) -> Emptied:
    """What a tombstone says of a lease stays: a deliverer may be at work although the erasure is repeated."""
    session_ids = [row[0] for row in rows]
    turns = await connection.execute(DELETE_TURNS, (session_ids,))
    await connection.execute(ERASE_SESSIONS, {"session_ids": session_ids, "now": now})
    leased_until = max((row[1] for row in rows), default=0.0)
    return Emptied(sum(row[2] for row in rows), turns.rowcount, leased_until)


async def idle_sessions(connection: Connection, before: float, limit: int) -> Sequence[tuple[str, str]]:
    rows = await (await connection.execute(IDLE, (before, limit))).fetchall()
    return [(person, session_id) for person, session_id in rows]


async def expire(connection: Connection, person: str, session_id: str, before: float) -> bool:
    """Its turns go with it; a post that comes that very moment has it stay, or begins it anew."""
    return (await connection.execute(EXPIRE, (session_id, person, before))).rowcount == 1


async def expire_tombstones(connection: Connection, before: float) -> int:
    sessions = await connection.execute(EXPIRE_SESSIONS, (before,))
    people = await connection.execute(EXPIRE_PEOPLE, (before,))
    return sessions.rowcount + people.rowcount
