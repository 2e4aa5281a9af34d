"""Which user, graph and thread in Zep Cloud are whose: found, made once, and kept.

Cloud makes these ids itself. A user can be found again by the id that we gave it, a thread by nothing at all:
it is what was kept, or it is lost.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from zep_cloud.client import AsyncZep
from zep_cloud.types import User

from enrichment.memory.addresses import Addresses
from enrichment.memory.parts import NAMESPACE
from enrichment.memory.port import Unreachable
from enrichment.memory.sessions import Place
from enrichment.memory.zep_wire import is_session_id, or_exists, or_none, user_id


@dataclass(frozen=True, slots=True)
class Whom:
    """A person in Zep Cloud."""

    user_uuid: str
    graph_uuid: str


class Ids:
    """What `Addresses` keep, and Zep Cloud where they keep nothing."""

    def __init__(self, zep: AsyncZep, addresses: Addresses) -> None:
        self._zep = zep
        self._addresses = addresses

    async def find(self, person: str) -> Whom | None:
        """The person in Zep; None when Zep knows no such user."""
        user_uuid = await self._addresses.get(_key(person, "user"))
        graph_uuid = await self._addresses.get(_key(person, "graph"))
        if user_uuid and graph_uuid:
            return Whom(address(user_uuid), address(graph_uuid))
        user = await self.look_up(person)
        return None if user is None else await self._keep(person, user)

    async def look_up(self, person: str) -> User | None:
        """The user as Zep has it, whatever was kept."""
        found: User | None = await or_none(self._zep.user.lookup(user_id=user_id(person)))
        return found

    async def find_or_make(self, person: str) -> Whom:
        """Without an idempotency key: a user's id is unique anyway, and a key used before an erasure could
        give back the user that was erased."""
        if await self.find(person) is None:
            await or_exists(self._zep.user.create(user_id=user_id(person)), "user")
        whom = await self.find(person)
        if whom is None:
            raise Unreachable("Zep lost the user that it had just made")
        return whom

    async def thread(self, person: str, session_id: str) -> str | None:
        """The thread of a session, as it was kept."""
        kept = (
            await self._addresses.get(_thread_key(person, session_id)) if is_session_id(session_id) else None
        )
        return None if kept is None else address(kept)

    async def thread_or_make(self, person: str, session_id: str) -> str:
        """Two replicas, or two attempts, make one thread: by its idempotency key, or the first one kept.

        To a key that it has seen Zep answers as it did then, also with a thread that was erased since; then
        the session goes on in one made without a key.
        """
        kept = await self.thread(person, session_id)
        if kept is not None:
            return kept
        whom = await self.find_or_make(person)
        key = str(uuid.uuid5(NAMESPACE, f"{whom.user_uuid}\0{session_id}"))
        made = await self._zep.thread.create(user_uuid=whom.user_uuid, idempotency_key=key)
        if await or_none(self._zep.thread.get(address(made.uuid_))) is None:
            made = await self._zep.thread.create(user_uuid=whom.user_uuid)
        return address(await self._addresses.keep(_thread_key(person, session_id), address(made.uuid_)))

    async def places(self, person: str) -> Sequence[Place]:
        """The person's sessions, by when their threads were made."""
        prefix = _thread_key(person, "")
        return [
            Place(datetime.fromtimestamp(kept.kept_at, UTC), kept.key.removeprefix(prefix))
            for kept in await self._addresses.under(prefix)
        ]

    async def forget_thread(self, person: str, session_id: str) -> None:
        await self._addresses.forget(_thread_key(person, session_id))

    async def forget_person(self, person: str) -> None:
        await self._addresses.forget_under(_key(person, ""))

    async def close(self) -> None:
        await self._addresses.close()

    async def _keep(self, person: str, user: User) -> Whom:
        user_uuid = await self._addresses.keep(_key(person, "user"), address(user.uuid_))
        graph_uuid = await self._addresses.keep(_key(person, "graph"), address(user.graph_uuid))
        return Whom(user_uuid, graph_uuid)


def address(value: Any) -> str:
    """A UUID that may stand in an address, where the SDK puts it as it is. Raises ValueError for all else."""
    return str(uuid.UUID(str(value)))


def _key(person: str, name: str) -> str:
    return f"{user_id(person)}/{name}"


def _thread_key(person: str, session_id: str) -> str:
    return _key(person, f"thread/{session_id}")
