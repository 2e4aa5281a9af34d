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


@dataclass(frozen=True, slots=True)
class Episode:
    """A session as memory knows it. Times are RFC 3339; ``opening`` is how it began, shortened."""

    session_id: str
    turns: int
    first_at: str
    last_at: str
    opening: str


class Memory(Protocol):
    @property
    def name(self) -> str: ...

    async def remember(self, person: str, session_id: str, turns: Sequence[Turn]) -> None:
        """Keep turns, oldest first. Keeping one twice changes nothing. Raises `Unreachable` or `Rejected`."""
        ...

    async def episodes(self, person: str, *, limit: int) -> Sequence[Episode]:
        """The person's sessions, newest first."""
        ...

    async def episode(self, person: str, session_id: str) -> Sequence[Turn]:
        """The turns of one session in order of arrival; empty when the person has no such session."""
        ...

    async def recall(self, person: str, session_id: str | None, *, limit: int) -> Sequence[Turn]:
        """What may matter for a conversation that is about to begin or go on, newest first."""
        ...

    async def close(self) -> None: ...
