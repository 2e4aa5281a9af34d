"""What an operator sees and does in the embedded outbox."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from enrichment.outbox.port import Entry, Line
from enrichment.outbox.sqlite_delivery import storable

LINES = """
SELECT session_id, person, count(*) FILTER (WHERE state = 'pending'),
       count(*) FILTER (WHERE state = 'parked'), count(*) FILTER (WHERE state = 'delivered'),
       attempts, due_at, last_error
FROM session JOIN turn USING (session_id)
WHERE session_id > :after AND (:state IS NULL OR EXISTS (
    SELECT 1 FROM turn AS such WHERE such.session_id = session.session_id AND such.state = :state))
GROUP BY session_id ORDER BY session_id LIMIT :limit
"""
ENTRIES = """
SELECT session_id, turn_id, state, speaker, text, accepted_at, reason
FROM turn WHERE session_id = ? ORDER BY seq
"""
REPLAY = """
UPDATE turn SET state = 'pending', reason = NULL
WHERE session_id = ? AND state = 'parked' AND text IS NOT NULL
"""
DUE = """
UPDATE session SET due_at = coalesce(due_at, :now), attempts = 0 WHERE session_id = :session_id
AND EXISTS (SELECT 1 FROM turn WHERE turn.session_id = :session_id AND state = 'pending')
"""
DROP = """
UPDATE turn SET state = 'delivered', text = NULL, reason = ?
WHERE session_id = ? AND turn_id = ? AND state = 'parked'
"""


def lines(db: apsw.Connection, state: str | None, limit: int, after: str) -> Sequence[Line]:
    asked = {"state": state, "limit": limit, "after": after}
    return [Line(*row) for row in db.execute(LINES, asked)]


def entries(db: apsw.Connection, session_id: str) -> Sequence[Entry]:
    return [Entry(*row) for row in db.execute(ENTRIES, (session_id,))]


def replay(db: apsw.Connection, session_id: str, now: float) -> int:
    db.execute(REPLAY, (session_id,))
    count = db.changes()
    db.execute(DUE, {"now": now, "session_id": session_id})
    return count


def drop(db: apsw.Connection, session_id: str, turn_id: str, reason: str) -> bool:
    """A dropped turn is never delivered and never again accepted: its id stays, its text goes."""
    db.execute(DROP, (storable(reason), session_id, turn_id))
    return db.changes() > 0
