"""Reading back: what memory holds and what is still on its way there, as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from typing import Any

from enrichment.memory.port import Found, Memory
from enrichment.order import conversation_order
from enrichment.outbox.port import Outbox
from enrichment.recent import Recent
from enrichment.turns import Turn


class UnknownEpisode(Exception):
    """The person has no such session; whether somebody else has is not said."""


# The broker tells a model 2 000 characters and reads 64 KiB: this fits twice, in any alphabet.
QUOTE_CHARACTERS = 400
CONTEXT_CHARACTERS = 4_000
PROVENANCE = "client_reported"  # a browser says that it was said: nobody heard it for us


@dataclass(frozen=True, slots=True)
class Reading:
    """Reads outbox and memory together, for one person at a time."""

    outbox: Outbox
    memory: Memory
    recall_turns: int
    recent: Recent[dict[str, Any]] = field(default_factory=Recent)

    async def episodes(self, person: str, *, limit: int, cursor: str | None) -> dict[str, Any]:
        """A page of sessions in memory, newest first; before the first page what else is on its way.

        Of the latter only the id is told: such a session may be new, or too old to be among the newest.
        Raises ValueError for a cursor that is none.
        """
        # The outbox first, as in `episode`.
        waiting = set() if cursor else set(await self.outbox.pending_sessions(person))
        known = await self.memory.episodes(person, limit=limit, cursor=cursor)
        ids = {episode.session_id for episode in known.page}
        listed = [_renamed(asdict(episode)) for episode in known.page]
        coming = [{"id": session_id} for session_id in sorted(waiting - ids)]
        return {"episodes": coming + listed, "next_cursor": known.cursor}

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
        return {
            "id": session_id,
            "provenance": PROVENANCE,
            "transcript": [_line(turn, turn.turn_id in delivered) for turn in ordered],
        }

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
        recalled = await self.memory.recall(person, session_id, limit=self.recall_turns)
        facts = within(CONTEXT_CHARACTERS, [*map(shortened, recalled.facts), *said(recalled.turns)])
        return {"context": "\n".join(facts), "facts": facts}

    async def search(self, person: str, query: str, *, limit: int) -> dict[str, Any]:
        """What memory finds for ``query``, best first: facts, where the backend makes any, and turns."""
        found = await self.memory.search(person, query, limit=limit)
        return {"facts": list(found.facts)[:limit], "turns": _lines(found)}


def said(turns: Sequence[Turn]) -> list[str]:
    """What the person said, a sentence each, in which no word of theirs ends its own quotation."""
    return [
        f'{turn.spoken_at:%Y-%m-%d}: the person said "{quotable(turn.text)}"'
        for turn in turns
        if turn.spoken_at
    ]


def quotable(text: str) -> str:
    return shortened(text).replace('"', "'")


def shortened(text: str) -> str:
    return text if len(text) <= QUOTE_CHARACTERS else text[: QUOTE_CHARACTERS - 1].rstrip() + "…"


def within(characters: int, facts: Sequence[str]) -> list[str]:
    """As many of the first as fit into so many characters, one on a line."""
    lengths = accumulate(len(fact) + 1 for fact in facts)
    return [fact for fact, length in zip(facts, lengths, strict=True) if length <= characters + 1]


def _lines(found: Found) -> list[dict[str, Any]]:
    return [{"session_id": match.session_id, **_line(match.turn, True)} for match in found.turns]


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
