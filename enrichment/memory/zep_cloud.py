"""Memory in Zep Cloud, by zep-cloud 4.x (the extra ``zep-cloud``). Imported only when it is chosen.

Zep keeps what was said in a thread for each session and makes facts of it, in its own time, in a graph for
each person. What the agent says is kept and is made no fact of: facts are about the person.

Source: zep-cloud 4.0.1, its sources read, 2026-11-20. Nobody has run this against Zep Cloud itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
from zep_cloud.client import AsyncZep
from zep_cloud.types import Task

from enrichment.memory.addresses import Addresses
from enrichment.memory.counting import counted
from enrichment.memory.messages import messages_of, turns_of
from enrichment.memory.port import (
    Episodes,
    Forgotten,
    ForgottenLater,
    Found,
    Recalled,
    Rejected,
    Unreachable,
)
from enrichment.memory.sessions import episode_of, page_of, place_of, said_last
from enrichment.memory.zep_cloud_ids import Ids, address
from enrichment.memory.zep_cloud_wire import asking_cloud, facts_of, kept, sent
from enrichment.memory.zep_wire import (
    ANSWER_S,
    ERASE_S,
    READ_S,
    REMEMBER_S,
    Refused,
    is_session_id,
    or_none,
)
from enrichment.turns import Turn

URL = "https://api.getzep.com"
# The limit is 4 096; the vendor's own plug-ins cut at 4 000 (zep-livekit 1.0.0, checked 2026-11-20).
CHARACTERS = 4_000
PAGE = 100
QUERY_CHARACTERS = 400
CONTEXT_CHARACTERS = 4_000
# What is asked for a conversation that has no words yet.
AT_THE_BEGINNING = "who this person is, what they want, and what was talked about last"
POLLS, POLL_S = 20, 0.5


class ZepCloudMemory:
    """A `Memory` in the Zep Cloud at ``url``. It closes ``addresses`` and ``http``.

    The response hook of ``http`` must be `zep_wire.refuse`. ``pause`` waits between two looks at an erasure.
    """

    name = "zep-cloud"

    def __init__(
        self,
        http: httpx.AsyncClient,
        key: str,
        addresses: Addresses,
        *,
        url: str = URL,
        now: Callable[[], float] = time.time,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._http = http
        self._zep = AsyncZep(
            base_url=f"{url}/api/v4", api_key=key, timeout=ANSWER_S, max_retries=0, httpx_client=http
        )
        self._ids = Ids(self._zep, addresses)
        self._now = now
        self._pause = pause

    async def remember(self, person: str, session_id: str, turns: Sequence[Turn]) -> None:
        """Each message with its own idempotency key, the same for every attempt.

        How long Zep honours a key is written nowhere. A repeat after that is twice in its thread, and once in
        what we read of it.
        """
        if not turns:
            return
        if not is_session_id(session_id):
            raise Rejected(turns[0].turn_id, "the session's id is none of ours")
        async with asking_cloud(REMEMBER_S):
            thread = await self._ids.thread_or_make(person, session_id)
            for turn in turns:
                await self._add(thread, person, session_id, turn)

    async def _add(self, thread: str, person: str, session_id: str, turn: Turn) -> None:
        dated = turn if turn.spoken_at else replace(turn, spoken_at=datetime.fromtimestamp(self._now(), UTC))
        for message in messages_of(person, session_id, dated, CHARACTERS):
            try:
                await self._zep.thread.add_messages(
                    thread,
                    messages=[sent(message)],
                    ignore_roles=["assistant"],
                    idempotency_key=message.id,
                )
            except Refused as exc:
                if exc.is_about_what_was_sent:
                    raise Rejected(turn.turn_id, f"Zep refuses the turn: {exc}") from exc
                raise

    async def episodes(self, person: str, *, limit: int, cursor: str | None = None) -> Episodes:
        """Newest first by when they began. Each session of the page is read, to count and to quote it."""
        after = place_of(cursor) if cursor is not None else None
        async with asking_cloud(READ_S):
            page, following = page_of(await self._ids.places(person), limit=limit, after=after)
            told = await asyncio.gather(*(self._turns(person, place.session_id) for place in page))
        known = zip(page, told, strict=True)
        return Episodes([episode_of(place, turns) for place, turns in known if turns], following)

    async def episode(self, person: str, session_id: str) -> Sequence[Turn]:
        async with asking_cloud(READ_S):
            return await self._turns(person, session_id)

    async def recall(self, person: str, session_id: str | None, *, limit: int) -> Recalled:
        """What the person said last, in this session or the newest one, and facts that fit it."""
        async with asking_cloud(READ_S):
            whom = await self._ids.find(person)
            if whom is None:
                return Recalled()
            turns = said_last(await self._latest(person, session_id, limit), limit)
            query = turns[0].text[:QUERY_CHARACTERS] if turns else AT_THE_BEGINNING
            context = await self._zep.graph.get_context(
                whom.graph_uuid, query=query, include_results=True, max_characters=CONTEXT_CHARACTERS
            )
            edges = context.results.edges if context.results else None
            return Recalled(facts_of(edges), turns)

    async def _latest(self, person: str, session_id: str | None, limit: int) -> list[Turn]:
        """The end of the session; of the newest one when this is not in Zep yet."""
        thread = await self._ids.thread(person, session_id) if session_id else None
        if thread is None:
            newest = max(await self._ids.places(person), default=None)
            thread = await self._ids.thread(person, newest.session_id) if newest else None
        if thread is None:
            return []
        size = min(max(2 * limit, 1), PAGE)
        page = await or_none(self._zep.thread.list_messages(thread, page_size=size, order="desc"))
        return turns_of(kept(reversed(page.items or []))) if page else []

    async def search(self, person: str, query: str, *, limit: int) -> Found:
        """Facts alone, by sense."""
        async with asking_cloud(READ_S):
            whom = await self._ids.find(person)
            if whom is None or not query.strip():
                return Found()
            pager = await self._zep.graph.search_edges(
                whom.graph_uuid, query=query[:QUERY_CHARACTERS], page_size=limit
            )
            return Found(facts_of(pager.items)[:limit])

    async def forget_session(self, person: str, session_id: str) -> Forgotten:
        """The thread. Facts made of it are the person's in Zep, and go with `forget_person` alone."""
        async with asking_cloud(ERASE_S):
            thread = await self._ids.thread(person, session_id)
            if thread is None:
                return Forgotten(0, 0)
            turns = await self._turns(person, session_id)
            await self._ended(await or_none(self._zep.thread.delete(thread)))
            if await or_none(self._zep.thread.get(thread)) is not None:
                raise ForgottenLater("Zep has erased the session and still has it")
            await self._ids.forget_thread(person, session_id)
            return Forgotten(1, len(turns))

    async def forget_person(self, person: str) -> Forgotten:
        """What is kept of where things are goes last: as long as anything may be left it must be found."""
        async with asking_cloud(ERASE_S):
            places = await self._ids.places(person)
            turns = await counted(self._turns(person, place.session_id) for place in places)
            user = await self._ids.look_up(person)
            if user is not None:
                await self._ended(await or_none(self._zep.user.delete(address(user.uuid_))))
                if await self._ids.look_up(person) is not None:
                    raise ForgottenLater("Zep has erased the user and still has it")
            await self._ids.forget_person(person)
            return Forgotten(len(places), turns)

    async def close(self) -> None:
        await self._http.aclose()
        await self._ids.close()

    async def _turns(self, person: str, session_id: str) -> list[Turn]:
        thread = await self._ids.thread(person, session_id)
        if thread is None:
            return []
        pager = await or_none(self._zep.thread.list_messages(thread, page_size=PAGE, order="asc"))
        return turns_of(kept([message async for message in pager])) if pager else []

    async def _ended(self, deletion: Any) -> None:
        """Wait for the task of a deletion; None is the deletion of what was gone already.

        Raises `ForgottenLater` when it takes too long and `Unreachable` when it failed.
        """
        task: Task | None = deletion.task if deletion else None
        for _ in range(POLLS):
            if task is None or task.status == "succeeded":
                return
            if task.status in ("failed", "partial"):
                raise Unreachable("Zep could not erase everything")
            await self._pause(POLL_S)
            task = await self._zep.task.get(address(task.uuid_))
        raise ForgottenLater("Zep is still erasing")
