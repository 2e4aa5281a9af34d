"""Claims and how they are settled.

A session row is locked before its turns are settled, and by whoever adds turns too: so nobody settles a
session as empty while something is being added to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from psycopg.rows import TupleRow

from enrichment.order import Place, Waiting, oldest_of, releasable
from enrichment.outbox.port import CLAIM_TURNS, LEASE_S, Claim
from enrichment.outbox.postgres_connections import NOW, Connection
from enrichment.turn_rows import COLUMNS, turn_of
from enrichment.turns import Turn

MOST_AT_ONCE = 200  # turns that the claim itself brings; with more of them the order is found by ids alone
LEASE_COLUMNS = 6

IS_NEXT = """previous_turn_id IS NULL OR EXISTS (
    SELECT FROM outbox_turn AS before
    WHERE before.session_id = turn.session_id AND before.turn_id = turn.previous_turn_id)"""
PENDING = f"""
SELECT {COLUMNS}, traceparent, accepted_at, {IS_NEXT}, seq
FROM outbox_turn AS turn WHERE state = 'pending' AND session_id =
"""
FIRST_COME = f"ORDER BY seq LIMIT {MOST_AT_ONCE}"
# While memory has still to forget something, nothing new comes under it: it would be forgotten too.
LEASE = f"""
WITH clock AS MATERIALIZED (SELECT {NOW} AS now), due AS MATERIALIZED (
    SELECT session_id FROM outbox_session WHERE due_at <= (SELECT now FROM clock) AND NOT EXISTS (
        SELECT FROM outbox_erasure AS ordered WHERE ordered.person = outbox_session.person
        AND ordered.session_id IN ('', outbox_session.session_id))
    ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
), leased AS (
    UPDATE outbox_session SET lease = lease + 1, held_back = false,
        due_at = now + %(lease_s)s, leased_until = now + %(lease_s)s
    FROM clock, due WHERE outbox_session.session_id = due.session_id
    RETURNING outbox_session.session_id, person, lease, attempts, now
)
SELECT leased.*, leased.lease - 1 = seen.lease, waiting.* FROM leased
JOIN outbox_session AS seen ON seen.session_id = leased.session_id  -- as it was when the statement began
LEFT JOIN LATERAL ({PENDING} leased.session_id {FIRST_COME}) AS waiting ON true ORDER BY seq
"""
PLACES = f"""
SELECT turn_id, previous_turn_id, accepted_at, {IS_NEXT}
FROM outbox_turn AS turn WHERE session_id = %s AND state = 'pending' ORDER BY seq
"""
TURNS = f"SELECT {COLUMNS}, traceparent FROM outbox_turn WHERE session_id = %s AND turn_id = ANY (%s)"
GIVE_UP = """
UPDATE outbox_session SET leased_until = 0, due_at = %s, held_back = true WHERE session_id = %s
"""
HOLDER = "SELECT person, lease FROM outbox_session WHERE session_id = %s FOR UPDATE"
DELIVERED = "SELECT outbox_delivered(%s, %s, %s, %s::text[], %s)"
SETTLE = "SELECT outbox_settle(%s, %s, %s)"
# The lease stays on record: a request that was given up may still be at work in memory.
POSTPONE = f"""
WITH clock AS (SELECT {NOW} AS now)
UPDATE outbox_session SET attempts = attempts + 1, last_error = %(error)s, due_at = now + %(delay_s)s
FROM clock WHERE session_id = %(session_id)s
"""
PARK = """
UPDATE outbox_turn SET state = 'parked', reason = %s
WHERE session_id = %s AND turn_id = %s AND state = 'pending'
"""


@dataclass(frozen=True, slots=True)
class Lease:
    """A session that is ours for a while. ``leased_at`` is in Unix seconds."""

    session_id: str
    person: str
    number: int
    attempts: int
    leased_at: float


async def lease(connection: Connection, now: float | None) -> tuple[Lease, Claim | None] | None:
    """The session that has been due longest is ours from now on, with its turns that may leave now.

    One statement, so the turns are those of when it began. It may miss one that was accepted since, which
    then leaves later. When another has had the session since, they may be gone: only a new look tells.
    """
    rows = await (await connection.execute(LEASE, {"now": now, "lease_s": LEASE_S})).fetchall()
    if not rows:
        return None
    *about, is_as_seen = rows[0][:LEASE_COLUMNS]
    lease = Lease(*about)
    pending = [row[LEASE_COLUMNS:] for row in rows if is_as_seen and row[LEASE_COLUMNS] is not None]
    return lease, _claim(lease, pending) if len(pending) < MOST_AT_ONCE else None


def _claim(lease: Lease, pending: Sequence[TupleRow]) -> Claim | None:
    """What of the pending turns may leave now."""
    turns = {turn.turn_id: turn for turn in (_turn(row[:-3]) for row in pending)}
    waiting = [
        Waiting(_place(turn), row[-3], row[-2]) for turn, row in zip(turns.values(), pending, strict=True)
    ]
    free, _ = releasable(waiting, lease.leased_at)
    return _claimed(lease, waiting, [turns[place.turn_id] for place in free[:CLAIM_TURNS]]) if free else None


def _turn(row: TupleRow) -> Turn:
    return replace(turn_of(row[:-1]), traceparent=row[-1])


def _place(turn: Turn) -> Place:
    return Place(turn.turn_id, turn.previous_turn_id)


def _claimed(lease: Lease, waiting: Sequence[Waiting[Place]], turns: Sequence[Turn]) -> Claim:
    oldest = oldest_of(waiting, turns)
    oldest_s = lease.leased_at - oldest.accepted_at
    return Claim(
        lease.person, lease.session_id, turns, lease.number, lease.attempts, oldest.turn.turn_id, oldest_s
    )


async def claim_or_give_up(connection: Connection, lease: Lease) -> Claim | None:
    """Looks once more, with the session locked; when still nothing may leave, the session is due later.

    Without the lock the turn that the others wait for could come between the look and the giving up.
    """
    holder = await _holder(connection, lease.session_id)
    if holder != (lease.person, lease.number):
        return None
    rows = await (await connection.execute(PLACES, (lease.session_id,))).fetchall()
    waiting = [Waiting(Place(row[0], row[1]), row[2], row[3]) for row in rows]
    free, held_until = releasable(waiting, lease.leased_at)
    if not free:
        await connection.execute(GIVE_UP, (held_until, lease.session_id))
        return None
    ids = [place.turn_id for place in free[:CLAIM_TURNS]]
    found = await (await connection.execute(TURNS, (lease.session_id, ids))).fetchall()
    turns = {turn.turn_id: turn for turn in map(_turn, found)}
    return _claimed(lease, waiting, [turns[turn_id] for turn_id in ids])


async def delivered(connection: Connection, claim: Claim, now: float | None) -> bool:
    """False when the session is gone, or somebody else's: what was remembered must be forgotten.

    One statement, which is a transaction if the caller has none.
    """
    ids = [turn.turn_id for turn in claim.turns]
    about = (claim.session_id, claim.person, claim.lease, ids, now)
    row = await (await connection.execute(DELIVERED, about)).fetchone()
    return bool(row and row[0])


async def postpone(
    connection: Connection, claim: Claim, now: float | None, *, delay_s: float, reason: str
) -> None:
    if await _is_held(connection, claim):
        about = {"session_id": claim.session_id, "error": storable(reason), "delay_s": delay_s}
        await connection.execute(POSTPONE, about | {"now": now})


async def park(connection: Connection, claim: Claim, now: float | None, turn_id: str, reason: str) -> None:
    if await _is_held(connection, claim):
        reason = storable(reason)
        await connection.execute(PARK, (reason, claim.session_id, turn_id))
        await connection.execute(SETTLE, (claim.session_id, reason, now))


async def _is_held(connection: Connection, claim: Claim) -> bool:
    """Whether the claim is still ours: nobody leased the session after us, nor was it erased."""
    return await _holder(connection, claim.session_id) == (claim.person, claim.lease)


async def _holder(connection: Connection, session_id: str) -> tuple[Any, ...] | None:
    """The person and the lease of the session, which is then locked."""
    return await (await connection.execute(HOLDER, (session_id,))).fetchone()


def storable(reason: str) -> str:
    """A reason may quote another system; PostgreSQL takes neither NUL nor half a character."""
    return reason.replace("\0", "").encode(errors="replace").decode()
