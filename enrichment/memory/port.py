"""What a memory promises, whichever backend keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from enrichment.turns import Turn


class Unreachable(Exception):
    """Memory may take this later. ``retry_after_s`` is its wish, if it had one."""

    def __init__(self, reason: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Rejected(Exception):
    """Memory will never take this turn."""

    def __init__(self, turn_id: str, reason: str) -> None:
        super().__init__(reason)
        self.turn_id = turn_id


class ForgottenLater(Exception):
    """Memory has begun to forget and is not done: whoever asked must ask again."""


@dataclass(frozen=True, slots=True)
class Episode:
    """A session as memory knows it. Times are RFC 3339; ``opening`` is how it began, shortened."""

    session_id: str
    turns: int
    first_at: str
    last_at: str
    opening: str


@dataclass(frozen=True, slots=True)
class Episodes:
    """One page of sessions, newest first. ``cursor`` begins the next one; None when this was the last."""

    page: Sequence[Episode]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Recalled:
    """What may matter, newest or most fitting first.

    ``facts`` are sentences that the backend made of what was said; ``turns`` are what the person said.
    """

    facts: Sequence[str] = ()
    turns: Sequence[Turn] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """A turn that a search found, and the session it is of."""

    session_id: str
    turn: Turn


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, best first."""

    facts: Sequence[str] = ()
    turns: Sequence[Match] = ()


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How much was erased. ``turns`` is None when there were too many to count before."""

    sessions: int
    turns: int | None


class Memory(Protocol):
    """Times out by itself, retries nothing, and lets no SDK's error out: `Unreachable` for what may pass."""

    @property
    def name(self) -> str: ...

    async def remember(self, person: str, session_id: str, turns: Sequence[Turn]) -> None:
        """Keep turns, oldest first. Keeping one twice changes nothing. Raises `Unreachable` or `Rejected`."""
        ...

    async def episodes(self, person: str, *, limit: int, cursor: str | None = None) -> Episodes:
        """The person's sessions, newest first. Raises ValueError for a cursor that is none."""
        ...

    async def episode(self, person: str, session_id: str) -> Sequence[Turn]:
        """The turns of one session in order of arrival; empty when the person has no such session."""
        ...

    async def recall(self, person: str, session_id: str | None, *, limit: int) -> Recalled:
        """What may matter for a conversation that is about to begin, or goes on when it has an id."""
        ...

    async def search(self, person: str, query: str, *, limit: int) -> Found:
        """What matches the words or the sense of ``query``."""
        ...

    async def forget_session(self, person: str, session_id: str) -> Forgotten:
        """Erase one session. Also when there is none, and as often as it is asked.

        Raises `ForgottenLater` or `Unreachable` as long as it is not certain that nothing is left.
        """
        ...

    async def forget_person(self, person: str) -> Forgotten:
        """Erase everything of the person; as `forget_session`."""
        ...

    async def close(self) -> None: ...
