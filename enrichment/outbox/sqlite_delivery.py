"""Claiming, delivering and settling in the embedded outbox. ``now`` is Unix seconds."""

from __future__ import annotations

from dataclasses import replace

import apsw

from enrichment.order import Place, Waiting, oldest_of, releasable
from enrichment.outbox.port import CLAIM_TURNS, LEASE_S, Claim
from enrichment.turn_rows import COLUMNS, Row, turn_of
from enrichment.turns import Turn

SESSIONS_LOOKED_AT = 100  # in one claim, when everything in them is held back

# While memory has still to forget something, nothing new comes under it: it would be forgotten too.
LEASE = """
UPDATE session SET due_at = :now + :lease_s, leased_until = :now + :lease_s, lease = lease + 1
WHERE session_id = (
    SELECT session_id FROM session WHERE due_at <= :now AND NOT EXISTS (
        SELECT 1 FROM erasure WHERE erasure.person = session.person
        AND erasure.session_id IN ('', session.session_id))
    ORDER BY due_at LIMIT 1)
RETURNING session_id, person, lease, attempts
"""
HELD_BACK = "UPDATE session SET due_at = ?, leased_until = NULL WHERE session_id = ?"
WAITING = """
SELECT turn_id, previous_turn_id, accepted_at, previous_turn_id IS NULL OR EXISTS (
    SELECT 1 FROM turn AS before WHERE before.session_id = turn.session_id
    AND before.turn_id = turn.previous_turn_id)
FROM turn WHERE session_id = ? AND state = 'pending' ORDER BY seq
"""
CLAIMED = f"SELECT {COLUMNS}, traceparent FROM turn WHERE session_id = ? AND turn_id = ?"
HELD = "SELECT 1 FROM session WHERE session_id = ? AND lease = ?"
DELIVERED = """
UPDATE turn SET state = 'delivered', text = NULL WHERE session_id = ? AND turn_id = ? AND state = 'pending'
"""
SETTLE = """
UPDATE session SET attempts = 0, last_error = :error, leased_until = NULL, due_at = CASE
    WHEN EXISTS (SELECT 1 FROM turn WHERE session_id = :session_id AND state = 'pending') THEN :now END
WHERE session_id = :session_id
"""
# The lease stays on record: a request that was given up may still be at work in memory.
POSTPONE = """
UPDATE session SET due_at = ?, attempts = attempts + 1, last_error = ?
WHERE session_id = ?
"""
PARK = "UPDATE turn SET state = 'parked', reason = ? WHERE session_id = ? AND turn_id = ?"
ORDER = """
INSERT INTO erasure (person, session_id, not_before) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET not_before = max(not_before, excluded.not_before)
"""
IS_THERE = "SELECT 1 FROM session WHERE session_id = ? AND person = ?"


def claim(db: apsw.Connection, now: float) -> Claim | None:
    for _ in range(SESSIONS_LOOKED_AT):
        leased = db.execute(LEASE, {"now": now, "lease_s": LEASE_S}).fetchone()
        if leased is None:
            return None
        session_id, person, lease, attempts = leased
        waiting = _waiting(db, session_id)
        free, due_at = releasable(waiting, now)
        if free:
            turns = [_turn(db, session_id, place.turn_id) for place in free[:CLAIM_TURNS]]
            oldest = oldest_of(waiting, turns)
            oldest_s = now - oldest.accepted_at
            return Claim(person, session_id, turns, lease, attempts, oldest.turn.turn_id, oldest_s)
        db.execute(HELD_BACK, (due_at, session_id))
    return None


def _waiting(db: apsw.Connection, session_id: str) -> list[Waiting[Place]]:
    rows: list[Row] = db.execute(WAITING, (session_id,)).fetchall()
    return [Waiting(Place(row[0], row[1]), row[2], bool(row[3])) for row in rows]


def _turn(db: apsw.Connection, session_id: str, turn_id: str) -> Turn:
    rows: list[Row] = db.execute(CLAIMED, (session_id, turn_id)).fetchall()
    *columns, traceparent = rows[0]
    return replace(turn_of(tuple(columns)), traceparent=traceparent)


def delivered(db: apsw.Connection, claim: Claim, now: float) -> bool:
    if _is_held(db, claim):
        db.executemany(DELIVERED, [(claim.session_id, turn.turn_id) for turn in claim.turns])
        db.execute(SETTLE, {"session_id": claim.session_id, "now": now, "error": None})
        return True
    if db.execute(IS_THERE, (claim.session_id, claim.person)).get is not None:
        return True
    db.execute(ORDER, (claim.person, claim.session_id, now))
    return False


def postpone(db: apsw.Connection, claim: Claim, due_at: float, reason: str) -> None:
    if _is_held(db, claim):
        db.execute(POSTPONE, (due_at, storable(reason), claim.session_id))


def park(db: apsw.Connection, claim: Claim, turn_id: str, reason: str, now: float) -> None:
    if _is_held(db, claim):
        db.execute(PARK, (storable(reason), claim.session_id, turn_id))
        db.execute(SETTLE, {"session_id": claim.session_id, "now": now, "error": storable(reason)})


def storable(reason: str) -> str:
    """A reason may come from anywhere; half a character cannot be stored."""
    return reason.encode(errors="replace").decode()


def _is_held(db: apsw.Connection, claim: Claim) -> bool:
    """Whether the claim is still ours: nobody leased the session after us."""
    return db.execute(HELD, (claim.session_id, claim.lease)).get is not None
