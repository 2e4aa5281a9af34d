"""Memory in Zep Community Edition, by zep-python 2.0.2, with its traps closed.

Zep keeps what was said and makes facts of it, in its own time. A session and its id are the same there, a
person has another one (`zep_wire.user_id`), and a message's id is ours, so that writing it twice is refused.

Source: zep-python 2.0.2 and getzep/zep at ``7de18df`` (``legacy/``), read and run, 2026-11-20.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import zep_python
from zep_python.base_client import AsyncBaseClient

from enrichment.memory.counting import counted
from enrichment.memory.messages import Message, messages_of, turns_of
from enrichment.memory.port import Episodes, Forgotten, Found, Recalled, Rejected, Unreachable
from enrichment.memory.sessions import episode_of, page_of, place_of, said_last
from enrichment.memory.zep_sessions import PAGE, Sessions, kept
from enrichment.memory.zep_wire import (
    ANSWER_S,
    ERASE_S,
    READ_S,
    REMEMBER_S,
    Refused,
    asking,
    is_session_id,
    or_none,
    user_id,
)
from enrichment.turns import Turn

CHARACTERS = 2_500  # code points in a message; one more is refused
QUERY_CHARACTERS = 400


class ZepMemory:
    """A `Memory` in the Zep at ``url``. It closes ``http``, whose response hook must be `zep_wire.refuse`.

    ``now`` gives Unix seconds, for turns that do not say when they were spoken.
    """

    name = "zep"

    def __init__(
        self,
        http: httpx.AsyncClient,
        url: str,
        key: str,
        *,
        page: int = PAGE,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._http = http
        root = f"{url}/api/v2"
        self._zep = AsyncBaseClient(base_url=root, api_key=key, timeout=ANSWER_S, httpx_client=http)
        self._sessions = Sessions(self._zep, http, root, key, page)
        self._now = now

    async def remember(self, person: str, session_id: str, turns: Sequence[Turn]) -> None:
        """One message in a request: a batch with one known message is refused as a whole, and one of more
        than 30 is refused and stored all the same.
        """
        if not turns:
            return
        if not is_session_id(session_id):
            raise Rejected(turns[0].turn_id, "the session's id is none of ours")
        async with asking(REMEMBER_S):
            session = await self._sessions.find_or_make(person, session_id)
            if session.user_id != user_id(person):
                raise Rejected(turns[0].turn_id, "the session is another person's in Zep")
            for turn in turns:
                await self._add(person, session_id, turn)
            await self._drop_what_is_left_over(person, session_id)

    async def _drop_what_is_left_over(self, person: str, session_id: str) -> bool:
        """What was written just after somebody erased it: by the person nobody would find it any more."""
        if not await self._sessions.is_left_over(person, session_id):
            return False
        await or_none(self._zep.memory.delete(session_id))
        return True

    async def _add(self, person: str, session_id: str, turn: Turn) -> None:
        """Zep may fail after storing: the next attempt then hears that the message exists, a success."""
        dated = turn if turn.spoken_at else replace(turn, spoken_at=datetime.fromtimestamp(self._now(), UTC))
        for message in messages_of(person, session_id, dated, CHARACTERS):
            try:
                await self._zep.memory.add(session_id, messages=[_sent(message)])
            except Refused as exc:
                if exc.says("message_uuid already exists"):
                    continue
                if exc.is_about_what_was_sent:
                    raise Rejected(turn.turn_id, f"Zep refuses the turn: {exc}") from exc
                raise

    async def episodes(self, person: str, *, limit: int, cursor: str | None = None) -> Episodes:
        """Newest first by when they began. Each session of the page is read, to count and to quote it."""
        after = place_of(cursor) if cursor is not None else None
        async with asking(READ_S):
            page, following = page_of(await self._sessions.places(person), limit=limit, after=after)
            told = await asyncio.gather(*(self._sessions.turns(place.session_id) for place in page))
        known = zip(page, told, strict=True)
        return Episodes([episode_of(place, turns) for place, turns in known if turns], following)

    async def episode(self, person: str, session_id: str) -> Sequence[Turn]:
        async with asking(READ_S):
            is_theirs = await self._sessions.is_of(person, session_id)
            return await self._sessions.turns(session_id) if is_theirs else []

    async def recall(self, person: str, session_id: str | None, *, limit: int) -> Recalled:
        """Facts that fit the last four messages of the session, and what the person said in it.

        A session that is not in Zep yet has neither: then it is the newest one's.
        """
        async with asking(READ_S):
            if session_id is None or not await self._sessions.is_of(person, session_id):
                newest = max(await self._sessions.places(person), default=None)
                session_id = newest.session_id if newest else None
            return await self._recalled(session_id, limit) if session_id else Recalled()

    async def _recalled(self, session_id: str, limit: int) -> Recalled:
        try:
            memory = await self._zep.memory.get(session_id, lastn=max(2 * limit, 1))
        except Refused as exc:
            if exc.status < 500:
                raise
            # Facts come from a process beside Zep. Without it a session can still be read.
            return Recalled((), said_last(await self._sessions.turns(session_id), limit))
        facts = [fact.fact for fact in memory.relevant_facts or [] if fact.fact]
        return Recalled(facts, said_last(turns_of(kept(memory.messages)), limit))

    async def search(self, person: str, query: str, *, limit: int) -> Found:
        """Facts alone: Zep Community Edition searches no messages."""
        async with asking(READ_S):
            asked = self._zep.memory.search_sessions(
                text=query[:QUERY_CHARACTERS], user_id=user_id(person), limit=limit
            )
            answer = await or_none(asked)
        results = (answer.results or []) if answer else []
        facts = [result.fact.fact for result in results if result.fact and result.fact.fact]
        return Found(list(dict.fromkeys(facts))[:limit])

    async def forget_session(self, person: str, session_id: str) -> Forgotten:
        """The messages. Facts made of them are the person's in Zep, and go with `forget_person` alone."""
        async with asking(ERASE_S):
            if not await self._sessions.is_of(person, session_id):
                return Forgotten(int(await self._drop_what_is_left_over(person, session_id)), 0)
            turns = await self._sessions.turns(session_id)
            await or_none(self._zep.memory.delete(session_id))
            if await self._sessions.find(session_id) is not None:
                raise Unreachable("Zep has erased the session and still has it")
            return Forgotten(1, len(turns))

    async def forget_person(self, person: str) -> Forgotten:
        async with asking(ERASE_S):
            places = await self._sessions.places(person)
            turns = await counted(self._sessions.turns(place.session_id) for place in places)
            await or_none(self._zep.user.delete(user_id(person)))
            if await or_none(self._zep.user.get(user_id(person))) is not None:
                raise Unreachable("Zep has erased the user and still has it")
            return Forgotten(len(places), turns)

    async def close(self) -> None:
        await self._http.aclose()


def _sent(message: Message) -> zep_python.Message:
    return zep_python.Message.parse_obj(
        {
            "uuid": message.id,
            "role": message.speaker,
            "role_type": message.speaker,
            "content": message.text,
            "metadata": message.metadata,
        }
    )
