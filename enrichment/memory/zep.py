"""Memory in Zep Community Edition, by zep-python 2.0.2, with its traps closed.

Zep keeps what was said and makes facts of it, in its own time. A session and its id are the same there, a
person has another one (`zep_wire.user_id`), and a message's id is ours, so that writing it twice is refused.

Source: zep-python 2.0.2 and getzep/zep at ``7de18df`` (``legacy/``), read and run, 2026-11-20.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import zep_python
from pydantic import AwareDatetime, BaseModel, TypeAdapter

# Not zep_python.client: its clients let the variable ZEP_API_URL override the address they are given.
from zep_python.base_client import AsyncBaseClient

from enrichment.memory.messages import Message, messages_of, turns_of
from enrichment.memory.port import Episodes, Forgotten, Found, Recalled, Rejected, Unreachable
from enrichment.memory.sessions import Place, episode_of, page_of, place_of, said_last
from enrichment.memory.zep_wire import (
    ANSWER_S,
    ERASE_S,
    READ_S,
    REMEMBER_S,
    Refused,
    asking,
    is_session_id,
    or_exists,
    or_none,
    user_id,
)
from enrichment.turns import Turn

CHARACTERS = 2_500  # code points in a message; one more is refused
PAGE = 500
MOST_PAGES = 1_000
QUERY_CHARACTERS = 400


class _Listed(BaseModel):
    """What we use of a session in the list of a user's."""

    session_id: str
    user_id: str | None = None
    created_at: AwareDatetime


LISTED = TypeAdapter(list[_Listed] | None)


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
        self._root = f"{url}/api/v2"
        self._authorization = {"Authorization": f"Api-Key {key}"}
        self._zep = AsyncBaseClient(base_url=self._root, api_key=key, timeout=ANSWER_S, httpx_client=http)
        self._page = page
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
            if not await self._is_made_for(person, session_id):
                raise Rejected(turns[0].turn_id, "the session is another person's in Zep")
            for turn in turns:
                await self._add(person, session_id, turn)

    async def _is_made_for(self, person: str, session_id: str) -> bool:
        """Whether the session is this person's, made when there was none: first the user, then the session.

        A message to an unknown session makes one that is nobody's, and of ten at once loses some.
        """
        session = await self._session(session_id)
        if session is None:
            await or_exists(self._zep.user.add(user_id=user_id(person)))
            await or_exists(self._zep.memory.add_session(session_id=session_id, user_id=user_id(person)))
            session = await self._session(session_id)
        if session is None:
            raise Unreachable("Zep lost the session that it had just made")
        return session.user_id == user_id(person)

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
            page, following = page_of(await self._places(person), limit=limit, after=after)
            told = await asyncio.gather(*(self._turns(place.session_id) for place in page))
        known = zip(page, told, strict=True)
        return Episodes([episode_of(place, turns) for place, turns in known if turns], following)

    async def episode(self, person: str, session_id: str) -> Sequence[Turn]:
        async with asking(READ_S):
            return await self._turns(session_id) if await self._is_of(person, session_id) else []

    async def recall(self, person: str, session_id: str | None, *, limit: int) -> Recalled:
        """Facts that fit the last four messages of the session, and what the person said in it.

        A session that is not in Zep yet has neither: then it is the newest one's.
        """
        async with asking(READ_S):
            if session_id is None or not await self._is_of(person, session_id):
                newest = max(await self._places(person), default=None)
                session_id = newest.session_id if newest else None
            return await self._recalled(session_id, limit) if session_id else Recalled()

    async def _recalled(self, session_id: str, limit: int) -> Recalled:
        try:
            memory = await self._zep.memory.get(session_id, lastn=max(2 * limit, 1))
        except Refused as exc:
            if exc.status < 500:
                raise
            # Facts come from a process beside Zep. Without it a session can still be read.
            return Recalled((), said_last(await self._turns(session_id), limit))
        facts = [fact.fact for fact in memory.relevant_facts or [] if fact.fact]
        return Recalled(facts, said_last(turns_of(_kept(memory.messages)), limit))

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
            if not await self._is_of(person, session_id):
                return Forgotten(0, 0)
            turns = await self._turns(session_id)
            await or_none(self._zep.memory.delete(session_id))
            if await self._session(session_id) is not None:
                raise Unreachable("Zep has erased the session and still has it")
            return Forgotten(1, len(turns))

    async def forget_person(self, person: str) -> Forgotten:
        async with asking(ERASE_S):
            places = await self._places(person)
            told = await asyncio.gather(*(self._turns(place.session_id) for place in places))
            await or_none(self._zep.user.delete(user_id(person)))
            if await or_none(self._zep.user.get(user_id(person))) is not None:
                raise Unreachable("Zep has erased the user and still has it")
            return Forgotten(len(places), sum(map(len, told)))

    async def close(self) -> None:
        await self._http.aclose()

    async def _session(self, session_id: str) -> zep_python.Session | None:
        return await or_none(self._zep.memory.get_session(session_id))

    async def _is_of(self, person: str, session_id: str) -> bool:
        session = await self._session(session_id) if is_session_id(session_id) else None
        return session is not None and session.user_id == user_id(person)

    async def _turns(self, session_id: str) -> list[Turn]:
        """All of a session whose owner is known. What the SDK calls a cursor counts pages from 1."""
        messages: list[Message] = []
        for number in range(1, MOST_PAGES + 1):
            asked = self._zep.memory.get_session_messages(session_id, limit=self._page, cursor=number)
            page = (await asked).messages or []
            messages += _kept(page)
            if len(page) < self._page:
                break
        return turns_of(messages)

    async def _places(self, person: str) -> list[Place]:
        """The person's sessions. Not by the SDK: its ``get_sessions`` fails on every answer of the server."""
        address = f"{self._root}/users/{user_id(person)}/sessions"
        response = await or_none(self._http.get(address, headers=self._authorization, timeout=ANSWER_S))
        listed = (LISTED.validate_json(response.content) or []) if response else []
        return [
            Place(session.created_at, session.session_id)
            for session in listed
            if session.user_id == user_id(person) and is_session_id(session.session_id)
        ]


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


def _kept(messages: Iterable[zep_python.Message] | None) -> list[Message]:
    return [
        Message(each.uuid_ or "", each.role_type or "", each.content or "", each.metadata or {})
        for each in messages or ()
    ]
