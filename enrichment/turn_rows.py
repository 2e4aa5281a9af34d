"""How a turn stands in a table: the same columns in the outbox and in the embedded memory."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from enrichment.turns import Speaker, Turn

COLUMNS = "turn_id, previous_turn_id, speaker, text, agent_id, spoken_at, interrupted"
DEFINITIONS = """
    turn_id          TEXT NOT NULL,
    previous_turn_id TEXT,
    speaker          TEXT NOT NULL,
    text             TEXT,
    agent_id         TEXT,
    spoken_at        TEXT,                  -- RFC 3339
    interrupted      INTEGER NOT NULL
"""

Row = tuple[Any, ...]


def values(turn: Turn) -> Row:
    """The values of `COLUMNS`."""
    return (
        turn.turn_id,
        turn.previous_turn_id,
        turn.speaker,
        turn.text,
        turn.agent_id,
        turn.spoken_at.isoformat() if turn.spoken_at else None,
        int(turn.interrupted),
    )


def turn_of(row: Row) -> Turn:
    """The turn whose `COLUMNS` are ``row``."""
    turn_id, previous_turn_id, speaker, text, agent_id, spoken_at, interrupted = row
    return Turn(
        turn_id=turn_id,
        previous_turn_id=previous_turn_id,
        speaker=Speaker(speaker),
        text=text,
        agent_id=agent_id,
        spoken_at=datetime.fromisoformat(spoken_at) if spoken_at else None,
        interrupted=bool(interrupted),
    )
