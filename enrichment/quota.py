"""How much may be posted: of one session, and by one person."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from broker.edge.limit_rules import Allowance, Pace
from broker.edge.limits import Kept, Limits, Shared, Wish
from enrichment.accepting import Owner
from enrichment.settings import Settings

BURST_S = 4  # what a page kept while it had no network comes as so many seconds' posts at once


class Quota(Protocol):
    """Asked before a post is stored."""

    def place(self, owner: Owner, turns: int, size: int) -> AbstractAsyncContextManager[None]:
        """Room for a post of so many turns and bytes while it is stored.

        Raises `TooMany`. When storing fails the room is free again.
        """
        ...


class PerSession:
    """Holds every session, and every person, to the same figures."""

    def __init__(self, limits: Limits, settings: Settings) -> None:
        second, turns = settings.limit_session_per_second, settings.limit_session_turns_a_day
        session_kib, person_kib = settings.limit_session_kib_a_day, settings.limit_person_kib_a_day
        self._limits = limits
        self._posts = Pace("posts", f"posts of a session: {second} a second", second, 1, second * BURST_S)
        self._turns = Allowance("turns", f"turns of a session: {turns} a day", turns)
        self._bytes = Allowance("bytes", f"what a session says: {session_kib} KiB a day", session_kib * 1024)
        self._all = Allowance("all", f"what a person says: {person_kib} KiB a day", person_kib * 1024)

    @asynccontextmanager
    async def place(self, owner: Owner, turns: int, size: int) -> AsyncIterator[None]:
        """By session and not by grant: whoever asks for another grant gets no other room."""
        session = f"session {owner.session_id} of {owner.person}"
        room = [
            Wish(session, self._turns, turns),
            Wish(session, self._bytes, size),
            Wish(f"posts of {owner.person}", self._all, size),
        ]
        async with self._limits.held(room, beside=[Wish(session, self._posts)]):
            yield


class NoQuota:
    """Limits are off."""

    @asynccontextmanager
    async def place(self, owner: Owner, turns: int, size: int) -> AsyncIterator[None]:  # noqa: ARG002 - as PerSession
        yield


def quota_of(settings: Settings, shared: Shared | None, now: Callable[[], float]) -> Quota:
    """What may be posted; everything where limits are off. ``now`` gives Unix seconds."""
    return PerSession(Limits(Kept(now), shared), settings) if settings.has_limits else NoQuota()
