"""Reading back: what memory holds and what is still on its way there, as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from enrichment.memory.port import Memory
from enrichment.order import conversation_order
from enrichment.outbox.port import Outbox
from enrichment.turns import Turn


class UnknownEpisode(Exception):
    """The person has no such session; whether somebody else has is not said."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Reads outbox and memory together, for one person at a time."""

    outbox: Outbox
    memory: Memory
    recall_turns: int

    async def episodes(self, person: str, *, limit: int) -> list[dict[str, Any]]:
        """The person's sessions, newest first; one that is wholly on its way has only its id."""
        known = await self.memory.episodes(person, limit=limit)
        ids = {episode.session_id for episode in known}
        waiting = set(await self.outbox.pending_sessions(person))
        listed = [_renamed(asdict(episode)) for episode in known]
        return [{"id": session_id, "turns": 0} for session_id in sorted(waiting - ids)] + listed

    async def episode(self, person: str, session_id: str) -> dict[str, Any]:
        """The transcript in conversation order. Raises `UnknownEpisode`."""
        # The outbox first: a turn that is delivered between the two reads is then seen twice, not never.
        pending = await self.outbox.pending(person, session_id)
        remembered = await self.memory.episode(person, session_id)
        if not remembered and not pending:
            raise UnknownEpisode
        delivered = {turn.turn_id for turn in remembered}
        turns = [*remembered, *(turn for turn in pending if turn.turn_id not in delivered)]
        ordered = conversation_order(turns)
        return {"id": session_id, "transcript": [_line(turn, turn.turn_id in delivered) for turn in ordered]}

    async def context(self, person: str, session_id: str | None) -> dict[str, Any]:
        """What may matter now: recent turns and turns that match, as sentences a model can be told."""
        turns = await self.memory.recall(person, session_id, limit=self.recall_turns)
        facts = said(turns)
        return {"context": "\n".join(facts), "facts": facts}


def said(turns: Sequence[Turn]) -> list[str]:
    return [f'{turn.spoken_at:%Y-%m-%d}: the person said "{turn.text}"' for turn in turns if turn.spoken_at]


def _line(turn: Turn, delivered: bool) -> dict[str, Any]:
    return {
        "turn_id": turn.turn_id,
        "role": turn.speaker,
        "content": turn.text,
        "agent_id": turn.agent_id,
        "spoken_at": turn.spoken_at.isoformat() if turn.spoken_at else None,
        "interrupted": turn.interrupted,
        "delivered": delivered,
    }


def _renamed(episode: dict[str, Any]) -> dict[str, Any]:
    return {"id": episode.pop("session_id"), **episode}
