"""Erasure, retention and revoked grants, each inside a transaction of the caller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from psycopg.rows import TupleRow

from enrichment.outbox.port import Emptied, ForeignSession, Order
from enrichment.outbox.postgres_accept import person_key
from enrichment.outbox.postgres_connections import NOW, Connection
from enrichment.outbox.postgres_news import changed
from enrichment.pseudonym import hashed

# A row to lock, also for a session that nobody has written to: a post under way meets it.
MAKE = f"""
WITH clock AS (SELECT {NOW} AS now)
INSERT INTO outbox_session (session_id, person, written_at, lease)
SELECT %(session_id)s, %(person)s, now, (now * 1000)::bigint FROM clock ON CONFLICT DO NOTHING
"""
THIS_SESSION = """
SELECT session_id, leased_until, person, erased_of FROM outbox_session WHERE session_id = %s FOR UPDATE
"""
LOCK_PERSON = "SELECT pg_advisory_xact_lock(%s)"
ERASE_PERSON = f"""
WITH clock AS (SELECT {NOW} AS now)
INSERT INTO outbox_erased_person (person, erased_at) SELECT %(hashed)s, now FROM clock
ON CONFLICT (person) DO UPDATE SET erased_at = excluded.erased_at
"""
SESSIONS_OF = """
SELECT session_id, leased_until, person FROM outbox_session WHERE person = %s ORDER BY session_id FOR UPDATE
"""
DELETE_TURNS = "DELETE FROM outbox_turn WHERE session_id = ANY(%(session_ids)s::text[])"
ERASE_SESSIONS = f"""
WITH clock AS (SELECT {NOW} AS now)
UPDATE outbox_session SET person = NULL, erased_of = %(hashed)s, erased_at = now, due_at = NULL,
    last_error = NULL, attempts = 0
FROM clock WHERE session_id = ANY(%(session_ids)s::text[]) RETURNING now
"""
ORDER = f"""
INSERT INTO outbox_erasure AS kept (session_id, person, not_before)
VALUES (%(session_id)s, %(person)s, %(not_before)s)
ON CONFLICT (session_id, person) DO UPDATE SET not_before = greatest(kept.not_before, excluded.not_before)
RETURNING not_before, not_before <= {NOW}
"""
ORDERS = f"""
SELECT person, nullif(session_id, ''), not_before <= {NOW} FROM outbox_erasure ORDER BY not_before
"""
CONFIRM = "DELETE FROM outbox_erasure WHERE session_id = %s AND person = %s"
# A post that comes that very moment has its session stay: its row is locked, or no longer as old.
EXPIRE = f"""
WITH clock AS (SELECT {NOW} AS now), idle AS (
    SELECT session_id FROM outbox_session AS session, clock
    WHERE written_at < now - %(keep_s)s AND person IS NOT NULL AND NOT EXISTS (
        SELECT FROM outbox_turn AS turn WHERE turn.session_id = session.session_id AND state = 'pending')
    ORDER BY written_at LIMIT %(limit)s FOR UPDATE OF session SKIP LOCKED
), gone AS (
    DELETE FROM outbox_session AS session USING idle WHERE session.session_id = idle.session_id
    RETURNING session.session_id, person, leased_until
)
INSERT INTO outbox_erasure AS kept (session_id, person, not_before) SELECT * FROM gone
ON CONFLICT (session_id, person) DO UPDATE SET not_before = greatest(kept.not_before, excluded.not_before)
"""
# A clock that went back revokes no less than before.
REVOKE = f"""
INSERT INTO outbox_revoked_person AS kept (person, revoked_at) VALUES (%(hashed)s, {NOW})
ON CONFLICT (person) DO UPDATE SET revoked_at = greatest(kept.revoked_at, excluded.revoked_at)
RETURNING revoked_at
"""
IS_REVOKED = (
    "SELECT EXISTS (SELECT FROM outbox_revoked_person WHERE person = %s AND revoked_at >= %s::float8)"
)
EXPIRE_REVOCATIONS = f"DELETE FROM outbox_revoked_person WHERE revoked_at < {NOW} - %(keep_s)s"
EXPIRE_SESSIONS = f"DELETE FROM outbox_session WHERE erased_at < {NOW} - %(keep_s)s"
EXPIRE_PEOPLE = f"DELETE FROM outbox_erased_person WHERE erased_at < {NOW} - %(keep_s)s"


async def erase_session(connection: Connection, person: str, session_id: str, now: float | None) -> Emptied:
    """Raises `ForeignSession`, and then leaves nothing."""
    about = {"person": person, "session_id": session_id, "now": now}
    made = (await connection.execute(MAKE, about)).rowcount
    rows = await (await connection.execute(THIS_SESSION, (session_id,))).fetchall()
    if any(person != row[2] and hashed(person) != row[3] for row in rows):
        raise ForeignSession(session_id)
    emptied = await _empty(connection, person, rows, now)
    emptied = await _order(connection, session_id, person, emptied, now)
    return replace(emptied, sessions=0) if made else emptied


async def erase_person(connection: Connection, person: str, now: float | None) -> Emptied:
    """Waits for posts of the person that are being stored; those that come later see the tombstone."""
    await connection.execute(LOCK_PERSON, (person_key(person),))
    await connection.execute(ERASE_PERSON, {"hashed": hashed(person), "now": now})
    rows = await (await connection.execute(SESSIONS_OF, (person,))).fetchall()
    return await _order(connection, "", person, await _empty(connection, person, rows, now), now)


async def revoke(connection: Connection, person: str, now: float | None) -> float:
    """Waits for posts of the person that are being stored; those that come later are refused."""
    await connection.execute(LOCK_PERSON, (person_key(person),))
    about = {"hashed": hashed(person), "now": now}
    rows = await (await connection.execute(REVOKE, about)).fetchall()
    return float(rows[0][0])


async def is_revoked(connection: Connection, person: str, granted_at: float) -> bool:
    rows = await (await connection.execute(IS_REVOKED, (hashed(person), granted_at))).fetchall()
    return bool(rows[0][0])


async def _order(
    connection: Connection, session_id: str, person: str, emptied: Emptied, now: float | None
) -> Emptied:
    """An order that stood before may know of a later lease."""
    about = {"session_id": session_id, "person": person, "not_before": emptied.leased_until, "now": now}
    rows = await (await connection.execute(ORDER, about)).fetchall()
    not_before, is_ripe = rows[0]
    return replace(emptied, leased_until=0.0 if is_ripe else not_before)


async def _empty(connection: Connection, person: str, rows: Sequence[TupleRow], now: float | None) -> Emptied:
    """A tombstone keeps its lease: a deliverer may be at work also when an erasure is repeated."""
    about = {"session_ids": [row[0] for row in rows], "hashed": hashed(person), "now": now}
    turns = (await connection.execute(DELETE_TURNS, about)).rowcount
    moment = await (await connection.execute(ERASE_SESSIONS, about)).fetchone()
    leased_until = max((row[1] for row in rows if moment and row[1] > moment[0]), default=0.0)
    return Emptied(sum(row[2] is not None for row in rows), turns, leased_until)


async def orders(connection: Connection, now: float | None) -> Sequence[Order]:
    rows = await (await connection.execute(ORDERS, {"now": now})).fetchall()
    return [Order(person, session_id, is_ripe) for person, session_id, is_ripe in rows]


async def confirm(connection: Connection, person: str, session_id: str | None) -> None:
    await connection.execute(CONFIRM, (session_id or "", person))
    await changed(connection, person)


async def expire(connection: Connection, keep_s: float, limit: int, now: float | None) -> int:
    """How many sessions were that old and had nothing to deliver; their turns go with them."""
    about = {"keep_s": keep_s, "limit": limit, "now": now}
    return (await connection.execute(EXPIRE, about)).rowcount


async def expire_tombstones(connection: Connection, keep_s: float, now: float | None) -> int:
    about = {"keep_s": keep_s, "now": now}
    sessions = await connection.execute(EXPIRE_SESSIONS, about)
    people = await connection.execute(EXPIRE_PEOPLE, about)
    await connection.execute(EXPIRE_REVOCATIONS, about)
    return sessions.rowcount + people.rowcount
