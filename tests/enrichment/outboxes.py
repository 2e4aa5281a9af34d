"""What tests ask of any outbox."""

from __future__ import annotations

from tests.enrichment.build import turn


def ids(claim):
    return [turn.turn_id for turn in claim.turns]


async def waiting(outbox, session_id="s", person="p"):
    return [turn.turn_id for turn in await outbox.pending(person, session_id)]


async def states(outbox, session_id="s"):
    return {entry.turn_id: entry.state for entry in await outbox.entries(session_id)}


async def deliver(outbox):
    claim = await outbox.claim()
    assert await outbox.delivered(claim)
    return ids(claim)


async def parked(outbox, turn_id="poison", session_id="s"):
    """A parked turn, alone in its session."""
    await outbox.accept("p", session_id, [turn(turn_id, "canary")])
    await outbox.park(await outbox.claim(), turn_id, reason="too long")


async def is_waiting_for_a_lock(connection):
    return connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0]
