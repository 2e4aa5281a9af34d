"""What an operator sees and may do, and how much waits; each inside a transaction of the caller."""

from __future__ import annotations

from collections.abc import Sequence

from enrichment.outbox.port import Depth, Entry, Line
from enrichment.outbox.postgres_claim import storable
from enrichment.outbox.postgres_connections import NOW, Connection
from enrichment.outbox.postgres_news import NOTIFY
from enrichment.turn_rows import COLUMNS, turn_of
from enrichment.turns import Turn

WAITING = f"""
SELECT {COLUMNS} FROM outbox_turn JOIN outbox_session USING (session_id)
WHERE session_id = %s AND person = %s AND state IN ('pending', 'parked') ORDER BY seq
"""
WAITING_SESSIONS = """
SELECT session_id FROM outbox_session WHERE person = %s AND EXISTS (
    SELECT FROM outbox_turn WHERE outbox_turn.session_id = outbox_session.session_id
    AND state IN ('pending', 'parked'))
ORDER BY session_id
"""
NEXT_DUE_S = f"""
SELECT greatest(0, due_at - {NOW}) FROM outbox_session WHERE due_at IS NOT NULL AND NOT EXISTS (
    SELECT FROM outbox_erasure AS ordered WHERE ordered.person = outbox_session.person
    AND ordered.session_id IN ('', outbox_session.session_id))
ORDER BY due_at LIMIT 1
"""
DEPTH = f"""
WITH clock AS (SELECT {NOW} AS now), waiting AS (
    SELECT count(*) FILTER (WHERE state = 'pending') AS pending,
        count(*) FILTER (WHERE state = 'parked') AS parked,
        min(accepted_at) FILTER (WHERE state = 'pending') AS oldest_at
    FROM outbox_turn WHERE state IN ('pending', 'parked')
)
SELECT pending, parked, greatest(0, coalesce(now - oldest_at, 0))::float8 FROM waiting, clock
"""
LINES = """
SELECT session_id, person, pending, parked, delivered, attempts, due_at, last_error
FROM outbox_session JOIN LATERAL (
    SELECT count(*) FILTER (WHERE state = 'pending') AS pending,
        count(*) FILTER (WHERE state = 'parked') AS parked,
        count(*) FILTER (WHERE state = 'delivered') AS delivered
    FROM outbox_turn WHERE outbox_turn.session_id = outbox_session.session_id
) AS counted ON true
WHERE session_id > %(after)s AND person IS NOT NULL AND (%(state)s::text IS NULL OR EXISTS (
    SELECT FROM outbox_turn
    WHERE outbox_turn.session_id = outbox_session.session_id AND state = %(state)s::text))
ORDER BY session_id LIMIT %(limit)s
"""
ENTRIES = """
SELECT session_id, turn_id, state, speaker, text, accepted_at, reason
FROM outbox_turn WHERE session_id = %s ORDER BY seq
"""
LOCK = "SELECT FROM outbox_session WHERE session_id = %s FOR UPDATE"
REPLAY = """
UPDATE outbox_turn SET state = 'pending', reason = NULL WHERE session_id = %s AND state = 'parked'
"""
DUE = f"""
WITH clock AS (SELECT {NOW} AS now)
UPDATE outbox_session SET attempts = 0, due_at = CASE WHEN leased_until > now THEN due_at ELSE now END
FROM clock WHERE session_id = %(session_id)s
"""
DROP = """
UPDATE outbox_turn SET state = 'delivered', text = NULL, reason = %s
WHERE session_id = %s AND turn_id = %s AND state = 'parked'
"""


async def pending(connection: Connection, person: str, session_id: str) -> Sequence[Turn]:
    rows = await (await connection.execute(WAITING, (session_id, person))).fetchall()
    return [turn_of(row) for row in rows]


async def pending_sessions(connection: Connection, person: str) -> Sequence[str]:
    rows = await (await connection.execute(WAITING_SESSIONS, (person,))).fetchall()
    return [row[0] for row in rows]


async def next_due_s(connection: Connection, now: float | None) -> float | None:
    row = await (await connection.execute(NEXT_DUE_S, {"now": now})).fetchone()
    return row[0] if row else None


async def depth(connection: Connection, now: float | None) -> Depth:
    row = await (await connection.execute(DEPTH, {"now": now})).fetchone()
    return Depth(*row) if row else Depth(0, 0, 0.0)


async def lines(connection: Connection, state: str | None, limit: int, after: str) -> Sequence[Line]:
    asked = {"state": state, "limit": limit, "after": after}
    return [Line(*row) for row in await (await connection.execute(LINES, asked)).fetchall()]


async def entries(connection: Connection, session_id: str) -> Sequence[Entry]:
    return [Entry(*row) for row in await (await connection.execute(ENTRIES, (session_id,))).fetchall()]


async def replay(connection: Connection, session_id: str, now: float | None) -> int:
    """A delivery under way is not disturbed: when it settles, it finds them pending."""
    await connection.execute(LOCK, (session_id,))
    replayed = (await connection.execute(REPLAY, (session_id,))).rowcount
    if replayed:
        await connection.execute(DUE, {"session_id": session_id, "now": now})
        await connection.execute(NOTIFY)
    return replayed


async def drop(connection: Connection, session_id: str, turn_id: str, reason: str) -> bool:
    """A dropped turn is never delivered and never again accepted: its id stays, its text goes."""
    await connection.execute(LOCK, (session_id,))
    return (await connection.execute(DROP, (storable(reason), session_id, turn_id))).rowcount == 1
