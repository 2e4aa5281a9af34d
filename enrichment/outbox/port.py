"""What an outbox promises, whichever engine keeps it.

A turn is *pending* until it is *delivered*; a turn that memory will never take is *parked*, for a person to
look at. A session's turns leave in the order they came, one delivery at a time: a claim leases the session,
and a lease that outlives its holder simply runs out. So a crash costs a repeat, never a loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from enrichment.turns import Turn


class ForeignSession(Exception):
    """The session belongs to another person: whoever wrote to it first."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Turn ids by what became of them. ``conflicting`` were known with another text, which was kept."""

    accepted: Sequence[str]
    duplicate: Sequence[str]
    conflicting: Sequence[str]


@dataclass(frozen=True, slots=True)
class Claim:
    """The oldest pending turns of one session, leased to one deliverer.

    ``lease`` fences: whoever claims after this lease has run out gets a higher one, and settling with the
    lower one changes nothing. ``attempts`` counts the failures in a row before this claim.
    """

    person: str
    session_id: str
    turns: Sequence[Turn]
    lease: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Depth:
    """How much waits. ``oldest_s`` is the age of the oldest pending turn, 0 when none waits."""

    pending: int
    parked: int
    oldest_s: float


class Outbox(Protocol):
    async def accept(self, person: str, session_id: str, turns: Sequence[Turn]) -> Accepted:
        """Store turns; on return they are durable. Raises `ForeignSession`, or `StorageFailed`."""
        ...

    async def claim(self) -> Claim | None:
        """Lease the session that has been due longest, or None when none is due."""
        ...

    async def delivered(self, claim: Claim) -> None:
        """Every turn of the claim is in memory: their text leaves the outbox, their ids stay."""
        ...

    async def postpone(self, claim: Claim, *, delay_s: float, reason: str) -> None:
        """Nothing of the claim is known to be in memory: the session is due again after ``delay_s``."""
        ...

    async def park(self, claim: Claim, turn_id: str, *, reason: str) -> None:
        """Memory will never take this turn; the others of the session are due again at once."""
        ...

    async def pending(self, person: str, session_id: str) -> Sequence[Turn]:
        """Turns of a session that are not in memory, parked ones included, in order of arrival."""
        ...

    async def pending_sessions(self, person: str) -> Sequence[str]:
        """The person's sessions that have such turns."""
        ...

    async def next_due_s(self) -> float | None:
        """Seconds until a session is due, 0 when one is, None when nothing waits."""
        ...

    async def depth(self) -> Depth: ...

    def is_serving(self) -> bool:
        """Whether turns can be stored at all, as far as can be told without asking."""
        ...

    async def close(self) -> None: ...
