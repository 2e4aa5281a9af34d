"""Reading back: what memory holds and what is still on its way there, as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from typing import Any

from enrichment.memory.port import Memory
from enrichment.order import conversation_order
from enrichment.outbox.port import Outbox
from enrichment.recent import Recent
from enrichment.turns import Turn


class UnknownEpisode(Exception):
    """The person has no such session; whether somebody else has is not said."""


# The broker tells a model 2 000 characters and reads 64 KiB: this fits twice, in any alphabet.
QUOTE_CHARACTERS = 400
CONTEXT_CHARACTERS = 4_000


@dataclass(frozen=True, slots=True)
class Reading:
    """Reads outbox and memory together, for one person at a time."""

    outbox: Outbox
    memory: Memory
    recall_turns: int
    recent: Recent[dict[str, Any]] = field(default_factory=Recent)

    async def episodes(self, person: str, *, limit: int) -> list[dict[str, Any]]:
        """The newest ``limit`` sessions in memory, newest first; before them what else is on its way.

        Of the latter only the id is told: such a session may be new, or too old to be among the newest.
        """
        # The outbox first, as in `episode`.
        waiting = set(await self.outbox.pending_sessions(person))
        known = await self.memory.episodes(person, limit=limit)
        ids = {episode.session_id for episode in known}
        listed = [_renamed(asdict(episode)) for episode in known]
        return [{"id": session_id} for session_id in sorted(waiting - ids)] + listed

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
        """What may matter now, as sentences a model can be told.

        Recent turns; for a session that goes on also turns that match what it is about. The former are kept
        for a minute, so that somebody who calls again soon need not wait for memory.

        Newest first. Each quotes at most 400 characters, cut with "…"; what would take the whole beyond 4 000
        is left out, oldest first. ``context`` is the same facts as one text.
        """
        if session_id is not None:
            return await self._context(person, session_id)
        return await self.recent.get(person, lambda: self._context(person, None))

    async def _context(self, person: str, session_id: str | None) -> dict[str, Any]:
        turns = await self.memory.recall(person, session_id, limit=self.recall_turns)
        facts = within(CONTEXT_CHARACTERS, said(turns))
        return {"context": "\n".join(facts), "facts": facts}


def said(turns: Sequence[Turn]) -> list[str]:
    """What the person said, a sentence each."""
    return [
        f'{turn.spoken_at:%Y-%m-%d}: the person said "{shortened(turn.text)}"'
        for turn in turns
        if turn.spoken_at
    ]


def shortened(text: str) -> str:
    return text if len(text) <= QUOTE_CHARACTERS else text[: QUOTE_CHARACTERS - 1].rstrip() + "…"


def within(characters: int, facts: Sequence[str]) -> list[str]:
    """As many of the first as fit into so many characters, one on a line."""
    lengths = accumulate(len(fact) + 1 for fact in facts)
    return [fact for fact, length in zip(facts, lengths, strict=True) if length <= characters + 1]


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
