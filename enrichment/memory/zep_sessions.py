"""Sessions in a Zep Community Edition: which there are, whose they are, and what is in them."""

from __future__ import annotations

from collections.abc import Iterable

import httpx
import zep_python
from pydantic import AwareDatetime, BaseModel, TypeAdapter

# Not zep_python.client: its clients let the variable ZEP_API_URL override the address they are given.
from zep_python.base_client import AsyncBaseClient

from enrichment.memory.messages import Message, is_of, turns_of
from enrichment.memory.port import Unreachable
from enrichment.memory.sessions import Place
from enrichment.memory.zep_wire import ANSWER_S, Refused, is_session_id, or_exists, or_none, user_id
from enrichment.turns import Turn

PAGE = 500
MOST_PAGES = 1_000


class _Listed(BaseModel):
    """What we use of a session in the list of a user's."""

    session_id: str
    user_id: str | None = None
    created_at: AwareDatetime


LISTED = TypeAdapter(list[_Listed] | None)


class Sessions:
    """Asked within `zep_wire.asking`. ``root`` is the address with the path of the API."""

    def __init__(self, zep: AsyncBaseClient, http: httpx.AsyncClient, root: str, key: str, page: int) -> None:
        self._zep = zep
        self._http = http
        self._root = root
        self._authorization = {"Authorization": f"Api-Key {key}"}
        self._page = page

    async def find(self, session_id: str) -> zep_python.Session | None:
        return await or_none(self._zep.memory.get_session(session_id))

    async def is_of(self, person: str, session_id: str) -> bool:
        """Whether there is such a session and it is this person's."""
        session = await self.find(session_id) if is_session_id(session_id) else None
        return session is not None and session.user_id == user_id(person)

    async def find_or_make(self, person: str, session_id: str) -> zep_python.Session:
        """The session, whoever's it is; when there was none, made for the person: first the user, then it.

        A message to an unknown session makes one that is nobody's, and of ten at once loses some.
        """
        session = await self.find(session_id)
        if session is None:
            user = user_id(person)
            await or_exists(self._zep.user.add(user_id=user), "user")
            await or_exists(self._zep.memory.add_session(session_id=session_id, user_id=user), "session")
            session = await self.find(session_id)
        if session is None:
            raise Unreachable("Zep lost the session that it had just made")
        return session

    async def turns(self, session_id: str) -> list[Turn]:
        """All of a session whose owner is known."""
        return turns_of(await self._messages(session_id))

    async def is_left_over(self, person: str, session_id: str) -> bool:
        """Whether the session is nobody's and holds what we wrote for this person, and nothing else.

        Zep makes such a session for a message that comes just after its own was deleted.
        """
        session = await self.find(session_id) if is_session_id(session_id) else None
        if session is None or session.user_id:
            return False
        return all(is_of(message, person, session_id) for message in await self._messages(session_id))

    async def _messages(self, session_id: str) -> list[Message]:
        """What the SDK calls a cursor counts pages from 1."""
        messages: list[Message] = []
        for number in range(1, MOST_PAGES + 1):
            asked = self._zep.memory.get_session_messages(session_id, limit=self._page, cursor=number)
            page = (await asked).messages or []
            messages += kept(page)
            if len(page) < self._page:
                break
        return messages

    async def places(self, person: str) -> list[Place]:
        """The person's sessions; none of somebody else's, nor any whose id could be another address."""
        return [
            Place(session.created_at, session.session_id)
            for session in await self._listed(person)
            if session.user_id == user_id(person) and is_session_id(session.session_id)
        ]

    async def _listed(self, person: str) -> list[_Listed]:
        """Not by the SDK: its ``get_sessions`` fails on every answer of the server.

        What the server says of a user it does not know was not observed; if it fails, there may be none.
        """
        address = f"{self._root}/users/{user_id(person)}/sessions"
        try:
            response = await or_none(self._http.get(address, headers=self._authorization, timeout=ANSWER_S))
        except Refused as exc:
            if exc.status == 500 and await or_none(self._zep.user.get(user_id(person))) is None:
                return []
            raise
        return (LISTED.validate_json(response.content) or []) if response else []


def kept(messages: Iterable[zep_python.Message] | None) -> list[Message]:
    """Zep's messages as ours."""
    return [
        Message(each.uuid_ or "", each.role_type or "", each.content or "", each.metadata or {})
        for each in messages or ()
    ]
