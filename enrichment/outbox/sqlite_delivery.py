"""Claiming, delivering and settling in the embedded outbox. ``now`` is Unix seconds."""

from __future__ import annotations

from dataclasses import dataclass

import apsw

from enrichment.order import Waiting, releasable
from enrichment.outbox.port import CLAIM_TURNS, LEASE_S, Claim
from enrichment.turn_rows import COLUMNS, Row, turn_of
from enrichment.turns import Turn

LOOKED_AT = 1_000  # pending turns of a session, to find the order in which they leave
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
FROM turn WHERE session_id = ? AND state = 'pending' ORDER BY seq LIMIT ?
"""
CLAIMED = f"SELECT {COLUMNS} FROM turn WHERE session_id = ? AND turn_id = ?"
HELD = "SELECT 1 FROM session WHERE session_id = ? AND lease = ?"
DELIVERED = """
UPDATE turn SET state = 'delivered', text = NULL WHERE session_id = ? AND turn_id = ? AND state = 'pending'
"""
SETTLE = """
UPDATE session SET attempts = 0, last_error = :error, leased_until = NULL, due_at = CASE
    WHEN EXISTS (SELECT 1 FROM turn WHERE session_id = :session_id AND state = 'pending') THEN :now END
WHERE session_id = :session_id
"""
POSTPONE = """
UPDATE session SET due_at = ?, leased_until = NULL, attempts = attempts + 1, last_error = ?
WHERE session_id = ?
"""
PARK = "UPDATE turn SET state = 'parked', reason = ? WHERE session_id = ? AND turn_id = ?"
IS_THERE = "SELECT 1 FROM session WHERE session_id = ? AND person = ?"


@dataclass(frozen=True, slots=True)
class Place:
    """What ordering needs of a turn, without its text."""

    turn_id: str
    previous_turn_id: str | None


def claim(db: apsw.Connection, now: float) -> Claim | None:
    for _ in range(SESSIONS_LOOKED_AT):
        leased = db.execute(LEASE, {"now": now, "lease_s": LEASE_S}).fetchone()
        if leased is None:
            return None
        session_id, person, lease, attempts = leased
        turns, oldest_at, due_at = _releasable(db, session_id, now)
        if turns:
            return Claim(person, session_id, turns, lease, attempts, oldest_at)
        db.execute(HELD_BACK, (due_at, session_id))
    return None


def _releasable(db: apsw.Connection, session_id: str, now: float) -> tuple[list[Turn], float, float | None]:
    """The turns that may leave now, when the oldest pending one was accepted, when others may leave."""
    rows: list[Row] = db.execute(WAITING, (session_id, LOOKED_AT)).fetchall()
    waiting = [Waiting(Place(row[0], row[1]), row[2], bool(row[3])) for row in rows]
    free, due_at = releasable(waiting, now)
    oldest_at = min((each.accepted_at for each in waiting), default=0.0)
    return [_turn(db, session_id, place.turn_id) for place in free[:CLAIM_TURNS]], oldest_at, due_at


def _turn(db: apsw.Connection, session_id: str, turn_id: str) -> Turn:
    rows: list[Row] = db.execute(CLAIMED, (session_id, turn_id)).fetchall()
    return turn_of(rows[0])


def delivered(db: apsw.Connection, claim: Claim, now: float) -> bool:
    if _is_held(db, claim):
        db.executemany(DELIVERED, [(claim.session_id, turn.turn_id) for turn in claim.turns])
        db.execute(SETTLE, {"session_id": claim.session_id, "now": now, "error": None})
        return True
    return db.execute(IS_THERE, (claim.session_id, claim.person)).get is not None


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
